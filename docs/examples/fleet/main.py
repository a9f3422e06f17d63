"""A fleet: two web workers, and an export beside them, with one token and one rate limit: `python main.py [PORT]`.

It starts a sandbox, which refuses what is above the limit, and asks the web workers for appointments while the export runs.
They share a Redis if REDIS_URL is set, else a file.
"""

import os
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import httpx
from shared import LIMIT

from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET, Sandbox

START = 180
"""Seconds that the web workers may take to start."""

PAUSE = 0.25
"""Seconds between two requests of the browser."""


@contextmanager
def running(*command: str, environ: dict[str, str]) -> Generator[subprocess.Popen[bytes]]:
    """Run a Python program beside this one, and stop it at the end."""
    folder = Path(__file__).parent
    with subprocess.Popen([sys.executable, *command], cwd=folder, env=os.environ | environ) as process:  # noqa: S603 # programs of this folder
        try:
            yield process
        finally:
            process.terminate()


def main(port: int) -> None:
    """Run the fleet until the export is complete, and print what the sandbox has seen."""
    with (
        Sandbox(
            appointments=600, page_cap=10, rate_limit=LIMIT.requests, rate_window=LIMIT.per, latency=0.03
        ) as sandbox,
        TemporaryDirectory() as folder,
    ):
        environ = {
            "GENESYSCLOUD_REGION": sandbox.base_url,
            "GENESYSCLOUD_OAUTHCLIENT_ID": CLIENT_ID,
            "GENESYSCLOUD_OAUTHCLIENT_SECRET": CLIENT_SECRET,
            "SHARED_STATE": f"{folder}/state",
        }
        web = ["-m", "uvicorn", "web:app", "--workers", "2", "--port", str(port), "--log-level", "warning"]
        web += ["--timeout-worker-healthcheck", str(START)]  # else uvicorn kills a worker that takes 5 s to start
        nightly = ["nightly.py", f"{folder}/all.jsonl", *sandbox.state.user_ids]
        with running(*web, environ=environ):
            wait_for_web(port)
            with running(*nightly, environ=environ) as export:
                times = browse(port, next(iter(sandbox.state.appointments)), export)
        requests = sandbox.requests
    print(f"{sum(request.status == 429 for request in requests)} answers 429")
    print(f"{sum(request.path == '/oauth/token' for request in requests)} tokens for 3 processes")
    print(f"{len(times)} direct calls: median {median(times) * 1000:.0f} ms, longest {max(times) * 1000:.0f} ms")
    if export.returncode:
        sys.exit(export.returncode)


def wait_for_web(port: int) -> None:
    """Wait until a web worker answers."""
    deadline = time.monotonic() + START
    while True:
        try:
            httpx.get(f"http://127.0.0.1:{port}/docs")
        except httpx.TransportError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def browse(port: int, appointment_id: str, export: subprocess.Popen[bytes]) -> list[float]:
    """Ask for an appointment again and again while the export runs. Return how many seconds each answer took."""
    times: list[float] = []
    while export.poll() is None:
        started = time.monotonic()
        # A connection of its own for each, so that both workers are asked.
        httpx.get(f"http://127.0.0.1:{port}/appointments/{appointment_id}", timeout=60.0).raise_for_status()
        times.append(time.monotonic() - started)
        time.sleep(PAUSE)
    return times


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 8000)
