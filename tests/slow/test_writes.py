"""Many writes under random faults: each is carried out at most once, and reported truthfully.

LONG_WRITES is the total number, half of it on each backend.
"""

import os
import random
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import attrs
import pytest

from coaching_async import (
    AppointmentCreate,
    AppointmentUpdate,
    ClientCredentials,
    CoachingClient,
    CoachingError,
    RateLimit,
    RetryPolicy,
)
from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET, Sandbox
from coaching_async.sandbox import Fault as Ordered
from coaching_async.sandbox._state.state import State
from tests.support.fault_server import Fault, FaultProxy

WRITES = int(os.environ.get("LONG_WRITES", "10000")) // 2
SEED = 20261124
TASKS = 8

pytestmark = [pytest.mark.anyio, pytest.mark.real_time, pytest.mark.timeout(120 + WRITES)]

PROMISED = {"success": {1}, "no": {0}, "maybe": {0, 1}, "yes": {1}}
"""What the client may report, and how often the service may have carried the write out."""


@attrs.frozen
class Write:
    """One write, with its tag in the journal."""

    kind: str
    tag: str
    send: Callable[[CoachingClient], Awaitable[object]]


TAGS: dict[str, Callable[..., str]] = {
    "create": lambda _id, body, _by: body["name"],
    "update": lambda _id, body, _by: body["location"],
    "set_status": lambda id_, _status, _by: f"status of {id_}",
    "delete": lambda id_, _by: id_,
    "add_annotation": lambda _id, body, _by: body["text"],
    "edit_annotation": lambda _id, _note, text, _by: text,
    "delete_annotation": lambda _id, note, _by: note,
}
"""The methods that change the sandbox's state, and the tag of the write by their arguments."""


def journal_of(patch: pytest.MonkeyPatch) -> Counter[str]:
    """Return a counter of how often the sandbox carries each write out from now on."""
    journal = Counter[str]()

    def noting(change: Callable[..., Any], tag: Callable[..., str]) -> Callable[..., Any]:
        def noted(state: State, *arguments: Any) -> Any:
            result = change(state, *arguments)
            journal[tag(*arguments)] += 1
            return result

        return noted

    for name, tag in TAGS.items():
        patch.setattr(State, name, noting(getattr(State, name), tag))
    return journal


def planned(sandbox: Sandbox, choices: random.Random) -> Iterator[Write]:
    """Yield writes of all kinds, each with a tag or an object of its own."""
    state = sandbox.state
    things = iter([id_ for id_, each in state.appointments.items() if each["status"] != "Completed"])
    shared = next(things)

    def note() -> str:
        return state.add_annotation(shared, {"text": "before", "accessType": "Public"}, None)["id"]

    def write(kind: str, tag: str) -> Write:
        match kind:
            case "create":
                new = AppointmentCreate(
                    name=tag,
                    description="d",
                    date_start=datetime.now(UTC) + timedelta(days=1),
                    length_in_minutes=30,
                    attendee_ids=state.user_ids[:1],
                )
                return Write(kind, tag, lambda client: client.appointments.create(new))
            case "update":
                changes = AppointmentUpdate(location=tag)
                return Write(kind, tag, lambda client: client.appointments.update(shared, changes))
            case "set_status":
                id_ = next(things)
                return Write(kind, f"status of {id_}", lambda client: client.appointments.set_status(id_, "InProgress"))
            case "delete":
                id_ = next(things)
                return Write(kind, id_, lambda client: client.appointments.delete(id_))
            case "add_annotation":
                return Write(kind, tag, lambda client: client.annotations.create(shared, tag, access_type="Public"))
            case "edit_annotation":
                id_ = note()
                return Write(kind, tag, lambda client: client.annotations.update(shared, id_, tag))
            case _:
                id_ = note()
                return Write(kind, id_, lambda client: client.annotations.delete(shared, id_))

    kinds = [*TAGS, "create", "create"]
    for number in range(WRITES):
        yield write(choices.choice(kinds), f"write {number}")


def late(number: int) -> Fault:
    """Return the delay of the n-th connection, at a random byte."""
    choices = random.Random(f"late {SEED} {number}")
    return Fault("delay", choices.choice(["up", "down"]), choices.randrange(6_000), seconds=choices.uniform(0, 0.05))


