"""A fleet of real processes and the service that they call, each in a process of its own.

`python -m tests.support.fleet_processes service '{...}'` is a sandbox, which prints its URL and the id of an appointment. When its
standard input ends, it prints what it was asked. `... workers '{...}'` forks processes that call it until their standard input
ends. Each prints a line for each thing that happens to it.
"""

import json
import os
import random
import subprocess
import sys
from bisect import bisect_right
from collections import Counter
from itertools import count
from typing import Any, Final, Self

import anyio
import attrs

from coaching_async import (
    ClientCredentials,
    CoachingClient,
    CoachingError,
    RateLimit,
    SharedStateFound,
    SharedStateLost,
)
from coaching_async._shared_state import connection, file_store
from tests.support.counting import opened
from tests.support.fault_server import HANG

__all__ = ["Asked", "Fleet", "Service"]

CREDENTIALS: Final = ClientCredentials("sandbox-id", "sandbox-secret")


@attrs.frozen
class Asked:
    """What the service was asked."""

    tokens: int
    """Tokens that were requested."""
    arrivals: list[float]
    """When requests of the API arrived, in seconds."""
    refused: int
    """Requests that were answered with 429."""

    def most_in(self, window: float) -> int:
        """Return the largest number of requests that arrived in any stretch of so many seconds."""
        return max(
            number - bisect_right(self.arrivals, at - window) for number, at in enumerate(self.arrivals, start=1)
        )

    def between(self, begin: float, end: float) -> int:
        """Return the number of requests that arrived in a stretch, in seconds since the first one."""
        first = self.arrivals[0]
        return sum(first + begin <= at < first + end for at in self.arrivals)


class Service:
    """A sandbox in a process of its own. `with` starts it, and `asked` is there when the block has ended."""

    asked: Asked

    def __init__(self, **options: Any) -> None:
        self._options = options

    def __enter__(self) -> Self:
        self._process = _started("service", self._options)
        assert self._process.stdout
        self.url, self.appointment_id = self._process.stdout.readline().split()
        return self

    def __exit__(self, *_: object) -> None:
        answer, _ = self._process.communicate()
        self.asked = Asked(**json.loads(answer))


class Fleet:
    """Processes that call a service. `roles` has a word for each: `bulk/asyncio` or `direct/trio`. `with` runs them.

    `is_patient` makes them wait for the shared state however busy the machine is.
    """

    def __init__(
        self,
        url: str,
        appointment_id: str,
        store: str,
        address: str,
        limit: RateLimit,
        roles: list[str],
        *,
        is_patient: bool = False,
    ) -> None:
        self._options = {
            "is_patient": is_patient,
            "url": url,
            "appointment_id": appointment_id,
            "store": store,
            "address": address,
            "limit": [limit.requests, limit.per],
            "roles": roles,
        }
        self.happened: list[Counter[str]] = [Counter() for _ in roles]
        """How often each thing happened to each process: "answered", "lost", "found", "ended", or an error's name."""
        self.waits: list[float] = []
        """Seconds that each direct call took."""

    def __enter__(self) -> Self:
        self._process = _started("workers", self._options)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._process:
            assert self._process.stdin
            self._process.stdin.close()
            if kind is None:
                self.wait_for("ended")
            else:
                self._process.kill()

    def wait_for(self, what: str, times: int = 1) -> None:
        """Wait until this has happened to each process so many times more."""
        assert self._process.stdout
        before = [counter[what] for counter in self.happened]
        while any(now[what] < was + times for now, was in zip(self.happened, before, strict=True)):
            number, word, seconds = self._process.stdout.readline().split()
            self.happened[int(number)][word] += 1
            if word == "answered" and self._options["roles"][int(number)].startswith("direct"):
                self.waits.append(float(seconds))

    @property
    def total(self) -> Counter[str]:
        """How often each thing happened to any process."""
        return sum(self.happened, Counter())


def _started(what: str, options: dict[str, Any]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.support.fleet_processes", what, json.dumps(options)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def serve(options: dict[str, Any]) -> None:
    from coaching_async.sandbox import Sandbox  # not imported by the workers

    with Sandbox(appointments=5, users=2, **options) as sandbox:
        print(sandbox.base_url, next(iter(sandbox.state.appointments)), flush=True)  # noqa: T201
        sys.stdin.read()
        calls = [request for request in sandbox.requests if request.path.startswith("/api/")]
        asked = Asked(
            sum(request.path == "/oauth/token" for request in sandbox.requests),
            sorted(call.at.timestamp() for call in calls),
            sum(call.status == 429 for call in calls),
        )
        print(json.dumps(attrs.asdict(asked)), flush=True)  # noqa: T201


async def work(number: int, role: str, options: dict[str, Any]) -> None:
    """Call the service until the standard input ends. Print what happens."""

    def happened(word: str, seconds: float = 0.0) -> None:
        os.write(1, f"{number} {word} {seconds}\n".encode())

    def on_event(event: object) -> None:
        match event:
            case SharedStateLost():
                happened("lost")
            case SharedStateFound():
                happened("found")
            case _:
                pass

    async with (
        opened(options["store"], options["address"]) as shared_state,
        CoachingClient(
            CREDENTIALS,
            base_url=options["url"],
            rate_limit=RateLimit(options["limit"][0], per=options["limit"][1]),
            shared_state=shared_state,
            on_event=on_event,
        ) as client,
        anyio.create_task_group() as tasks,
    ):

        async def call(_: object) -> None:
            asked_at = anyio.current_time()
            try:
                await client.appointments.get(options["appointment_id"])
            except CoachingError as error:
                happened(type(error).__name__)
            else:
                happened("answered", anyio.current_time() - asked_at)

        async def call_often() -> None:
            if role == "bulk":
                await client.bulk(call, count())
            while True:
                await call(None)
                await anyio.sleep(random.uniform(0.2, 0.6))

        tasks.start_soon(call_often)
        await anyio.wait_readable(sys.stdin)
        tasks.cancel_scope.cancel()
    happened("ended")


def run_workers(options: dict[str, Any]) -> None:
    if options["is_patient"]:
        connection.OPERATION_TIMEOUT = file_store.LOCK_TIMEOUT = HANG
    for number, word in enumerate(options["roles"]):
        if not os.fork():
            role, backend = word.split("/")
            anyio.run(work, number, role, options, backend=backend)
            os._exit(0)
    for _ in options["roles"]:
        os.wait()


if __name__ == "__main__":
    match sys.argv[1]:
        case "service":
            serve(json.loads(sys.argv[2]))
        case _:
            run_workers(json.loads(sys.argv[2]))
