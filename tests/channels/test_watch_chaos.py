"""A watch in chaos: each notification that stays comes once. `tests/slow/test_watch.py` has more of it."""

import pytest

from tests.support.notification_lists import ORDERS
from tests.support.watched import Chaos

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("order", ORDERS)
async def test_in_chaos_each_notification_that_stays_comes_once(order: str):
    chaos = Chaos(order, count=100, seed=7)
    await chaos.run()

    assert len(chaos.found) == len(set(chaos.found)), "one came twice"
    assert not chaos.lost
    assert set(chaos.found) <= set(chaos.service.list.created[230:]), "those that were there before are not new"
