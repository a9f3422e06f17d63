"""The everyday programs, ours and those on the vendor's SDK, each carried out on its own side of one interface."""

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import anyio
import attrs
import pytest

from coaching_async import (
    AppointmentCreate,
    BulkResult,
    ClientCredentials,
    CoachingClient,
    CoachingError,
    RateLimit,
    RefreshToken,
    ResponseError,
    RetryPolicy,
    from_dict,
    to_dict,
)
from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, Sandbox
from tests.support.example_servers import EXAMPLES, ROOT, environment
from tests.support.fault_server import HANG
from tests.support.in_thread import in_thread

Json: TypeAlias = Any

EVERYDAY = EXAMPLES / "everyday"
OURS, OFFICIAL = EVERYDAY / "ours", EVERYDAY / "official"


@attrs.frozen
class Failed:
    """What a program raised."""

    status: int | None


def program(path: Path) -> ModuleType:
    """Imported afresh, under no name that another might have."""
    spec = importlib.util.spec_from_file_location(f"everyday_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # FastAPI looks up annotations there
    spec.loader.exec_module(module)
    return module


@attrs.frozen
class Ours:
    """Carried out in this process."""

    backend: str

    def __call__(self, task: str, sandbox: Sandbox, *arguments: Json, by: str = "client") -> Json:
        async def main() -> Json:
            grants = {"user": RefreshToken(CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN)}
            async with CoachingClient(
                grants.get(by, ClientCredentials(CLIENT_ID, CLIENT_SECRET)),
                base_url=sandbox.base_url,
                rate_limit=RateLimit(100_000, per=60.0),
                retry=RetryPolicy(max_backoff=0.01),
            ) as client:
                return plain(await getattr(program(OURS / f"{task}.py"), task)(client, *given(task, arguments)))

        try:
            return anyio.run(main, backend=self.backend)
        except CoachingError as error:
            return Failed(error.status if isinstance(error, ResponseError) else None)

    @contextmanager
    def serving(self, task: str, sandbox: Sandbox) -> Iterator[str]:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment(sandbox.base_url).items():
                patch.setenv(name, value)
            with in_thread(program(OURS / f"{task}.py").app) as url:
                yield url


def given(task: str, arguments: tuple[Json, ...]) -> tuple[Json, ...]:
    match task:
        case "my_month":
            return (date.fromisoformat(*arguments),)
        case "create" | "missing_permission":
            return (from_dict(AppointmentCreate, *arguments),)
        case "export_quarter":
            users, path, *when = arguments
            return (users, Path(path), *when)
    return arguments


def plain(value: Json) -> Json:
    if isinstance(value, BulkResult):
        failed = {id_: getattr(error, "status", None) for id_, error in value.failed.items()}
        return {"succeeded": {id_: to_dict(each) for id_, each in value.succeeded.items()}, "failed": failed}
    if isinstance(value, list):
        return [to_dict(each) for each in value]
    return to_dict(value) if attrs.has(type(value)) else value


@attrs.frozen
class Official:
    """Carried out by a process that has the SDK, at the other end of a pipe."""

    process: subprocess.Popen[str]

    def __call__(self, task: str, sandbox: Sandbox, *arguments: Json, by: str = "client") -> Json:
        outcome = self._outcome(task, sandbox.base_url, by, arguments)
        assert "value" in outcome or outcome["error"] in {"ApiException", "ProtocolError"}, outcome
        return outcome["value"] if "value" in outcome else Failed(outcome["status"])

    @contextmanager
    def serving(self, task: str, sandbox: Sandbox) -> Iterator[str]:
        yield self("serve", sandbox, task)

    def asked(self, task: str) -> Json:
        """What needs no sandbox."""
        return self._outcome(task, "http://127.0.0.1:9", "client", ())["value"]

    def raised(self, task: str, sandbox: Sandbox, *arguments: Json, by: str) -> Json:
        """The name of its error."""
        return self._outcome(task, sandbox.base_url, by, arguments)["error"]

    def _outcome(self, task: str, url: str, by: str, arguments: tuple[Json, ...]) -> Json:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        login = (CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN)
        order = {"task": task, "url": url, "login": login, "by": by, "arguments": arguments}
        self.process.stdin.write(f"{json.dumps(order)}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "it died; its last words are on stderr"
        return json.loads(line)


@contextmanager
def official(sdk_python: Path, home: Path) -> Iterator[Official]:
    """Started once, because importing the SDK takes seconds; its home is empty, because it watches the files there.

    It is a Python of ours that has the SDK too, so that the applications have FastAPI.
    """
    (packages,) = sdk_python.parent.parent.glob("lib/python*/site-packages")
    paths = os.pathsep.join(map(str, (packages, OFFICIAL, EXAMPLES / "moving", ROOT)))
    command = [sys.executable, Path(__file__).parent / "everyday_program.py"]
    names = {"PATH": os.environ.get("PATH", ""), "HOME": str(home), "PYTHONPATH": paths}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=names, cwd=home) as process:
        try:
            yield Official(process)
            with contextlib.suppress(BrokenPipeError):
                process.communicate(timeout=HANG)
        finally:
            process.kill()
    assert process.returncode == 0
