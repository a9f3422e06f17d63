"""Grants of every kind, and calls that need a token."""

import base64
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any

import pytest

from coaching_async import (
    AuthorizationCode,
    CoachingError,
    RefreshToken,
    Saml2Bearer,
)
from tests.auth.test_token_source_properties import (
    FIRST,
    all_of,
)
from tests.faults.support import CANARY, CLIENT_ID, SECRET, credentials

CALLBACK = "https://app.test/callback"
LIFE = 1000.0


def token(number: int) -> str:
    return f"{CANARY}-token-{number}"


def refresh_token(number: int) -> str:
    return f"{CANARY}-refresh-{number}"


def user(**options: Any) -> RefreshToken:
    return RefreshToken(CLIENT_ID, SECRET, FIRST, **options)


def code(**options: Any) -> AuthorizationCode:
    return AuthorizationCode(CLIENT_ID, SECRET, f"{CANARY}-code", CALLBACK, **options)


def assertion() -> Saml2Bearer:
    return Saml2Bearer(CLIENT_ID, SECRET, "an-org", f"{CANARY}-assertion")


def each_of(*grants: Callable[[], Any]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("grant", grants, ids=lambda grant: grant.__name__)


every_grant = each_of(credentials, assertion, user, code)
every_renewable = each_of(credentials, assertion, user)


async def failures_of(calls: Iterable[Callable[[], Awaitable[object]]]) -> list[CoachingError]:
    """Run calls concurrently, and return the errors that they raised."""
    failures = list[CoachingError]()

    async def attempt(call: Callable[[], Awaitable[object]]) -> None:
        try:
            await call()
        except CoachingError as error:
            failures.append(error)

    await all_of(partial(attempt, call) for call in calls)
    return failures


def basic(pair: str) -> str:
    return f"Basic {base64.b64encode(pair.encode()).decode()}"
