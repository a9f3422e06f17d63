"""Properties of bulks: whether calls succeed or fail, each item has its outcome, in order."""

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
from tests.support.effort import examples

ERRORS = sorted(
    (error for error in vars(coaching_async).values() if isinstance(error, type) and issubclass(error, CoachingError)),
    key=lambda error: error.__name__,
)
FATAL = (Unauthorized, AuthError, ClientMisuse)


@attrs.frozen
class CallPlan:
    """The result of one call, and how long it takes."""

    error: type[CoachingError] | None
    processed: Any = "no"
    seconds: float = 0.0


not_fatal = st.sampled_from([None, None, *(error for error in ERRORS if error not in FATAL)])
any_error = st.sampled_from([None, *ERRORS])
processed = st.sampled_from(["no", "no", "maybe", "yes"])
seconds = st.sampled_from([0.0, 0.0, 1.0, 2.5])
plans = st.one_of(
    st.lists(st.builds(CallPlan, not_fatal, processed, seconds), max_size=30),
    st.lists(st.builds(CallPlan, any_error, processed, seconds), max_size=30),
)
concurrencies = st.integers(1, 8)
is_async_input = st.booleans()
CallPlans: TypeAlias = Sequence[CallPlan]


def run_virtually(main: Any) -> None:
    anyio.run(main, backend_options={"loop_factory": VirtualLoop})


class Calls:
    """A function that follows the plan of each item, and records its calls."""

    def __init__(self, plans: CallPlans) -> None:
        self.plans = plans
        self.started: list[int] = []
        self.running = self.peak = 0

    async def __call__(self, item: int) -> int:
        self.started.append(item)
        self.running += 1
        self.peak = max(self.peak, self.running)
        plan = self.plans[item]
        await anyio.sleep(plan.seconds)
        self.running -= 1
        if plan.error is not None:
            raise plan.error("as planned", processed=plan.processed)
        return item

    def check(self, outcomes: Sequence[Outcome[int, int]]) -> None:
        """Check that each outcome is that of its call."""
        assert [outcome.item for outcome in outcomes] == list(range(len(outcomes)))
        assert sorted(self.started) == [outcome.item for outcome in outcomes if outcome.is_started]
        for outcome in outcomes:
            if outcome.is_started:
                error = self.plans[outcome.item].error
                assert (outcome.value, outcome.error and type(outcome.error)) == (
                    None if error else outcome.item,
                    error,
                )
        stops = [index for index, outcome in enumerate(outcomes) if isinstance(outcome.error, FATAL)]
        assert stops or all(outcome.is_started for outcome in outcomes)


async def async_items(count: int) -> AsyncIterator[int]:
    for item in range(count):
        yield item


@settings(max_examples=examples(150), deadline=None)
@given(plans, concurrencies, is_async_input)
def test_a_bulk_has_the_outcome_of_every_item_in_order(plans: CallPlans, concurrency: int, is_async: bool):
    async def main() -> None:
        calls, completed = Calls(plans), list[int]()
        items = async_items(len(plans)) if is_async else range(len(plans))

        result: BulkResult[int, int] = await make_client().bulk(
            calls, items, concurrency=concurrency, on_progress=lambda progress: completed.append(progress.newest.item)
        )

        calls.check(result.outcomes)
        assert calls.peak <= concurrency
        assert sorted(completed) == sorted(calls.started)
        if not is_async or not any(isinstance(error, FATAL) for error in result.failed.values()):
            assert len(result.outcomes) == len(plans)
        keys = [set(result.succeeded), set(result.failed), set(result.not_started)]
        assert sum(map(len, keys)) == len(result.outcomes) == len(set().union(*keys))

    run_virtually(main)


@settings(max_examples=examples(100), deadline=None)
@given(plans, concurrencies, is_async_input)
def test_a_stream_yields_the_outcome_of_every_item_in_order(plans: CallPlans, concurrency: int, is_async: bool):
    async def main() -> None:
        calls = Calls(plans)
        items = async_items(len(plans)) if is_async else range(len(plans))

        async with make_client().bulk_stream(calls, items, concurrency=concurrency) as stream:
            outcomes = [outcome async for outcome in stream]

        calls.check(outcomes)
        assert calls.peak <= concurrency
        if not any(isinstance(outcome.error, FATAL) for outcome in outcomes):
            assert len(outcomes) == len(plans)

    run_virtually(main)


@settings(max_examples=examples(100), deadline=None)
@given(plans, concurrencies)
def test_retry_failed_repeats_exactly_the_calls_that_were_not_carried_out(plans: CallPlans, concurrency: int):
    async def main() -> None:
        calls = Calls(plans)
        first = await make_client().bulk(calls, range(len(plans)), concurrency=concurrency)
        retried = {
            outcome.item
            for outcome in first.outcomes
            if not outcome.is_started or (outcome.error and outcome.error.processed == "no")
        }
        calls.started, calls.plans = [], [CallPlan(None)] * len(plans)

        second = await first.retry_failed()

        assert sorted(calls.started) == sorted(retried)
        assert [outcome.item for outcome in second.outcomes] == list(range(len(plans)))
        for before, after in zip(first.outcomes, second.outcomes, strict=True):
            assert after.is_ok if before.item in retried else after is before

    run_virtually(main)
