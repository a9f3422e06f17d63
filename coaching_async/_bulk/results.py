"""Results of a bulk: the outcome of each item, progress, and the result as a whole."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Generic, TypeVar, cast

import attrs

from coaching_async._exceptions import ClientMisuse, CoachingError
from coaching_async._value import Value, summary

__all__ = ["BulkResult", "Outcome", "Progress", "raise_errors"]

K = TypeVar("K")
T = TypeVar("T")


@attrs.frozen(eq=False, repr=False, weakref_slot=False)
class Outcome(Value, Generic[K, T]):
    """The outcome of one item: a value, an error, or neither if it was not started."""

    item: K
    """Item of the input."""
    value: T | None = None
    """What the call returned. None if it returned None, failed or was not started."""
    error: CoachingError | None = None
    """Error of the call. None if there was none."""
    is_started: bool = True
    """False if the bulk was stopped before, by an error that every call would raise. No request was sent."""

    @property
    def is_ok(self) -> bool:
        """Whether the call returned. Its value may be None, as that of a delete."""
        return self.is_started and self.error is None

    def result(self) -> T:
        """Return the value.

            result = await client.appointments.get_many(appointment_ids)
            names = [each.result().name for each in result.outcomes]

        Raises the error, or `ClientMisuse` if the item was not started.
        """
        if self.error is not None:
            raise self.error
        if not self.is_started:
            raise ClientMisuse("there is no value: no call was started for this item")
        return cast("T", self.value)


@attrs.frozen(eq=False, repr=False)
class Progress(Value, Generic[K, T]):
    """Progress of a bulk, after each call."""

    done: int
    """Number of calls that have ended, failed ones included."""
    failed: int
    """Number of calls that have failed."""
    total: int | None
    """Number of items; None if the input has no length."""
    newest: Outcome[K, T]
    """Outcome of the call that has just ended."""


@attrs.frozen(slots=False, repr=False)
class BulkResult(Generic[K, T]):
    """Outcomes of all items.

    The mappings are keyed by item, or all by index, counted
    from 0, if one of the items is not hashable. For an item that was given twice, `outcomes` has both outcomes, and a
    mapping has the last one that belongs to it.
    """

    outcomes: tuple[Outcome[K, T], ...]
    """One outcome for each item, in the order of the input."""
    _rerun: Callable[[Iterable[K]], Awaitable["BulkResult[K, T]"]] = attrs.field(eq=False)

    def __repr__(self) -> str:
        succeeded = sum(outcome.is_ok for outcome in self.outcomes)
        failed = sum(outcome.error is not None for outcome in self.outcomes)
        return summary(self, f"{succeeded} succeeded", failed=failed, not_started=len(self.not_started))

    @cached_property
    def succeeded(self) -> Mapping[K, T]:
        """Values of the calls that succeeded, by item."""
        return {key: cast("T", outcome.value) for key, outcome in self._keyed() if outcome.is_ok}

    @cached_property
    def failed(self) -> Mapping[K, CoachingError]:
        """Errors of the calls that failed, by item."""
        return {key: outcome.error for key, outcome in self._keyed() if outcome.error is not None}

    @property
    def not_started(self) -> tuple[K, ...]:
        """Items that were not started, because an error that every call would raise came first. It is in `failed`."""
        return tuple(outcome.item for outcome in self.outcomes if not outcome.is_started)

    def raise_for_failures(self) -> None:
        """Raise all errors as one `ExceptionGroup`, each with a note of the index of its item.

            result = await client.appointments.get_many(appointment_ids)
            result.raise_for_failures()

        Nothing is raised if there are none.
        """
        raise_errors(self.outcomes)

    async def retry_failed(self) -> "BulkResult[K, T]":
        """Retry the calls that failed and start those that were not started. Return a new result, in the same order.

            result = await client.appointments.get_many(appointment_ids)
            if result.failed:
                result = await result.retry_failed()

        A call that may have been carried out is not repeated, with any method: one with an `OutcomeUnknown`, or with another
        error whose `processed` is not "no". Check whether it was carried out before you repeat it.

        Raises what `CoachingClient.bulk` raises. This result does not change.
        """
        indexes = [index for index, outcome in enumerate(self.outcomes) if _is_retryable(outcome)]
        if not indexes:
            return self
        outcomes = list(self.outcomes)
        result = await self._rerun([outcomes[index].item for index in indexes])
        for index, outcome in zip(indexes, result.outcomes, strict=True):
            outcomes[index] = outcome
        return BulkResult(tuple(outcomes), self._rerun)

    def _keyed(self) -> Iterable[tuple[K, Outcome[K, T]]]:
        if all(_is_hashable(outcome.item) for outcome in self.outcomes):
            return ((outcome.item, outcome) for outcome in self.outcomes)
        return cast("Iterable[tuple[K, Outcome[K, T]]]", enumerate(self.outcomes))


def raise_errors(outcomes: Sequence[Outcome[Any, Any]]) -> None:
    """Raise the errors of outcomes as one `ExceptionGroup`, each with a note of its index. Return if there are none."""
    errors = [
        _with_note(outcome.error, f"item {index} of the bulk, counted from 0")
        for index, outcome in enumerate(outcomes)
        if outcome.error is not None
    ]
    if errors:
        not_started = sum(not outcome.is_started for outcome in outcomes)
        rest = f", and {not_started} were not started" if not_started else ""
        raise ExceptionGroup(f"{len(errors)} of {len(outcomes)} items failed{rest}", errors)


def _is_retryable(outcome: Outcome[Any, Any]) -> bool:
    return not outcome.is_started or (outcome.error is not None and outcome.error.processed == "no")


def _with_note(error: CoachingError, note: str) -> CoachingError:
    if note not in getattr(error, "__notes__", ()):
        error.add_note(note)
    return error


def _is_hashable(item: object) -> bool:
    try:
        hash(item)
    except Exception:  # noqa: BLE001 # usually a TypeError
        return False
    return True
