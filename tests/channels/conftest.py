"""Fixtures of the tests of channels."""

from collections.abc import AsyncIterator, Generator

import pytest

from coaching_async.testing import assert_no_leaks
from tests.support.fault_server import HANG
from tests.support.secrets_logged import logging_everything


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None]:
    with logging_everything():
        return (yield)


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the pauses of listeners and of retries as short as they can be."""
    monkeypatch.setattr("random.random", lambda: 0.0)


@pytest.fixture
async def nothing_is_left(anyio_backend: object) -> AsyncIterator[None]:
    async with assert_no_leaks(within=HANG):
        yield
