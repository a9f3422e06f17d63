"""Whatever happens to a listener, neither its token, nor a channel's id or address, nor a user's id is shown anywhere."""

import json
import logging
import pickle
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from coaching_async import CoachingError, Event, Gap, TopicStream
from coaching_async._channels.machine import state_machine
from coaching_async.sandbox import Fault, Sandbox
from coaching_async.sandbox._channels import channels as sandbox_channels
from tests.channels.test_listening_laws import BACKENDS, notify, topic
from tests.faults.support import chain, frames
from tests.support.chaos import PATIENCE, client_of
from tests.support.effort import FULL, combinations
from tests.support.fast_machine import hurry

pytestmark = [pytest.mark.anyio, pytest.mark.real_time]

CHANNEL = "canary-of-channel"
FRAMES_NESTED = "[" * 100_000
TOPIC_IS_NO_TEXT = json.dumps({"topicName": {"a": 1}, "eventBody": {}})


class Shown(logging.Handler):
    """Everything that the client shows: log records of its thread at any level, events, errors."""

    def __init__(self) -> None:
        super().__init__(level=1)
        self.secrets: list[str] = [CHANNEL]
        self.persons: list[str] = []
        self.leaks: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.check(f"log of {record.name}", record.getMessage())

    def event(self, event: Event) -> None:
        self.check("event", f"{event!r} {event}")

    def error(self, error: BaseException) -> None:
        for each in chain(error):
            self.check("error", f"{each!r} {each} {vars(each)!r} {getattr(each, '__notes__', '')}")
            for frame in frames(each):
                if "coaching_async/" in frame.f_code.co_filename:
                    self._check(f"frame {frame.f_code.co_qualname}", repr(frame.f_locals), self.secrets)
        self.check("pickle", pickle.dumps(error).decode(errors="replace"))
        assert type(pickle.loads(pickle.dumps(error))) is type(error)

    def check(self, where: str, text: str) -> None:
        self._check(where, text, [*self.secrets, *self.persons])

    def _check(self, where: str, text: str, secrets: list[str]) -> None:
        self.leaks += [f"{where}: {text}" for secret in secrets if secret in text]


@pytest.fixture
def shown() -> Iterator[Shown]:
    shown, root = Shown(), logging.getLogger()
    root.addHandler(shown)
    yield shown
    root.removeHandler(shown)


def status(code: int, method: str, **options: Any) -> Callable[[Sandbox], None]:
    return lambda sandbox: sandbox.faults.add(
        Fault("status", method, "/api/v2/notifications/channels", status=code, **options)
    )


def fault(kind: str, path: str = "/api/v2/notifications/channels", **options: Any) -> Callable[[Sandbox], None]:
    return lambda sandbox: sandbox.faults.add(Fault(kind, path=path, **options))


def refused(code: int) -> Callable[[Sandbox], None]:
    return lambda sandbox: sandbox.sockets.refuse_handshakes(code)


def closed(code: int) -> Callable[[Sandbox], None]:
    return lambda sandbox: sandbox.sockets.close(code, CHANNEL)


def evicted(sandbox: Sandbox) -> None:
    """Evict the channel as often as it takes."""
    sandbox.sockets.evict()


ENTERING: dict[str, Callable[[Sandbox], None] | None] = {
    "nothing": None,
    **{f"handshake refused with {code}": refused(code) for code in (302, 400, 401, 403, 404, 410, 429, 503)},
    **{f"{method} with {code}": status(code, method) for method in ("POST", "PUT") for code in (400, 403, 404, 429, 503)},
    "POST for ever 500": status(500, "POST", times=1000),
    "another host": status(
        200,
        "POST",
        body={"id": f"{CHANNEL}-1", "connectUri": f"wss://elsewhere.example/{CHANNEL}-1"},
        times=1000,
    ),
    "no address": status(200, "POST", body={"id": f"{CHANNEL}-1", "connectUri": f"not a URI {CHANNEL}"}, times=1000),
    "wrong shape": fault("wrong_shape", times=1000),
    **{kind: fault(kind) for kind in ("drop_before", "drop_after", "html", "garbage", "half_body", "redirect")
       if kind != "redirect"},
    "redirect": fault("redirect", location="https://elsewhere.example/", times=1000),
}  # fmt: skip


