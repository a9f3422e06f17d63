"""The example programs, each started as a process of its own."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET
from tests.support.fault_server import HANG, HOST, wait_until
from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples"
UVICORN = ["-m", "uvicorn", "main:app", "--log-level", "warning", "--port"]
COMMANDS = {"fastapi": UVICORN, "aiohttp": ["main.py"]}
USER = "11111111-1111-4111-8111-111111111111"


def environment(url: str) -> dict[str, str]:
    named = {"REGION": url, "OAUTHCLIENT_ID": CLIENT_ID, "OAUTHCLIENT_SECRET": CLIENT_SECRET}
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return os.environ | {f"GENESYSCLOUD_{name}": value for name, value in named.items()} | {"PYTHONPATH": paths}


@contextmanager
def serving(
    framework: str, service: str, says: str = "", *, folder: str = "", **variables: str
) -> Iterator[httpx.Client]:
    """Yield an HTTP client of the application, which uses `service`. It has to stop cleanly, and print `says` at most."""
    port = free_port()
    with subprocess.Popen(
        [sys.executable, "-X", "dev", *COMMANDS[framework], str(port)],
        cwd=EXAMPLES / (folder or f"{framework}_app"),
        env=environment(service) | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            wait_until(lambda: process.poll() is not None or is_listening(port), HANG)
            with httpx.Client(base_url=f"http://{HOST}:{port}", timeout=HANG, trust_env=False) as browser:
                yield browser
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=HANG)
        finally:
            process.kill()
    assert process.returncode in {0, -signal.SIGINT}, said
    assert says in said
    assert says or not complaints(said), said


def complaints(said: str) -> list[str]:
    """Return the output without asyncio's warnings about slow steps, which a busy machine causes."""
    return [line for line in said.splitlines() if not line.startswith("Executing <")]


def is_listening(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((HOST, port)):
        return True
    return False
