"""Memory of a bulk of 100,000 items. tests/bulk/test_runner.py tests 4,000."""

import gc
import tracemalloc
from collections.abc import Callable

import pytest

from tests.support.bulk import bytes_an_item, make_client, nothing

pytestmark = [pytest.mark.anyio, pytest.mark.real_time, pytest.mark.timeout(1800)]


async def test_a_bulk_of_a_hundred_thousand_items_takes_little_memory_for_each(show: Callable[[str], None]):
    each = await bytes_an_item(1_000, 100_000)

    show(f"{each:.0f} bytes an item")
    assert each < 150


async def test_the_memory_of_a_stream_does_not_grow_with_its_items(show: Callable[[str], None]):
    peaks: list[int] = []
    for count in (1_000, 100_000):
        gc.collect()
        tracemalloc.start()
        async with make_client().bulk_stream(nothing, range(count)) as outcomes:
            async for _ in outcomes:
                pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    show(f"{peaks[0]} and {peaks[1]} bytes")
    assert peaks[1] < peaks[0] + 20_000
