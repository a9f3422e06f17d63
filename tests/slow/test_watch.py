"""A watch in chaos: of many notifications each that stays comes once, in each order that the list may have.

LONG_NOTIFICATIONS is the number of notifications in each order. On trio it is a fifth of that.
"""

import os
import statistics
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.notification_lists import ORDERS
from tests.support.watched import Chaos

COUNT = int(os.environ.get("LONG_NOTIFICATIONS", "10000"))
SEED = int(os.environ.get("CHAOS_SEED", "20261130"))

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(600 + COUNT)]


@pytest.mark.parametrize("order", ORDERS)
async def test_of_many_notifications_each_comes_once(order: str, anyio_backend_name: str, show: Callable[[str], Any]):
    chaos = Chaos(order, COUNT if anyio_backend_name == "asyncio" else COUNT // 5, SEED)
    await chaos.run()

    late = f"{statistics.median(chaos.late):.1f} s late, the worst {max(chaos.late):.0f} s"
    show(
        f"{anyio_backend_name}, {order}: {len(chaos.found)} in {chaos.requests} requests, {chaos.restarts} restarts, {late}"
    )
    assert len(chaos.found) == len(set(chaos.found)), "one came twice"
    assert not chaos.lost
    assert set(chaos.found) <= set(chaos.service.list.created[230:]), "those that were there before are not new"