ORDERS: dict[str, Callable[[Sandbox], None]] = {
    "dropped": lambda sandbox: sandbox.sockets.drop(),
    **{f"closed with {code}": closed(code) for code in (1000, 1001, 1011, 4000)},
    "frozen": lambda sandbox: sandbox.sockets.freeze(),
    "muted": lambda sandbox: sandbox.sockets.mute(),
    "closing": lambda sandbox: sandbox.sockets.say_closing(0.5),
    "evicted": lambda sandbox: sandbox.sockets.evict(),
    "doubled": lambda sandbox: sandbox.sockets.double(),
    "garbled": lambda sandbox: sandbox.sockets.garble(),
    "too large": lambda sandbox: sandbox.sockets.say(CHANNEL * 100_000),
    "nested": lambda sandbox: sandbox.sockets.say(FRAMES_NESTED),
    "no topic": lambda sandbox: sandbox.sockets.say('{"eventBody": {}}'),
    "topic that is no text": lambda sandbox: sandbox.sockets.say(TOPIC_IS_NO_TEXT),
    "wrong shape": lambda sandbox: sandbox.sockets.say(f'{{"topicName": "{topic(sandbox)}", "eventBody": 7}}'),
    "no id": lambda sandbox: sandbox.sockets.say(f'{{"topicName": "{topic(sandbox)}", "eventBody": {{}}}}'),
    "secret in what cannot be read": lambda sandbox: sandbox.sockets.say(f'{{"topicName": ["{CHANNEL}"]}}'),
    "token revoked": lambda sandbox: sandbox.oauth.revoke_all(),
    "list fails": lambda sandbox: (fault("status", "/coaching/notifications", status=503, times=5)(sandbox), sandbox.sockets.drop()),  # type: ignore[func-returns-value]
    "requests fail": lambda sandbox: (fault("status", status=503, times=5)(sandbox), sandbox.sockets.drop()),  # type: ignore[func-returns-value]
    "forbidden": lambda sandbox: (status(403, "PUT")(sandbox), sandbox.sockets.drop()),  # type: ignore[func-returns-value]
}  # fmt: skip


def rows(all_: Iterable[str], *few: str) -> list[str]:
    """Return all rows, or in `make test` a few."""
    return list(all_) if FULL else list(few)


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch, shown: Shown) -> Iterator[Sandbox]:
    hurry(monkeypatch)
    monkeypatch.setattr(state_machine, "AUDIT_INTERVAL", 50.0)
    monkeypatch.setattr(sandbox_channels, "uuid", SimpleNamespace(uuid4=lambda: f"{CHANNEL}-{uuid.uuid4()}"))
    with Sandbox(appointments=20, users=2, heartbeat=0.05) as sandbox:
        shown.persons.append(sandbox.state.user_ids[0])
        yield sandbox


async def _listen(sandbox: Sandbox, shown: Shown, order: Callable[[Sandbox], None] | None, *, raw: bool) -> None:
    """Listen until a notification comes after the order was given, or an error."""
    async with client_of(sandbox, shown.event) as client:
        shown.secrets += list(sandbox.oauth._issued)
        gaps: list[Gap] = []
        stream = client.topics.subscribe(topic(sandbox)) if raw else client.notifications.listen(on_gap=gaps.append)
        try:
            with anyio.fail_after(PATIENCE):
                async with stream:
                    for _ in range(5 if order is evicted else 1):
                        if order:
                            order(sandbox)
                        if isinstance(stream, TopicStream):
                            notify(sandbox)
                            await anyio.sleep(0.1)  # what is made without a socket does not come
                        notify(sandbox)
                        item = await anext(stream)
                        shown.check("gap", repr(item) if isinstance(item, Gap) else "")
                    shown.check("stream", f"{stream!r} {stream.report!r} {gaps!r}")
        except CoachingError as error:
            shown.error(error)


@pytest.mark.parametrize(
    ("anyio_backend", "happening"),
    combinations(BACKENDS, rows(ENTERING, "another host", "PUT with 403", "handshake refused with 404")),
    indirect=["anyio_backend"],
)
async def test_no_secret_is_shown_whatever_happens_while_the_block_is_entered(
    sandbox: Sandbox, shown: Shown, happening: str
):
    if order := ENTERING[happening]:
        order(sandbox)
    await _listen(sandbox, shown, None, raw=False)

    assert shown.leaks == []


@pytest.mark.parametrize(
    ("anyio_backend", "happening"),
    combinations(BACKENDS, rows(ORDERS, "dropped", "garbled", "token revoked", "forbidden")),
    indirect=["anyio_backend"],
)
async def test_no_secret_is_shown_whatever_happens_to_a_listener(sandbox: Sandbox, shown: Shown, happening: str):
    await _listen(sandbox, shown, ORDERS[happening], raw=False)

    assert shown.leaks == []


async def test_no_secret_is_shown_when_the_channel_is_taken_again_and_again(sandbox: Sandbox, shown: Shown):
    await _listen(sandbox, shown, evicted, raw=False)

    assert shown.leaks == []
