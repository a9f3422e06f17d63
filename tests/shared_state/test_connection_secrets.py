"""What is stored is in no frame of an error, because a shared state holds the access token."""

import traceback
from typing import Any

import anyio
import pytest

from coaching_async._concurrency.tasks import BackgroundTasks
from coaching_async._shared_state.connection import SharedStateConnection, SharedStateUnavailable
from coaching_async._value import Secret
from coaching_async.testing import MemorySharedState

pytestmark = pytest.mark.anyio

TOKEN = "t0ken-of-an-oauth-client"


class Unlucky(MemorySharedState):
    """Fails with an error that quotes what is stored."""

    async def swap(self, name: str, old: str | None, new: str, keep: float) -> bool:
        if self.down:
            raise ConnectionError(f"cannot write {new}")
        return await super().swap(name, old, new, keep)


def written(error: BaseException) -> str:
    told: Any = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join(told.format())


@pytest.mark.parametrize("fault", ["hangs", "down"])
async def test_a_failed_or_cancelled_operation_shows_no_text(fault: str):
    store = Unlucky()
    background = BackgroundTasks()
    connection = SharedStateConnection(store, lambda _: None, background.spawn)
    assert await connection.swap("name", None, Secret(f"{TOKEN}-1"), 60)
    loaded = await connection.load("name", lambda text: len(text or ""))
    setattr(store, fault, True)

    with pytest.raises((TimeoutError, SharedStateUnavailable)) as caught, anyio.fail_after(0.2):
        await connection.swap("name", loaded.text, Secret(f"{TOKEN}-2"), 60)

    assert TOKEN not in written(caught.value)
    connection.close()
    await background.wait_until_idle()
