"""A redis-server of the tests' own. Where the system has none, Debian's is fetched into the environment of the project."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final, Self

from benchmarks.environments import put_in_place
from tests.support.fault_server import HANG
from tests.support.ports import free_port

__all__ = ["RedisServer"]

HOST: Final = "127.0.0.1"
KEPT: Final = Path(sys.prefix) / "redis"
PROGRAM: Final = Path("usr/bin/redis-server")
ADVICE: Final = "install the package redis-server, or redis"
INSTALLED: Final = Path("/var/lib/dpkg/status")
"""What Debian's packages are installed."""
ATTEMPTS: Final = 5
"""How many ports are tried: another process may take a free one before the server does."""


class RedisServer:
    """A redis-server that keeps nothing on disk.

    It can be killed and started again on the same port, hung, and made to forget. `with` starts it, and kills it.
    `cluster` makes it a cluster of its own.
    """

    def __init__(self, *, cluster: bool = False) -> None:
        self.port = 0
        self._folder = tempfile.TemporaryDirectory()
        self._is_cluster = cluster
        self._program, self._environment = program()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        for _ in range(ATTEMPTS):
            self.port = free_port()
            if self._start():
                return self
        raise OSError(f"redis-server starts on none of {ATTEMPTS} ports")

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._folder.cleanup()

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}"

    def kill(self) -> None:
        """End the server without notice, as `kill -9` does. Its texts are gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Start the server again, after `kill`, on the port that it had."""
        if not self._start():
            raise OSError(f"redis-server does not start again on port {self.port}")

    def hang(self) -> None:
        """Stop the server: its connections stay open, and nothing is answered until `resume`."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def command(self, *words: str) -> str:
        """Send a command, and return the answer as the protocol has it."""
        with socket.create_connection((HOST, self.port), timeout=HANG) as connection:
            connection.sendall(" ".join(words).encode() + b"\r\nQUIT\r\n")
            with connection.makefile("rb") as answer:
                return answer.read().decode()

    def _start(self) -> bool:
        """Start the server, and wait until it answers. Return False if it ends instead, because its port is taken."""
        options = ["--port", self.port, "--bind", HOST, "--save", "", "--appendonly", "no", "--dir", self._folder.name]
        if self._is_cluster:
            options += ["--cluster-enabled", "yes", "--cluster-port", free_port()]
        self._process = process = subprocess.Popen(
            [self._program, *map(str, options)],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + HANG
        while process.poll() is None and time.monotonic() < deadline:
            # Another server may have the port.
            with contextlib.suppress(OSError):
                if f"process_id:{process.pid}\r\n" in self.command("INFO", "server"):
                    return not self._is_cluster or self._serves_all_keys(deadline)
            time.sleep(0.01)
        self.kill()
        return False

    def _serves_all_keys(self, deadline: float) -> bool:
        self.command("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
        while not (is_ready := "cluster_state:ok" in self.command("CLUSTER", "INFO")) and time.monotonic() < deadline:
            time.sleep(0.01)
        return is_ready


def program() -> tuple[str, dict[str, str]]:
    """Return the path of redis-server, and the environment to start it in."""
    if found := shutil.which("redis-server"):
        return found, dict(os.environ)
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    with KEPT.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not KEPT.exists():
            fetch()
    libraries = ":".join(str(folder) for folder in KEPT.glob("usr/lib/*-linux-gnu"))
    return str(KEPT / PROGRAM), {**os.environ, "LD_LIBRARY_PATH": libraries}


def fetch() -> None:
    """Unpack Debian's redis-server, and the libraries that are missing, into `KEPT`. This needs no root, and starts no service."""
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise OSError(f"the tests need redis-server, which is not on the PATH: {ADVICE}")
    with tempfile.TemporaryDirectory(dir=KEPT.parent) as temporary:
        state, cache, unpacked = (Path(temporary, name) for name in ("state", "cache", "unpacked"))
        for folder in (state / "lists" / "partial", cache / "archives" / "partial", unpacked):
            folder.mkdir(parents=True)
        options = {
            "Dir::State": state,
            "Dir::State::status": INSTALLED,
            "Dir::Cache": cache,
            "Debug::NoLocking": "1",
            "APT::Sandbox::User": "root",
        }
        apt = ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in options.items())]
        _run(*apt, "update")
        _run(*apt, "install", "--yes", "--download-only", "--no-install-recommends", "redis-server")
        for package in (cache / "archives").glob("*.deb"):
            _run("dpkg", "-x", str(package), str(unpacked))
        if not (unpacked / PROGRAM).exists():
            raise OSError(f"the tests need redis-server, which is not on the PATH, and no package brings it: {ADVICE}")
        put_in_place(unpacked, KEPT)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        said = done.stderr.strip()[-500:]
        raise OSError(
            f"the tests need redis-server, which is not on the PATH, and cannot be fetched: {ADVICE} ({said})"
        )
