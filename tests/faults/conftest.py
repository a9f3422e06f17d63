"""Every row of the matrix ends with two looks: nothing is left (row 105), and no log record shows a secret (row 107)."""

from collections.abc import AsyncIterator

import pytest

from coaching_async.testing import assert_no_leaks
from tests.faults.support import CANARY

PATIENCE = 30.0
"""Seconds; where nothing is left, none of them is waited for."""


@pytest.fixture(autouse=True)
async def row_105_nothing_is_left(anyio_backend: object) -> AsyncIterator[None]:
    async with assert_no_leaks(within=PATIENCE):
        yield


@pytest.fixture(autouse=True)
def row_107_no_record_of_any_level_shows_a_secret(caplog: pytest.LogCaptureFixture):
    caplog.set_level(1)
    yield
    for record in caplog.records:
        assert CANARY not in record.getMessage(), record
