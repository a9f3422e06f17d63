"""Every row ends with two checks: nothing is left behind (row 105), and no log record shows a secret (row 107)."""

from collections.abc import AsyncIterator, Generator, Iterator

import pytest

from coaching_async.testing import assert_no_leaks
from tests.faults.support import CANARY
from tests.support.secrets_logged import SecretsLogged, logging_everything

PATIENCE = 30.0
"""Seconds to wait for leftovers to go away. Where nothing is left, the check does not wait."""


@pytest.fixture(autouse=True)
async def row_105_nothing_is_left_behind(anyio_backend: object) -> AsyncIterator[None]:
    async with assert_no_leaks(within=PATIENCE):
        yield


@pytest.fixture(autouse=True)
def connections_can_be_counted(idle_connections_are_kept: None) -> None:
    """Many rows count them."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None]:
    with logging_everything():
        return (yield)


@pytest.fixture(autouse=True)
def row_107_no_record_of_any_level_shows_a_secret() -> Iterator[None]:
    with SecretsLogged(CANARY).watching():
        yield
