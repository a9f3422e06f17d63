"""What decoding, a call and a walk cost in instructions of Python's virtual machine: no clock, so it is the same on any machine.

    python -m benchmarks.guard    compare with guard.json; exit 1 where something costs a tenth more
    make record                   take down in guard.json what it costs now, on each Python that is here

Counted are the instructions of our own code, what attrs writes for our classes included, and those of them that call something:
what C code does inside of a call is not seen, so one more call has to be. The instructions of the libraries are counted too, and
compared where Python and the libraries are those that were recorded: else it is they that changed.
"""

import argparse
import asyncio
import dis
import functools
import gc
import json
import platform
import sys
from collections.abc import AsyncIterable, Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

import httpx

import coaching_async
from coaching_async import AccessToken, Appointment, CoachingClient, Page
from coaching_async._serialization import json as _json
from coaching_async._serialization.codec import decode
from coaching_async._transport.messages import CallContext, Request, Response, Send
from coaching_async._transport.retry_policy import RetryPolicy, Safety

PACKAGE = str(Path(coaching_async.__file__).parent)
EXAMPLE = json.loads((Path(__file__).parent.parent / "tests" / "data" / "examples" / "appointment.json").read_text())
RECORD = Path(__file__).with_suffix(".json")
LIBRARIES = ("anyio", "attrs", "cattrs", "httpx")
ANSWER = Response(200)
TOLERATED = 0.1
WARM_UP = 3
"""Each thing is done so often before it is counted: the first times are not like the others."""

Do = Callable[[], Awaitable[object]]


class Cost(NamedTuple):
    """Instructions of our own code, how many of them are calls, and the instructions of all code."""

    instructions: int
    calls: int
    instructions_with_libraries: int


OURS = ("instructions", "calls")


CALLS = {dis.opmap[name] for name in ("CALL", "CALL_KW", "CALL_FUNCTION_EX") if name in dis.opmap}


class Counter:
    """Instructions since it began."""

    def __init__(self) -> None:
        self.ours = self.calls = self.all = 0

    def count(self, code: CodeType, offset: int) -> None:
        """Count one."""
        self.all += 1
        if (instructions := our_instructions(code)) is not None:
            self.ours += 1
            self.calls += instructions[offset] in CALLS


@functools.cache
def our_instructions(code: CodeType) -> bytes | None:
    """None if they are not ours."""
    name = code.co_filename
    is_ours = name.startswith(PACKAGE) or (name.startswith("<") and coaching_async.__name__ in name)
    return code.co_code if is_ours else None


@contextmanager
def traced(counter: Counter) -> Iterator[None]:
    """For Python 3.11, which knows no other way."""

    def trace(frame: FrameType, event: str, _: object) -> Any:
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            counter.count(frame.f_code, frame.f_lasti)
        return trace

    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(None)


@contextmanager
def monitored(counter: Counter) -> Iterator[None]:
    """For Python 3.12 and later, whose tracing leaves instructions out."""
    monitoring = sys.monitoring
    tool, instruction = monitoring.PROFILER_ID, monitoring.events.INSTRUCTION
    monitoring.use_tool_id(tool, "guard")
    monitoring.register_callback(tool, instruction, counter.count)
    monitoring.set_events(tool, instruction)
    try:
        yield
    finally:
        monitoring.set_events(tool, 0)
        monitoring.free_tool_id(tool)


async def cost(do: Do) -> Cost:
    """Do it, and count."""
    for _ in range(WARM_UP):
        await do()
    counter = Counter()
    with (monitored if hasattr(sys, "monitoring") else traced)(counter):
        await do()
    return Cost(counter.ours, counter.calls, counter.all)


def page(entities: list[Any]) -> bytes:
    """The JSON of a list that has one page."""
    counts = {"pageSize": len(entities), "pageNumber": 1, "pageCount": 1, "total": len(entities)}
    return json.dumps({"entities": entities} | counts).encode()


