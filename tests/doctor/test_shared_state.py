"""The doctor examines the shared state: whether it answers, how fast, and who shares the rate limit by it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from coaching_async import (
    ClientCredentials,
    CoachingClient,
    ConfigurationError,
    FileSharedState,
    RateLimit,
    RateLimited,
    RefreshToken,
)
from coaching_async.doctor import Check, examine
from coaching_async.doctor._sharing import check_shared_state
from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, Fault, Sandbox
from coaching_async.testing import MemorySharedState
from tests.support.cli import environment
from tests.support.ports import free_port

pytestmark = [pytest.mark.anyio, pytest.mark.real_time]

GRANT = ClientCredentials(CLIENT_ID, CLIENT_SECRET)
WRITTEN = 1.2
"""Seconds after which a client has written what it used."""


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(appointments=20, users=3) as sandbox:
        yield sandbox


async def of_state(sandbox: Sandbox, shared_state: Any, **variables: str) -> Check | None:
    found = await examine(environ=environment(sandbox) | variables, shared_state=shared_state)
    assert not any(secret in str(found) for secret in (CLIENT_ID, CLIENT_SECRET))
    checks = [check for check in found.checks if check.name == "shared state"]
    return checks[0] if checks else None


async def test_a_shared_state_is_described_with_those_who_share_it(sandbox: Sandbox, tmp_path: Path):
    state = FileSharedState(tmp_path / "state")
    async with CoachingClient(GRANT, base_url=sandbox.base_url, shared_state=state) as client:
        await client.appointments.list(sandbox.state.user_ids).first()
        await anyio.sleep(WRITTEN)

        check = await of_state(sandbox, state)

    assert check is not None
    assert (check.state, check.advice) == ("ok", None)
    told = re.fullmatch(
        r"it answers in [\d.]+ to [\d.]+ ms; 2 processes have used it; (\d+) of 300 requests in 60 s are used",
        check.sentence,
    )
    assert told, check.sentence
    assert int(told[1]) >= 1
    assert sum(request.path == "/oauth/token" for request in sandbox.requests) == 1


async def test_the_state_of_a_client_in_use_is_examined(sandbox: Sandbox):
    async with CoachingClient(GRANT, base_url=sandbox.base_url, shared_state=MemorySharedState()) as client:
        found = await examine(client)

    (check,) = (check for check in found.checks if check.name == "shared state")
    assert check.state == "ok"
    assert "one process has used it" in check.sentence


async def test_a_state_that_cannot_be_used_is_a_problem(sandbox: Sandbox):
    state = MemorySharedState()
    state.down = True

    check = await of_state(sandbox, state)

    assert check is not None
    assert check.state == "problem"
    assert check.sentence.startswith("it cannot be used: ConnectionError.")


async def test_a_slow_state_is_a_problem(sandbox: Sandbox):
    state = MemorySharedState(latency=0.15)
    async with CoachingClient(GRANT, base_url=sandbox.base_url, shared_state=state) as client:
        (check,) = await check_shared_state(client)

    assert (check.state, check.advice) == ("problem", "Move it nearer: each request asks it several times.")


async def test_a_lowered_limit_is_a_problem(sandbox: Sandbox):
    sandbox.faults.add(Fault("status", "GET", status=429, retry_after=300, times=1))
    async with CoachingClient(GRANT, base_url=sandbox.base_url, shared_state=MemorySharedState()) as client:
        with pytest.raises(RateLimited):
            await client.appointments.list(sandbox.state.user_ids).first()
        await anyio.sleep(WRITTEN)
        (check,) = await check_shared_state(client)

    assert check.state == "problem"
    assert re.search(r"after a 429 none is sent for \d+ s; 429s have lowered the limit from 300$", check.sentence)


async def test_it_is_examined_too_where_the_service_cannot_be_reached(sandbox: Sandbox):
    check = await of_state(sandbox, MemorySharedState(), GENESYSCLOUD_REGION=f"http://127.0.0.1:{free_port()}")

    assert check is not None
    assert (check.state, "0 processes have used it" in check.sentence) == ("ok", True)


async def test_a_client_that_shares_nothing_has_no_such_check(sandbox: Sandbox):
    assert await of_state(sandbox, None) is None
    grant = RefreshToken(CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN)
    async with CoachingClient(grant, base_url=sandbox.base_url, shared_state=MemorySharedState()) as client:
        assert "shared state" not in [check.name for check in (await examine(client)).checks]


async def test_what_is_no_shared_state_is_refused(sandbox: Sandbox):
    with pytest.raises(ConfigurationError, match="shared_state is a"):
        await examine(environ=environment(sandbox), shared_state="redis://localhost")  # type: ignore[arg-type]
    async with CoachingClient(GRANT, base_url=sandbox.base_url, rate_limit=RateLimit(10)) as client:
        with pytest.raises(ValueError, match="of its own"):
            await examine(client, shared_state=MemorySharedState())
    assert not sandbox.requests


async def test_a_file_that_all_users_may_read_is_a_problem_with_what_to_do(sandbox: Sandbox, tmp_path: Path):
    path = tmp_path / "state"
    path.touch()
    path.chmod(0o644)

    check = await of_state(sandbox, FileSharedState(path))

    assert check is not None
    assert check.sentence.startswith("it cannot be used: PermissionError (Permission denied).")
    assert check.advice is not None
    assert "chmod 600" in check.advice
