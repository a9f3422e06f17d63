"""Listening while everything goes wrong: a sandbox that makes notifications, and orders that disturb it, at random."""

import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable

import anyio
import attrs

from coaching_async import (
    AccessToken,
    CoachingClient,
    Event,
    Notification,
    RateLimit,
    RefreshToken,
    RetryPolicy,
    TokenSource,
)
from coaching_async.sandbox import Fault, Sandbox

__all__ = ["Chaos", "chaotic_sandbox", "client_of", "disturb", "sockets_closed"]

PATIENCE = float(os.environ.get("PATIENCE", "120"))
"""Seconds for what has to come when the troubles have ended. It never takes so long, unless the machine is very busy."""

ORDERS = {
    "drop": 6,
    "double": 6,
    "close": 4,
    "say_closing": 3,
    "fault": 3,
    "freeze": 2,
    "evict": 2,
    "garble": 2,
    "refuse": 2,
    "mute": 1,
}


def chaotic_sandbox(*, newest_first: bool = False) -> Sandbox:
    """Return a sandbox whose times are a hundredth of the service's."""
    return Sandbox(
        appointments=20, users=3, heartbeat=0.3, channel_life=864, closing_notice=0.6, newest_first=newest_first
    )


def client_of(
    sandbox: Sandbox, on_event: Callable[[Event], None] | None = None, auth: RefreshToken | TokenSource | None = None
) -> CoachingClient:
    """Return a client of the sandbox's first user that is not kept waiting."""
    return CoachingClient(
        auth or AccessToken(sandbox.user_token(sandbox.state.user_ids[0])),
        base_url=sandbox.base_url,
        retry=RetryPolicy(max_backoff=0.05),
        rate_limit=RateLimit(1_000_000),
        on_event=on_event,
    )


async def sockets_closed(sandbox: Sandbox) -> None:
    """Wait until the sandbox has no open WebSocket."""
    with anyio.fail_after(PATIENCE):
        while len(sandbox.sockets):  # noqa: ASYNC110 - the sandbox is in another thread
            await anyio.sleep(0.01)


@attrs.define
class Chaos:
    """Makes `count` notifications of the sandbox's first user, `rate` a second, and gives `orders` orders a second."""

    sandbox: Sandbox
    seed: int
    count: int
    rate: float = 200.0
    orders: float = 6.0
    deleted_share: float = 0.015
    standstill: float = 0.5
    made: list[str] = attrs.field(factory=list[str], init=False)
    deleted: set[str] = attrs.field(factory=set[str], init=False)
    received: Counter[str] = attrs.field(factory=Counter[str], init=False)
    given: Counter[str] = attrs.field(factory=Counter[str], init=False)
    _is_over: bool = attrs.field(default=False, init=False)

    async def run(self, notifications: AsyncIterator[Notification]) -> None:
        """Read what comes until each notification that lasts has come, and for a while more."""
        with anyio.fail_after(PATIENCE + 4 * self.count / self.rate):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._make)
                if self.orders:
                    tasks.start_soon(self._disturb)
                chance = random.Random(self.seed + 2)
                while not self._has_all():
                    notification = await anext(notifications)
                    self.received[notification.id] += 1
                    if chance.random() < 1 / 300:
                        await anyio.sleep(self.standstill * chance.random())
                last = self.sandbox.notify(self.sandbox.state.user_ids[0])["id"]
                while (notification := await anext(notifications)).id != last:
                    self.received[notification.id] += 1

    def check(self) -> None:
        """Check that each notification that lasts has come once, and nothing else."""
        lasting = set(self.made) - self.deleted
        assert not lasting - set(self.received), "lost"
        assert not [id_ for id_, times in self.received.items() if times > 1], "twice"
        assert not set(self.received) - set(self.made), "never made"

    def _has_all(self) -> bool:
        return self._is_over and not set(self.made) - self.deleted - set(self.received)

    async def _make(self) -> None:
        chance = random.Random(self.seed)
        state, user_id = self.sandbox.state, self.sandbox.state.user_ids[0]
        begin = anyio.current_time()
        for number in range(self.count):
            await anyio.sleep_until(begin + number / self.rate)
            self.made.append(self.sandbox.notify(user_id)["id"])
            if chance.random() < self.deleted_share:
                deleted = chance.choice(self.made)
                if deleted not in self.deleted:
                    self.deleted.add(deleted)
                    with state.lock:
                        del state.notifications[deleted]
        self._is_over = True
        self.sandbox.faults.clear()
        self.made.append(self.sandbox.notify(user_id)["id"])  # wakes the reader

    async def _disturb(self) -> None:
        chance = random.Random(self.seed + 1)
        while not self._is_over:
            await anyio.sleep(chance.expovariate(self.orders))
            self.given[disturb(self.sandbox, chance)] += 1


def disturb(sandbox: Sandbox, chance: random.Random) -> str:
    """Give the sandbox a random order, and return which."""
    (order,) = chance.choices(list(ORDERS), list(ORDERS.values()))
    sockets = list(sandbox.sockets)
    match order:
        case "fault":
            sandbox.faults.add(_fault(chance))
        case "refuse":
            sandbox.sockets.refuse_handshakes(chance.choice([404, 403, 429, 500, 503, 302]))
        case "close" if sockets:
            chance.choice(sockets).close(chance.choice([1000, 1001, 1011, 1012, 4000]))
        case _ if sockets:
            give: Callable[[], None] = getattr(chance.choice(sockets), order)
            give()
        case _:
            pass
    return order


def _fault(chance: random.Random) -> Fault:
    kind = chance.choice(["drop_before", "drop_after", "status", "html", "garbage", "half_body"])
    path = chance.choice([r"/coaching/notifications", r"/api/v2/notifications"])
    status = chance.choice([500, 502, 503]) if kind == "status" else None
    return Fault(kind, path=path, status=status, times=chance.choice([1, 3, 8]))
