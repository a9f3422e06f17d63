"""What the tests of all rows share."""

import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import FrameType
from typing import Any

import anyio
import pytest

from coaching_async import AppointmentCreate, ClientCredentials, CoachingClient, CoachingError, RetryPolicy
from tests.support.fault_server import HANG

CLIENT_ID = "a-client-id"
SECRET = "c4n4ry-secret"
TOKEN = "c4n4ry-token"
COOKIE = "c4n4ry-cookie"
CANARY = "c4n4ry"
"""A part of each secret: token, client secret, cookies."""

APPOINTMENT = {"id": "an-appointment", "name": "n"}
ANNOTATION = {"id": "an-annotation", "text": "t"}
NEW = AppointmentCreate(
    name="n",
    description="d",
    date_start=datetime(2026, 11, 20, tzinfo=UTC),
    length_in_minutes=30,
    attendee_ids=["user-1"],
)

NO_BACKOFF = RetryPolicy(max_backoff=0.01)
"""The default policy almost without backoff, for tests on the real clock."""


class Source:
    """A token source whose token contains the canary."""

    async def token(self, rejected: str | None = None) -> str:
        return TOKEN


def client_to(url: str, **options: Any) -> CoachingClient:
    """Return a client of a server on this machine. With `auth=credentials()` it requests a token there first."""
    options = {"retry": NO_BACKOFF, "timeout": 10 * HANG} | options  # longer than a test waits before it reports a hang
    return CoachingClient(options.pop("auth", None) or Source(), base_url=url, **options)


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait until a condition is true that another thread makes true. A hang is a failure."""
    with anyio.fail_after(HANG):
        while not condition():  # noqa: ASYNC110 # another thread makes it true
            await anyio.sleep(0.001)


def credentials() -> ClientCredentials:
    return ClientCredentials(CLIENT_ID, SECRET)


@contextmanager
def failing(kind: type[BaseException] | tuple[type[BaseException], ...], match: str | None = None) -> Iterator[Any]:
    """Assert that an error is raised, as `pytest.raises` does, that it shows no secret, and that it can be pickled."""
    with pytest.raises(kind, match=match) as caught:
        yield caught
    show_no_secret(caught.value)


def show_no_secret(error: BaseException) -> None:
    """Assert that an error shows no secret in its text, attributes, causes, pickle, and the client's frames."""
    for each in chain(error):
        said = [repr(each), str(each), repr(vars(each)), *getattr(each, "__notes__", ())]
        said += [repr(frame.f_locals) for frame in frames(each) if "coaching_async/" in frame.f_code.co_filename]
        assert CANARY not in " ".join(said), type(each)
        assert getattr(each, "_request", None) is None, "its request contains the token"
    if isinstance(error, CoachingError):
        twin = pickle.loads(pickle.dumps(error))
        assert CANARY.encode() not in pickle.dumps(error)
        assert (type(twin), str(twin), vars(twin).keys()) == (type(error), str(error), vars(error).keys())


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all its causes and contexts."""
    waiting: list[BaseException | None] = [error]
    while waiting:
        if each := waiting.pop():
            yield each
            waiting += [each.__cause__, each.__context__]


def frames(error: BaseException) -> Iterator[FrameType]:
    traceback = error.__traceback__
    while traceback:
        yield traceback.tb_frame
        traceback = traceback.tb_next
