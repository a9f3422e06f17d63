"""What became of the items of a bulk."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import cached_property
from typing import Any, Generic, TypeVar, cast

import attrs

from coaching_async._exceptions import ClientMisuse, CoachingError
from coaching_async._value import Value

__all__ = ["BulkResult", "Outcome", "Progress"]

K = TypeVar("K")
T = TypeVar("T")


@attrs.frozen(eq=False, repr=False, weakref_slot=False)
class Outcome(Value, Generic[K, T]):
    """What became of one item: a value, an error, or nothing, where it was not started."""

    item: K
    value: T | None = None
    error: CoachingError | None = None
    is_started: bool = True
    """False where an error that concerns every call had stopped the bulk before: surely nothing was sent."""

    @property
    def is_ok(self) -> bool:
        """Whether there is a value, though it may be None, as that of a delete is."""
        return self.is_started and self.error is None

    def result(self) -> T:
        """The value; else raises the error, or `ClientMisuse` where the item was not started."""
        if self.error is not None:
            raise self.error
        if not self.is_started:
            raise ClientMisuse("there is no value: this item was not started, because an error had stopped the bulk")
        return cast("T", self.value)


@attrs.frozen(eq=False, repr=False)
class Progress(Value, Generic[K, T]):
    """How far a bulk is, each time that a call of it has ended."""

    done: int
    """Calls that have ended, those that failed included."""
    failed: int
    total: int | None
    """Items in all; None where the input cannot tell."""
    newest: Outcome[K, T]
    """Of the call that has just ended."""


@attrs.frozen(slots=False)
class BulkResult(Generic[K, T]):
    """What became of each item.

    `outcomes` is in the order of the input, one for each item of it. The mappings are keyed by item, or, where an item
    cannot be a key, all by index, counted from 0. An item that came twice counts in each mapping that one of its outcomes
    belongs to, and the last one wins; `outcomes` has both.
    """

    outcomes: tuple[Outcome[K, T], ...]
    _again: Callable[[Iterable[K]], Awaitable["BulkResult[K, T]"]] = attrs.field(repr=False, eq=False)

    @cached_property
    def succeeded(self) -> Mapping[K, T]:
        """The values of the items whose call went well."""
        return {key: cast("T", each.value) for key, each in self._keyed() if each.is_ok}

    @cached_property
    def failed(self) -> Mapping[K, CoachingError]:
        """The errors of the items whose call failed."""
        return {key: each.error for key, each in self._keyed() if each.error is not None}

    @property
    def not_started(self) -> tuple[K, ...]:
        """The items that were not begun, because an error that concerns every call came first: it is in `failed`."""
        return tuple(each.item for each in self.outcomes if not each.is_started)

    def raise_for_failures(self) -> None:
        """Raise the errors as one `ExceptionGroup`, each with a note of the index of its item; nothing where none failed."""
        errors: list[CoachingError] = []
        for index, each in enumerate(self.outcomes):
            if each.error is not None:
                errors.append(_with_note(each.error, f"item {index} of the bulk, counted from 0"))
        if errors:
            unbegun = len(self.not_started)
            rest = f", and {unbegun} were not started" if unbegun else ""
            raise ExceptionGroup(f"{len(errors)} of {len(self.outcomes)} items failed{rest}", errors)

    async def retry_failed(self) -> "BulkResult[K, T]":
        """Run again what failed and what was not started, and give a new result, of all items in the same order.

        What may have been carried out stays as it is, whatever the method: an `OutcomeUnknown`, and any other error whose
        `processed` is not "no". Look whether it was, before you call for it again.

        Raises what `CoachingClient.bulk` raises; this result stays good.
        """
        left = [index for index, each in enumerate(self.outcomes) if _is_retryable(each)]
        if not left:
            return self
        outcomes = list(self.outcomes)
        again = await self._again([outcomes[index].item for index in left])
        for index, outcome in zip(left, again.outcomes, strict=True):
            outcomes[index] = outcome
        return BulkResult(tuple(outcomes), self._again)

    def _keyed(self) -> Iterable[tuple[K, Outcome[K, T]]]:
        if all(_is_hashable(each.item) for each in self.outcomes):
            return ((each.item, each) for each in self.outcomes)
        return cast("Iterable[tuple[K, Outcome[K, T]]]", enumerate(self.outcomes))


def _is_retryable(outcome: Outcome[Any, Any]) -> bool:
    return not outcome.is_started or (outcome.error is not None and outcome.error.processed == "no")


def _with_note(error: CoachingError, note: str) -> CoachingError:
    if note not in getattr(error, "__notes__", ()):
        error.add_note(note)
    return error


def _is_hashable(item: object) -> bool:
    try:
        hash(item)
    except Exception:  # noqa: BLE001 # TypeError as a rule
        return False
    return True
