"""Fixtures of the tests of channels."""

from collections.abc import AsyncIterator

import pytest

from coaching_async.testing import assert_no_leaks
from tests.support.fault_server import HANG


@pytest.fixture
async def nothing_is_left(anyio_backend: object) -> AsyncIterator[None]:
    async with assert_no_leaks(within=HANG):
        yield
