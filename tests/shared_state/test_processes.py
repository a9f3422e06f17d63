"""Processes with clients of one OAuth client share a token and a rate limit. More of that is in `tests/slow`."""

import pytest

from coaching_async import RateLimit
from coaching_async.sandbox import Sandbox
from tests.support.fleet_processes import Fleet
from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.real_time

LIMIT = RateLimit(30, per=2.0)
ROLES = ["bulk/asyncio", "direct/asyncio"]


def test_processes_share_a_token_and_a_rate_limit_and_no_call_fails_for_a_redis_that_is_killed():
    with (
        RedisServer() as server,
        Sandbox(appointments=1, users=2) as sandbox,
        Fleet(
            sandbox.base_url, next(iter(sandbox.state.appointments)), "redis", server.url, LIMIT, ROLES, is_patient=True
        ) as fleet,
    ):
        fleet.wait_for("answered", 5)
        assert not fleet.total["lost"]

        server.kill()
        fleet.wait_for("lost")
        fleet.wait_for("answered", 2)
        server.restart()
        fleet.wait_for("found")
        fleet.wait_for("answered", 2)

    assert [request.path for request in sandbox.requests].count("/oauth/token") == 1
    assert set(fleet.total) == {"answered", "lost", "found", "ended"}
