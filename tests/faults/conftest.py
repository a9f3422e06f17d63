"""Every row ends with two checks: nothing is left behind (row 105), and no log record shows a secret (row 107)."""

import logging
from collections.abc import AsyncIterator, Iterator

import pytest

from coaching_async.testing import assert_no_leaks
from tests.faults.support import CANARY

PATIENCE = 30.0
"""Seconds to wait for leftovers to go away. Where nothing is left, the check does not wait."""


@pytest.fixture(autouse=True)
async def row_105_nothing_is_left_behind(anyio_backend: object) -> AsyncIterator[None]:
    async with assert_no_leaks(within=PATIENCE):
        yield


class SecretsLogged(logging.Handler):
    """The messages of log records of any level that show a secret.

    `caplog` would not do: its level is set anew for each phase of a test, and its records are those of the current phase.
    """

    def __init__(self) -> None:
        super().__init__(level=1)
        self.messages = list[str]()

    def emit(self, record: logging.LogRecord) -> None:
        if CANARY in (message := record.getMessage()):
            self.messages.append(message)


@pytest.fixture(autouse=True)
def row_107_no_record_of_any_level_shows_a_secret(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(1)
    handler, root = SecretsLogged(), logging.getLogger()
    root.addHandler(handler)
    yield
    root.removeHandler(handler)
    assert handler.messages == []
