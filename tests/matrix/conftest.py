"""Every row of the matrix ends with two looks: nothing is left (row 105), and no log record shows a secret (row 107)."""

from collections.abc import AsyncIterator

import pytest

from tests.faults import no_leaks, tasks_now

from .support import CANARY


@pytest.fixture(autouse=True)
async def row_105_nothing_is_left(anyio_backend: object) -> AsyncIterator[None]:
    tasks = tasks_now()
    async with no_leaks():
        yield
    assert tasks_now() == tasks


@pytest.fixture(autouse=True)
def row_107_no_record_of_any_level_shows_a_secret(caplog: pytest.LogCaptureFixture):
    caplog.set_level(1)
    yield
    for record in caplog.records:
        assert CANARY not in record.getMessage(), record
