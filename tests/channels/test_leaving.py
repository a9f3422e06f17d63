"""A listener may be left at any moment, in any way, and leaves nothing behind."""

import sys

import pytest

from coaching_async._channels.machine import sockets
from tests.support.fast_machine import hurry
from tests.support.leaving import WAYS, leave_again_and_again

pytestmark = [pytest.mark.anyio, pytest.mark.real_time]


@pytest.mark.skipif(sys.platform != "linux", reason="counts the file descriptors of Linux")
async def test_nothing_is_left_of_listeners_that_were_left(anyio_backend_name: str, monkeypatch: pytest.MonkeyPatch):
    hurry(monkeypatch)
    monkeypatch.setattr(sockets, "MAX_TAKEN", 1_000_000)

    await leave_again_and_again(WAYS[anyio_backend_name], rounds=3, seed=11)
