"""Whatever becomes of the calls, every item is accounted for, in order."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, TypeAlias

import anyio
import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

import coaching_async
from coaching_async import AuthError, BulkResult, ClientMisuse, CoachingError, Outcome, Unauthorized
from tests.conftest import VirtualLoop
from tests.support.bulk import make_client

KINDS = sorted(
    (each for each in vars(coaching_async).values() if isinstance(each, type) and issubclass(each, CoachingError)),
    key=lambda kind: kind.__name__,
)
STOPPING = (Unauthorized, AuthError, ClientMisuse)


@attrs.frozen
class Fate:
    """What becomes of one call, and how long it takes."""

    kind: type[CoachingError] | None
    processed: Any = "no"
    seconds: float = 0.0


harmless = st.sampled_from([None, None, *(each for each in KINDS if each not in STOPPING)])
any_kind = st.sampled_from([None, *KINDS])
processed = st.sampled_from(["no", "no", "maybe", "yes"])
seconds = st.sampled_from([0.0, 0.0, 1.0, 2.5])
fates = st.one_of(
    st.lists(st.builds(Fate, harmless, processed, seconds), max_size=30),
    st.lists(st.builds(Fate, any_kind, processed, seconds), max_size=30),
)
widths = st.integers(1, 8)
asynchronous = st.booleans()
Fates: TypeAlias = Sequence[Fate]


def virtually(main: Any) -> None:
    anyio.run(main, backend_options={"loop_factory": VirtualLoop})


class Calls:
    """Carries out each item's fate, and remembers which were begun."""

    def __init__(self, fates: Fates) -> None:
        self.fates = fates
        self.begun: list[int] = []
        self.under_way = self.peak = 0

    async def __call__(self, item: int) -> int:
        self.begun.append(item)
        self.under_way += 1
        self.peak = max(self.peak, self.under_way)
        fate = self.fates[item]
        await anyio.sleep(fate.seconds)
        self.under_way -= 1
        if fate.kind is not None:
            raise fate.kind("as ordered", processed=fate.processed)
        return item

    def judge(self, outcomes: Sequence[Outcome[int, int]]) -> None:
        """Each outcome is what became of its call."""
        assert [each.item for each in outcomes] == list(range(len(outcomes)))
        assert sorted(self.begun) == [each.item for each in outcomes if each.is_started]
        for each in outcomes:
            if each.is_started:
                kind = self.fates[each.item].kind
                assert (each.value, each.error and type(each.error)) == (None if kind else each.item, kind)
        stops = [index for index, each in enumerate(outcomes) if isinstance(each.error, STOPPING)]
        assert stops or all(each.is_started for each in outcomes)


async def drawn(count: int) -> AsyncIterator[int]:
    for each in range(count):
        yield each


@settings(max_examples=150, deadline=None)
@given(fates, widths, asynchronous)
def test_every_item_of_a_bulk_is_accounted_for_in_order(fates: Fates, width: int, is_async: bool):
    async def main() -> None:
        calls, told = Calls(fates), list[int]()
        items = drawn(len(fates)) if is_async else range(len(fates))

        result: BulkResult[int, int] = await make_client().bulk(
            calls, items, concurrency=width, on_progress=lambda each: told.append(each.newest.item)
        )

        calls.judge(result.outcomes)
        assert calls.peak <= width
        assert sorted(told) == sorted(calls.begun)
        if not is_async or not any(isinstance(each, STOPPING) for each in result.failed.values()):
            assert len(result.outcomes) == len(fates)
        keys = [set(result.succeeded), set(result.failed), set(result.not_started)]
        assert sum(map(len, keys)) == len(result.outcomes) == len(set().union(*keys))

    virtually(main)


@settings(max_examples=100, deadline=None)
@given(fates, widths, asynchronous)
def test_every_item_of_a_stream_is_accounted_for_in_order(fates: Fates, width: int, is_async: bool):
    async def main() -> None:
        calls = Calls(fates)
        items = drawn(len(fates)) if is_async else range(len(fates))

        async with make_client().bulk_stream(calls, items, concurrency=width) as stream:
            outcomes = [each async for each in stream]

        calls.judge(outcomes)
        assert calls.peak <= width
        if not any(isinstance(each.error, STOPPING) for each in outcomes):
            assert len(outcomes) == len(fates)

    virtually(main)


@settings(max_examples=100, deadline=None)
@given(fates, widths)
def test_running_again_calls_for_what_surely_was_not_done_and_for_nothing_else(fates: Fates, width: int):
    async def main() -> None:
        calls = Calls(fates)
        first = await make_client().bulk(calls, range(len(fates)), concurrency=width)
        again = {
            each.item for each in first.outcomes if not each.is_started or (each.error and each.error.processed == "no")
        }
        calls.begun, calls.fates = [], [Fate(None)] * len(fates)

        second = await first.retry_failed()

        assert sorted(calls.begun) == sorted(again)
        assert [each.item for each in second.outcomes] == list(range(len(fates)))
        for before, after in zip(first.outcomes, second.outcomes, strict=True):
            assert after.is_ok if before.item in again else after is before

    virtually(main)
