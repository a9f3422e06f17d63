"""Listeners that are left at a random moment, in every way, while their WebSockets are disturbed."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import anyio
import pytest
from anyio.lowlevel import checkpoint

from coaching_async import CoachingClient
from coaching_async.sandbox import Sandbox
from tests.support.cancelling import Action, Way, by_scope, by_task_cancel, by_timeout, by_two_cancels
from tests.support.chaos import PATIENCE, chaotic_sandbox, client_of, sockets_closed
from tests.support.fault_server import tasks_now

__all__ = ["WAYS", "descriptors", "leave_again_and_again"]


class OwnError(Exception):
    """An error of the user's block."""


async def by_error(call: Action, moment: Action) -> bool:
    await moment()
    with pytest.raises(OwnError):
        await call()
    return True


WAYS: Final[dict[str, list[Way]]] = {
    "asyncio": [by_scope, by_task_cancel, by_two_cancels, by_timeout, by_error],
    "trio": [by_scope, by_error],
}


async def leave_again_and_again(ways: Sequence[Way], rounds: int, seed: int) -> None:
    """Enter and leave listeners, `rounds` times in each way. Afterwards no task, file descriptor or socket is left of them."""
    chance = random.Random(seed)
    async with chaotic_sandbox() as sandbox:
        held, tasks = descriptors(), tasks_now()
        async with client_of(sandbox) as client:
            for way in [*ways] * rounds:
                await _round(sandbox, client, way, chance)
                with anyio.fail_after(PATIENCE):
                    while tasks_now() > tasks:
                        await checkpoint()
            await sockets_closed(sandbox)
            async with client.notifications.listen() as stream:
                made = sandbox.notify(sandbox.state.user_ids[0])["id"]
                with anyio.fail_after(PATIENCE):
                    assert (await anext(stream)).id == made
        await _settled(held)


async def _round(sandbox: Sandbox, client: CoachingClient, way: Way, chance: random.Random) -> None:
    seconds = chance.choice([0.0, 0.02, 0.1, 0.3]) * chance.random()
    disturbed = chance.random() < 0.7
    with sandbox.state.lock:
        for id_ in list(sandbox.state.notifications)[:-100]:
            del sandbox.state.notifications[id_]

    async def moment() -> None:
        end = anyio.current_time() + seconds
        while anyio.current_time() < end:
            if disturbed and (sockets := list(sandbox.sockets)):
                order = chance.choice(["drop", "close", "freeze", "say_closing", "mute", "garble", "evict"])
                getattr(chance.choice(sockets), order)()
            sandbox.notify(sandbox.state.user_ids[0])
            await anyio.sleep(min(0.02, seconds))

    async def listen() -> None:
        async with client.notifications.listen(buffer=3) as stream:
            if way is by_error:
                await moment()
                raise OwnError
            async for _ in stream:
                await anyio.sleep(0.01 * chance.random())

    async def at_once() -> None:
        pass

    await way(listen, at_once if way is by_error else moment)


def descriptors() -> int:
    """Return the number of open file descriptors of this process."""
    return len(list(Path("/proc/self/fd").iterdir()))


async def _settled(held: int) -> None:
    """Wait until no more than these file descriptors are open: the sandbox closes its own a little later."""
    with anyio.fail_after(PATIENCE):
        while descriptors() > held:  # noqa: ASYNC110 - nothing announces it
            await anyio.sleep(0.02)
