"""The programs that are type-checked also run, against a sandbox."""

from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from coaching_async import ClientCredentials, CoachingClient, RateLimit
from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET, Sandbox
from tests.conftest import TODAY

pytestmark = [pytest.mark.anyio, pytest.mark.real_time]

PROGRAMS = sorted((Path(__file__).parent / "programs").glob("*.py"))


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(appointments=40, users=5, today=TODAY) as sandbox:
        yield sandbox


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
async def test_a_program_runs_and_prints_something(sandbox: Sandbox, path: Path) -> None:
    spec: Any = spec_from_file_location(path.stem, path)
    spec.loader.exec_module(program := module_from_spec(spec))
    auth = ClientCredentials(CLIENT_ID, CLIENT_SECRET)
    async with CoachingClient(auth, base_url=sandbox.base_url, rate_limit=RateLimit(100_000)) as client:
        lines = [line async for line in program.main(client)]

    assert lines
    assert all(isinstance(line, str) for line in lines)
