"""The transitions of `RefreshState`, as in its table."""

import pytest

from coaching_async._auth.secret import Secret
from coaching_async._auth.token_source import RefreshState

FIRST, SECOND = Secret("first"), Secret("second")


@pytest.fixture
def state() -> RefreshState:
    state = RefreshState()
    assert state.adopt(FIRST)
    return state


def test_a_new_token_is_adopted_and_has_no_uncertain_attempts(state: RefreshState):
    state.sent()

    assert state.adopt(SECOND)
    assert (state.token, state.uncertain_attempts) == (SECOND, 0)


@pytest.mark.parametrize("token", [None, FIRST, SECOND])
def test_no_token_the_current_token_and_a_used_token_are_not_adopted(token: Secret | None):
    state = RefreshState(token=FIRST, used={SECOND}, uncertain_attempts=1)

    assert not state.adopt(token)
    assert (state.token, state.uncertain_attempts) == (FIRST, 1)


def test_a_rotated_token_is_used_and_replaced_by_the_new_one(state: RefreshState):
    state.sent()
    state.succeeded()
    state.rotated(SECOND)

    assert (state.token, state.used, state.uncertain_attempts, state.successes) == (SECOND, {FIRST}, 0, 1)


def test_a_refresh_token_is_exhausted_after_two_uncertain_attempts(state: RefreshState):
    state.sent()
    state.not_processed()
    state.sent()
    assert not state.is_exhausted()

    state.sent()
    assert state.is_exhausted()


@pytest.mark.parametrize("is_answered", [True, False])
def test_a_code_is_exhausted_after_one_attempt(is_answered: bool):
    state = RefreshState()
    assert not state.is_exhausted()

    state.sent()
    if is_answered:
        state.succeeded()
    assert state.is_exhausted()
