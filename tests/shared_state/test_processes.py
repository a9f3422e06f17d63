"""Processes with clients of one OAuth client share a token and a rate limit. More of that is in `tests/slow`."""

import pytest

from coaching_async import RateLimit
from tests.support.fleet_processes import Fleet, Service
from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.real_time

LIMIT = RateLimit(30, per=2.0)


def test_processes_share_a_token_and_a_rate_limit_and_no_call_fails_for_a_redis_that_is_killed():
    with (
        RedisServer() as server,
        Service(rate_limit=LIMIT.requests, rate_window=LIMIT.per) as service,
        Fleet(service, "redis", server.url, LIMIT, ["bulk/asyncio", "direct/asyncio"], is_patient=True) as fleet,
    ):
        fleet.wait_for("answered", 5)
        assert not fleet.total["lost"]

        server.kill()
        fleet.wait_for("lost")
        fleet.wait_for("answered", 2)
        server.restart()
        fleet.wait_for("found")
        fleet.wait_for("answered", 2)

    assert service.asked.tokens == 1
    assert set(fleet.total) == {"answered", "lost", "found", "ended"}
