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
def start_sandbox() -> Iterator[Callable[..., Sandbox]]:
    """A function that enters a sandbox with the given options; it is left after the test."""
    entered: list[Sandbox] = []

    def start(**options: Any) -> Sandbox:
        entered.append(Sandbox(**options).__enter__())
        return entered[-1]

    yield start
    for sandbox in entered:
        sandbox.__exit__(None, None, None)


@pytest.fixture
def sandbox(start_sandbox: Callable[..., Sandbox]) -> Sandbox:
    return start_sandbox(appointments=60, users=5)


@pytest.fixture
def api(sandbox: Sandbox) -> Iterator[Api]:
    """A client with the token of the default OAuth client, which has all permissions and no user."""
    with Api(sandbox, token_of(sandbox)) as client:
        yield client


@pytest.fixture
def mine(sandbox: Sandbox) -> Iterator[Api]:
    """A client with the token of the first user, with only the permissions of a participant."""
    with Api(sandbox, token_of(sandbox, grant_type="refresh_token", refresh_token=REFRESH_TOKEN)) as client:
        yield client


@pytest.fixture
def me(sandbox: Sandbox) -> str:
    return sandbox.state.user_ids[0]


@pytest.fixture
def idle_sandbox(start_sandbox: Callable[..., Sandbox]) -> Sandbox:
    """A sandbox of two users without appointments."""
    return start_sandbox(appointments=0, users=2)


@pytest.fixture
def idle_api(idle_sandbox: Sandbox) -> Iterator[Api]:
    with Api(idle_sandbox, token_of(idle_sandbox)) as client:
        yield client
