"""Rows 48 to 52 and 62: refresh tokens and authorization codes that must not be lost or posted twice."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import pytest

from coaching_async import (
    AuthError,
    CoachingClient,
    MemoryTokenStore,
    RateLimit,
    RefreshToken,
)
from coaching_async._auth import token_source as tokens
from coaching_async.sandbox import CLIENT_ID as SANDBOX_ID
from coaching_async.sandbox import CLIENT_SECRET as SANDBOX_SECRET
from coaching_async.sandbox import Sandbox, UserGrant
from tests.auth.test_token_source_properties import (
    FIRST,
    Mishap,
    Platform,
    all_of,
    client_of,
    down,
    get,
    lost,
    lost_on_the_way,
    stall,
    token_source_of,
)
from tests.faults.grants import LIFE, code, each_of, refresh_token, token, user
from tests.faults.support import APPOINTMENT, CANARY, client_to, failing
from tests.support.cancelling import Way, every_way, skip_where_unknown
from tests.support.deadlines import DEADLINES
from tests.support.effort import FULL, on_one_backend
from tests.support.fault_server import Behaviour, Conversation, FaultServer, becomes_true

pytestmark = pytest.mark.anyio


# Refresh tokens


async def test_row_48_a_response_without_a_refresh_token_keeps_the_old_one():
    platform, store, told = Platform(life=LIFE, rotates=False), MemoryTokenStore(FIRST), list[str]()

    async def on_rotated(new: str) -> None:
        told.append(new)

    async with client_of(platform, user(store=store, on_rotated=on_rotated)) as client:
        for _ in range(3):
            await get(client)
            await anyio.sleep(LIFE)

    assert platform.posted == [FIRST] * 3
    assert await store.load() == FIRST
    assert told == []


async def test_a_plain_function_is_told_of_a_new_refresh_token_as_well(caplog: pytest.LogCaptureFixture):
    platform, told = Platform(), list[str]()
    async with client_of(platform, user(on_rotated=told.append)) as client:
        await get(client)

    assert len(told) == 1
    assert not caplog.records


@pytest.mark.real_time
@on_one_backend
async def test_row_49_many_calls_over_twenty_expiries_post_each_refresh_token_once():
    told = list[str]()

    async def on_rotated(new: str) -> None:
        told.append(new)

    async with Sandbox(appointments=0) as sandbox:
        sandbox.oauth.refresh_tokens[FIRST] = UserGrant(SANDBOX_ID, sandbox.oauth.first_user_id)
        auth = RefreshToken(SANDBOX_ID, SANDBOX_SECRET, FIRST, on_rotated=on_rotated)
        async with client_to(sandbox.base_url, auth=auth, rate_limit=RateLimit(10_000)) as client:
            for _ in range(20):
                await all_of([client.appointments.list_mine().total] * (50 if FULL else 10))
                sandbox.oauth.revoke_all()

        logins = [request.status for request in sandbox.requests if request.path == "/oauth/token"]
        alive = set(sandbox.oauth.refresh_tokens)
    assert logins == [200] * 20
    assert len(set(told)) == len(told) == 20
    assert told[-1] in alive  # the sign-in is still valid


@every_way
@pytest.mark.parametrize("closes", [False, True], ids=["and calls again", "and closes"])
async def test_row_50_a_refresh_continues_after_all_waiting_calls_are_cancelled(
    cancel: Way, anyio_backend_name: str, closes: bool
):
    skip_where_unknown(cancel, anyio_backend_name)
    platform, store, told, cut = Platform(), MemoryTokenStore(FIRST), list[str](), list[bool]()

    async def on_rotated(new: str) -> None:
        await anyio.sleep(1)
        told.append(new)

    async def one_of(client: CoachingClient) -> None:
        cut.append(await cancel(partial(get, client), platform.asked.wait))

    async with client_of(platform, user(store=store, on_rotated=on_rotated)) as client:
        started = anyio.current_time()
        await all_of([partial(one_of, client)] * 10)

        assert anyio.current_time() - started < 0.05
        assert (cut, told) == ([True] * 10, [])
        if not closes:
            await get(client)

    assert platform.posted == [FIRST]
    assert told == [refresh_token(1)]
    assert await store.load() == refresh_token(1)
    assert platform.seen == ([] if closes else [token(1)])


@pytest.mark.parametrize("mishap", [lost, lost_on_the_way, down, stall], ids=lambda mishap: mishap.__name__)
async def test_row_51_a_refresh_token_is_not_posted_again_while_the_access_token_is_valid(
    mishap: Mishap, caplog: pytest.LogCaptureFixture
):
    platform = Platform(life=LIFE)
    async with client_of(platform, user()) as client:
        await get(client)
        ends_at = platform.asked_at[0] + LIFE
        platform.mishaps = [mishap]
        await anyio.sleep(0.9 * LIFE)
        while anyio.current_time() < ends_at - 5:
            await get(client)
            await anyio.sleep(5)
        assert platform.posted == [FIRST, refresh_token(1)]
        await anyio.sleep(20)

        if mishap is lost:  # the service has replaced it, and recognizes a repeated post
            for _ in range(5):
                with failing(AuthError) as caught:
                    await get(client)
                assert caught.value.processed == "no"
                await anyio.sleep(100)
        else:
            await get(client)

    assert platform.posted == [FIRST, refresh_token(1), refresh_token(1)]
    assert platform.asked_at[2] > ends_at
    assert "could not be kept" not in caplog.text  # there was no new refresh token to keep
    assert set(platform.seen) == ({token(1)} if mishap is lost else {token(1), token(2)})


def login_cut(kind: str) -> Behaviour:
    """Return a behavior of the API and of a token endpoint whose responses are lost."""

    def behave(conversation: Conversation) -> None:
        while (request := conversation.request()) is not None:
            if request.target != "/oauth/token":
                conversation.answer(APPOINTMENT)
            elif kind == "reset":
                return conversation.reset()
            else:
                if kind == "half an answer":
                    conversation.answer(b'{"access_token": "c4n4ry', Content_Length="99")
                return conversation.close()
        return None

    return behave


async def posts_of(grant: Any, kind: str) -> int:
    """Return how often a grant is posted to a token endpoint whose responses are lost."""
    with FaultServer(login_cut(kind)) as server:
        async with client_to(server.url, auth=grant) as client:
            for _ in range(4):
                with failing(AuthError, "lost|used up") as caught:
                    await get(client)
                assert caught.value.processed == "no"
                token_source_of(client).state.failure.clear()  # as if time had passed

    assert {request.target for request in server.requests} == {"/oauth/token"}
    assert "sign in again" in str(caught.value)
    return len(server.requests)


every_cut = pytest.mark.parametrize("kind", ["closed", "reset", "half an answer"])


@pytest.mark.real_time
@every_cut
async def test_row_51_a_refresh_token_whose_response_was_cut_is_posted_once_more(kind: str):
    assert await posts_of(user(), kind) == 2


@pytest.mark.real_time
@every_cut
async def test_row_62_a_code_whose_response_was_cut_is_not_posted_again(kind: str):
    assert await posts_of(code(), kind) == 1


@pytest.mark.real_time
@each_of(user, code)
async def test_row_51_a_grant_that_was_never_sent_is_not_used_up(
    grant: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
):
    with FaultServer(Conversation.pause) as server:  # without a TLS handshake
        async with client_to(f"https://localhost:{server.port}", auth=grant()) as client:
            for _ in range(3):
                before = server.accepted
                for seconds in DEADLINES:
                    monkeypatch.setattr(tokens, "REFRESH_TIMEOUT", seconds)
                    with failing(AuthError, "no token within"):
                        await get(client)
                    token_source_of(client).state.failure.clear()  # as if time had passed
                    if becomes_true(lambda before=before: server.accepted > before, seconds):
                        break
                assert server.accepted > before


@pytest.mark.parametrize("mishap", [lost, lost_on_the_way, down, stall], ids=lambda mishap: mishap.__name__)
async def test_row_62_a_code_is_posted_once_only_however_much_time_passes(mishap: Mishap):
    platform = Platform(mishap)
    async with client_of(platform, code()) as client:
        for _ in range(5):
            with failing(AuthError):
                await get(client)
            await anyio.sleep(3600)

    assert len(platform.forms) == 1


@pytest.mark.parametrize("how", ["raises", "hangs"])
@pytest.mark.parametrize("what", ["on_rotated", "store"])
async def test_row_52_a_store_or_callback_that_fails_is_logged_and_stops_no_call(
    how: str, what: str, caplog: pytest.LogCaptureFixture
):
    async def fail(*_: object) -> Any:
        if how == "raises":
            raise OSError(f"{CANARY}-path")
        await anyio.sleep_forever()

    store = MemoryTokenStore(FIRST)
    if what == "store":
        store.save = fail  # type: ignore[method-assign]
    platform = Platform(life=1000.0)
    async with client_of(platform, user(store=store, on_rotated=fail if what == "on_rotated" else None)) as client:
        started = anyio.current_time()
        await all_of([partial(get, client)] * 10)

        assert anyio.current_time() - started <= (15 if how == "hangs" else 1)
        platform.revoke()
        await get(client)

    assert platform.seen == [token(1)] * 11 + [token(2)]
    assert platform.posted == [FIRST, refresh_token(1)]
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    why = ": OSError" if how == "raises" else " within 15 s"
    assert errors == [f"a new refresh token could not be kept{why}"] * 2
