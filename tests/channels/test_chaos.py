"""While everything goes wrong, each of one's own notifications comes exactly once."""

import pytest

from coaching_async._channels import catch_up
from coaching_async._channels.machine import sockets
from tests.support.chaos import Chaos, chaotic_sandbox, client_of, sockets_closed
from tests.support.fast_machine import hurry

pytestmark = [pytest.mark.anyio, pytest.mark.real_time]


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Listeners whose times are a hundredth, and that are never taken for one of two that fight for a channel."""
    hurry(monkeypatch)
    monkeypatch.setattr(sockets, "MAX_TAKEN", 1_000_000)
    monkeypatch.setattr(catch_up, "SECONDS_BETWEEN_READINGS", 9.0)


@pytest.mark.parametrize(
    ("anyio_backend", "newest_first"), [("asyncio", False), ("trio", True)], indirect=["anyio_backend"]
)
async def test_listen_gives_each_notification_once(newest_first: bool):
    async with chaotic_sandbox(newest_first=newest_first) as sandbox, client_of(sandbox) as client:
        chaos = Chaos(sandbox, seed=7, count=300)
        async with client.notifications.listen(buffer=50) as stream:
            await chaos.run(stream)
        await sockets_closed(sandbox)

    chaos.check()
    assert len(chaos.given) > 3