def broken(number: int) -> Fault:
    """Return how the n-th connection breaks, at a random byte."""
    choices = random.Random(f"broken {SEED} {number}")
    kind = choices.choices(["cut", "reset", "blackhole"], [50, 50, 1])[0]
    at = choices.choice([choices.randrange(1_000), choices.randrange(20_000)])
    return Fault(kind, choices.choice(["up", "down"]), at)


def ordered(choices: random.Random) -> tuple[Ordered, ...]:
    """Return the faults of the next requests in the sandbox. Mostly there are none."""
    match choices.randrange(40):
        case 0:
            return (Ordered("status", path=API, status=503),)
        case 1:
            return (Ordered("status", path=API, status=500),)
        case 2:
            return (Ordered("status", path=API, status=429, retry_after=0, times=choices.choice([1, 12])),)
        case 3:
            return (Ordered("accepted", path="appointments(/[^/]+)?$"),)
        case 4 if choices.random() < 0.3:
            return (Ordered("revoke", path=API),)
        case 5 if choices.random() < 0.1:
            return (Ordered("revoke", path=API), Ordered("status", path="oauth/token", status=503, times=4))
        case _:
            return ()


API = "^/api/"


async def reported(client: CoachingClient, write: Write) -> str:
    """Return what the client reports of a write. Repeat a write that was not sent because there was no token."""
    while True:
        try:
            await write.send(client)
        except CoachingError as error:
            if error.attempts or error.processed != "no":
                return f"{error.processed} {type(error).__name__}"
            await anyio.sleep(0.25)
        else:
            return "success"


async def test_each_write_is_carried_out_at_most_once_and_reported_truthfully(
    anyio_backend_name: str, monkeypatch: pytest.MonkeyPatch, show: Callable[[str], None]
):
    choices = random.Random(SEED)
    reports: dict[str, str] = {}
    async with Sandbox(appointments=WRITES, users=4, seed=SEED) as sandbox:
        writes = list(planned(sandbox, choices))
        names_before = Counter(appointment["name"] for appointment in sandbox.state.appointments.values())
        journal = journal_of(monkeypatch)
        waiting = iter(writes)
        with (
            FaultProxy(int(sandbox.base_url.rpartition(":")[2]), broken) as inner,
            FaultProxy(inner.port, late) as proxy,
        ):
            auth = ClientCredentials(CLIENT_ID, CLIENT_SECRET)
            client = CoachingClient(
                auth,
                base_url=proxy.url,
                timeout=2.0,
                retry=RetryPolicy(max_backoff=0.01, throttle_waits=1),
                rate_limit=RateLimit(1_000_000),
            )

            async def work() -> None:
                for write in waiting:
                    if not sandbox.faults.pending:
                        sandbox.faults.add(*ordered(choices))
                    reports[write.tag] = await reported(client, write)

            started = anyio.current_time()
            async with client, anyio.create_task_group() as tasks:
                for _ in range(TASKS):
                    tasks.start_soon(work)
            seconds, stats = anyio.current_time() - started, client.stats()
            connections = proxy.accepted

    times = defaultdict[str, Counter[int]](Counter)
    for write in writes:
        times[reports[write.tag]][journal[write.tag]] += 1
    kinds = Counter(write.kind for write in writes)
    show(f"{WRITES} writes on {anyio_backend_name}, seed {SEED}: {seconds:.0f} s, {connections} connections, {stats}")
    show(f"kinds: {', '.join(f'{count} {kind}' for kind, count in kinds.most_common())}")
    for report, stored in sorted(times.items()):
        show(
            f"{report:28} {', '.join(f'{count} carried out {often} times' for often, count in sorted(stored.items()))}"
        )

    lies = [
        (write, reports[write.tag], journal[write.tag])
        for write in writes
        if journal[write.tag] not in PROMISED[reports[write.tag].partition(" ")[0]]
    ]
    assert lies == []
    made = Counter(appointment["name"] for appointment in sandbox.state.appointments.values()) - names_before
    assert made.keys() == {write.tag for write in writes if write.kind == "create" and journal[write.tag]}
    assert set(made.values()) == {1}
    met = {report.partition(" ")[0] for report in times}
    assert met == PROMISED.keys(), "too few writes for every outcome to be met"
