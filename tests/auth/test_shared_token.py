"""The text of a shared token: what is read back, and what is refused."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coaching_async._auth.secret import Secret
from coaching_async._auth.shared_token import Lease, SharedToken
from coaching_async._auth.token_endpoint import Token
from tests.support.effort import examples

times = st.floats(allow_nan=False, allow_infinity=False)
values = st.from_regex(r"[A-Za-z0-9\-._~+/]+=*", fullmatch=True)
tokens = st.builds(Token, values.map(Secret), times, times)
shared_tokens = st.builds(SharedToken, st.none() | tokens, st.none() | st.builds(Lease, st.text(), times))

TOKEN = Token(Secret("t1"), 90.0, 100.0)
FULL = SharedToken(TOKEN, Lease("a1", 15.0))
TEXT = FULL.encode()


@settings(max_examples=examples(200))
@given(shared_tokens)
def test_a_text_is_read_as_what_it_was_made_of(shared: SharedToken):
    assert SharedToken.parse(shared.encode()) == shared


def test_no_text_is_no_token_and_no_lease():
    assert SharedToken.parse(None) == SharedToken()


def changed(**fields: object) -> str:
    return json.dumps(json.loads(TEXT) | fields, separators=(",", ":"))


def changed_token(**fields: object) -> str:
    return changed(token=json.loads(TEXT)["token"] | fields)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        "t1",
        TEXT[:-1],
        f" {TEXT}",
        f"{TEXT}\n",
        TEXT + TEXT,
        changed(version=2),
        changed(version=True),
        changed(version="1"),
        changed(more=None),
        changed(token="t1"),
        changed(token=[]),
        changed(token={}),
        changed(lease={}),
        changed(lease="a1"),
        changed(lease={"holder": "a1"}),
        changed(lease={"holder": 1, "expires_at": 15.0}),
        changed(lease={"holder": "a1", "expires_at": 15}),
        changed_token(value=""),
        changed_token(value="t1\r\nX: y"),
        changed_token(value=1),
        changed_token(value="tök"),
        changed_token(expires_at=None),
        changed_token(expires_at="100.0"),
        changed_token(expires_at=True),
        changed_token(expires_at=100),
        changed_token(expires_at=10**400),
        changed_token(expires_at=float("nan")),
        changed_token(expires_at=float("inf")),
        changed_token(more=1),
        TEXT.replace("100.0", "1e999"),
        TEXT.replace("100.0", "1" + "0" * 5000),
        TEXT.replace("100.0", "100.00"),
        TEXT.replace('"version":1', '"version":1,"version":1'),
        "[" * 100_000,
        '{"token":' * 100_000,
        changed_token(value="\ud800"),
        "\ud800",
    ],
)
def test_any_other_text_is_refused(text: str):
    with pytest.raises(ValueError, match=r"^no text of a shared token|^no JSON|^Out of range") as caught:
        SharedToken.parse(text)
    assert "t1" not in str(caught.value)
    assert caught.value.__context__ is None


def test_neither_token_nor_lease_shows_the_token():
    assert "t1" not in repr(FULL)


def test_a_lease_that_seems_to_last_too_long_is_none_because_the_clock_was_set_back():
    lease = Lease("a1", 1015.0)

    assert [lease.is_valid(now) for now in (984.9, 985.0, 1000.0, 1014.9, 1015.0)] == [False, True, True, True, False]


@pytest.mark.parametrize(
    "found, result",
    [
        (SharedToken(), SharedToken(TOKEN)),
        (SharedToken(Token(Secret("t0"), 9.0, 10.0)), SharedToken(TOKEN)),
        (SharedToken(Token(Secret("t2"), 990.0, 1000.0)), SharedToken(Token(Secret("t2"), 990.0, 1000.0))),
        (SharedToken(Token(Secret("t2"), 990.0, 1000.0), Lease("a1", 15.0)), SharedToken(TOKEN)),
        (SharedToken(None, Lease("b2", 15.0)), SharedToken(TOKEN, Lease("b2", 15.0))),
    ],
    ids=["none", "an older one", "a newer one", "its lease", "the lease of another"],
)
def test_a_fetched_token_is_written_where_there_is_none_or_an_older_one_or_its_lease(
    found: SharedToken, result: SharedToken
):
    assert found.with_result("a1", TOKEN, 0.0) == result


def test_after_a_failed_fetch_the_token_is_refreshed_early_some_seconds_later():
    assert FULL.with_result("a1", None, 85.0) == SharedToken(Token(Secret("t1"), 95.0, 100.0))
    assert FULL.with_result("b2", None, 85.0) == FULL


def test_a_text_is_kept_as_long_as_its_token_or_its_lease_and_at_least_for_a_minute():
    assert [shared.keep(0.0) for shared in (SharedToken(), FULL, SharedToken(None, Lease("a1", 15.0)))] == [60, 100, 60]
