"""Without its extra, an integration or the sandbox says which one to install."""

import subprocess
import sys

import pytest

from tests.support.fault_server import HANG

PROGRAM = """
import sys
sys.modules[{library!r}] = None  # as if it were not installed
try:
    {code}
except ModuleNotFoundError as error:
    print(error.name, error)
"""


@pytest.mark.parametrize(
    "code, library, extra",
    [
        ("import coaching_async.integrations.aiohttp", "aiohttp", "aiohttp"),
        ("import coaching_async.integrations.dask", "distributed", "dask"),
        ("import coaching_async.integrations.dlt", "dlt", "dlt"),
        ("import coaching_async.integrations.fastapi", "fastapi", "fastapi"),
        ("import coaching_async.integrations.opentelemetry", "opentelemetry", "otel"),
        ("import coaching_async.integrations.redis as r; r.RedisSharedState.from_url('redis://h')", "coredis", "redis"),
        ("import coaching_async.sandbox", "uvicorn", "sandbox"),
    ],
)
def test_a_missing_extra_is_named(code: str, library: str, extra: str):
    program = PROGRAM.format(code=code, library=library)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=HANG, check=True)

    assert done.stdout.startswith(f"{library} ")
    assert f"pip install 'coaching_async[{extra}]'" in done.stdout
