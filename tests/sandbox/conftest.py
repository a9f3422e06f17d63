"""A sandbox, and clients of it with different permissions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from coaching_async.sandbox import REFRESH_TOKEN, Sandbox
from tests.sandbox.api import (
    Api,
    token_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def enter() -> Iterator[Callable[..., Sandbox]]:
    """Enter a sandbox with these options; it is left after the test."""
    entered: list[Sandbox] = []

    def entering(**options: Any) -> Sandbox:
        entered.append(Sandbox(**options).__enter__())
        return entered[-1]

    yield entering
    for sandbox in entered:
        sandbox.__exit__(None, None, None)


@pytest.fixture
def sandbox(enter: Callable[..., Sandbox]) -> Sandbox:
    return enter(appointments=60, users=5)


@pytest.fixture
def api(sandbox: Sandbox) -> Iterator[Api]:
    """With the default client's token, which may do everything and is nobody."""
    with Api(sandbox, token_of(sandbox)) as client:
        yield client


@pytest.fixture
def mine(sandbox: Sandbox) -> Iterator[Api]:
    """With the token of the first user, who may do what she may as a participant."""
    with Api(sandbox, token_of(sandbox, grant_type="refresh_token", refresh_token=REFRESH_TOKEN)) as client:
        yield client


@pytest.fixture
def me(sandbox: Sandbox) -> str:
    return sandbox.state.user_ids[0]


@pytest.fixture
def two(enter: Callable[..., Sandbox]) -> Sandbox:
    """A sandbox of two users who have nothing to do."""
    return enter(appointments=0, users=2)


@pytest.fixture
def ours(two: Sandbox) -> Iterator[Api]:
    with Api(two, token_of(two)) as client:
        yield client