async def measure() -> dict[str, Cost]:
    """Everything, with all layers on, over a transport in memory."""
    bare = [{"id": str(number)} for number in range(100)]
    one, full, several = json.dumps(bare[0]).encode(), page([EXAMPLE] * 100), page(bare)

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=several if request.url.query else one)

    _json.orjson = None  # type: ignore[assignment] # not everybody has it, and of what it does nothing is counted
    gc.disable()  # a collection runs what weak references left behind, whenever it comes
    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http,
        CoachingClient(AccessToken("none"), base_url="https://api.test", http_client=http) as client,
    ):
        return {
            "decoding a page of 100": await cost(lambda: decoding(full)),
            "a call": await cost(lambda: client.appointments.get("1")),
            "a walk over 100 bare items": await cost(partial(walked, client.appointments.list("user"))),
            "collecting 100 bare items": await cost(lambda: client.appointments.list("user").collect()),
            "the layers of a request": await cost(partial(layers(client), request())),
        }


async def decoding(content: bytes) -> Page[Appointment]:
    """Decode a page."""
    return decode(Page[Appointment], content)


async def walked(items: AsyncIterable[object]) -> None:
    """Step by step."""
    async for _ in items:
        pass


def layers(client: CoachingClient) -> Send:
    """Those of the client itself, with something that answers at once at their bottom."""

    async def bottom(_: Request) -> Response:
        return ANSWER

    top: Any = client._api.get_session().pipeline(client._api.identity).send
    lowest = top
    while hasattr(lowest.send, "send"):
        lowest = lowest.send
    lowest.send = bottom
    return top


def request() -> Request:
    """One that has nothing special about it."""
    call = CallContext("guard", lambda _: None, RetryPolicy())
    return Request(call, "GET", "https://api.test/", Safety.SAFE)


def environment() -> dict[str, str]:
    """What decides how many instructions libraries take."""
    return {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES}


def record(file: Path, series: str, found: dict[str, Cost]) -> None:
    """Take it down for one version of Python, and leave the others as they are."""
    records = json.loads(file.read_text()) if file.exists() else {}
    records[series] = {"environment": environment(), "costs": {what: cost._asdict() for what, cost in found.items()}}
    file.write_text(json.dumps(dict(sorted(records.items())), indent=2) + "\n")


def compare(then: dict[str, Any], found: dict[str, Cost]) -> Iterator[tuple[str, float]]:
    """What has been recorded, and by how much more it costs now: 0.1 is a tenth."""
    kinds = Cost._fields if then["environment"] == environment() else OURS
    for what, costs in then["costs"].items():
        for kind in kinds:
            now = getattr(found[what], kind)
            yield f"{what}: {now:,} {kind.replace('_', ' ')}", now / costs[kind] - 1


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="What decoding, a call and a walk cost, beside what they cost before.")
    parser.add_argument(
        "--record", action="store_true", help="take down what they cost now, for this version of Python"
    )
    parser.add_argument("file", type=Path, nargs="?", default=RECORD, help="where it is taken down: guard.json")
    given = parser.parse_args()
    series = f"{sys.version_info.major}.{sys.version_info.minor}"
    found = asyncio.run(measure(), debug=False)
    if given.record:
        record(given.file, series, found)
        return 0
    records = json.loads(given.file.read_text()) if given.file.exists() else {}
    if series not in records:
        print(f"nothing is recorded for Python {series}: make record")
        return 0
    if records[series]["costs"].keys() != found.keys():
        print("other things are measured than were recorded: make record")
        return 1
    growths = dict(compare(records[series], found))
    for line, growth in growths.items():
        print(f"{line}, {growth:+.1%}{' TOO MUCH' if growth > TOLERATED else ''}")
    if max(growths.values()) <= TOLERATED:
        return 0
    print(f"More than {TOLERATED:.0%}: mend it or, where it is worth that, `make record`.")
    return 1


if __name__ == "__main__":
    sys.exit(main())
