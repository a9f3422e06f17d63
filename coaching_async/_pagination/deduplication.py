"""The ids that a walk has met."""

from collections.abc import Container, Sequence
from itertools import repeat
from operator import contains
from typing import Final, cast

from .cursor import Position, id_digest

__all__ = ["PassTracker", "SeenIds"]


NO_IDS: Final = ()


class SeenIds:
    """All that a walk has handed out, by whichever of the lists that it is made of."""

    def __init__(self, before: Container[str] = NO_IDS) -> None:
        self.before = before
        """Ids that were handed out before the walk began."""
        self.lists: list[dict[str, int]] = []

    @property
    def is_single_list(self) -> bool:
        """Whether that is all it has. What it was given is not asked whether it is empty: a table may have to count."""
        return len(self.lists) == 1 and self.before is NO_IDS

    def contains(self, id_: str) -> bool:
        """Whether it was handed out."""
        return any(map(contains, self.lists, repeat(id_))) or id_ in self.before


class PassTracker:
    """The ids that one list has shown, and in which pass over it the last time.

    (A dict takes half the memory of a set of as many, and the numbers are shared.)
    """

    def __init__(self, known: SeenIds, start: Position) -> None:
        self.is_complete = not start.row or bool(known.before)
        """Whether all that was handed out is known: where a walk is resumed it may be only the last few, by digests."""
        self.passes = self.count = 0
        self.new_in_pass = 0
        """Ids that the pass before did not meet."""
        self.before = -1
        """How many the pass before met."""
        self._known = known
        self._met: dict[str, int] = {}
        known.lists.append(self._met)
        self._handed_out = known.before if start.row else ()
        self._digests = frozenset(start.digests)
        self._has_past = bool(self._handed_out) or bool(self._digests)

    def begin_pass(self) -> None:
        """Forget none, and count afresh."""
        self.before = self.count if self.passes else -1
        self.passes += 1
        self.count = self.new_in_pass = 0

    def contains(self, id_: str | None) -> bool:
        """Whether this pass has met it, or the walk that this one goes on from."""
        return self.contains_each((id_,))[0]

    def contains_each(self, ids: Sequence[str | None]) -> list[bool]:
        """Which of them it has."""
        met, passes = self._met, self.passes
        if passes > 1 or not self._has_past:
            if met.keys().isdisjoint(ids):  # the usual case, told at once
                return [False] * len(ids)
            return [each is not None and met.get(each) == passes for each in ids]
        return [each is not None and (met.get(each) == passes or self._was_before(each)) for each in ids]

    def add_new(self, ids: Sequence[str | None], old: int) -> list[int]:
        """Meet them: where those are that were not handed out. The first `old` ones were, whatever is known of them."""
        new: list[int] = []
        met, passes = self._met, self.passes
        is_alone = not self._has_past and self._known.is_single_list
        if is_alone and not old and None not in ids and met.keys().isdisjoint(ids) and len(set(ids)) == len(ids):
            met.update(dict.fromkeys(cast("Sequence[str]", ids), passes))  # the usual case, without looking at each
            self.count += len(ids)
            self.new_in_pass += len(ids)
            return list(range(len(ids)))
        for at, each in enumerate(ids):
            if each is None:  # without ids, two alike are two
                new.append(at)
                continue
            last = met.get(each)
            if last is None and at >= old and (is_alone or not (self._known.contains(each) or self._was_before(each))):
                new.append(at)
            if last != passes:
                self.count += 1
                self.new_in_pass += last is None or last < passes - 1
                met[each] = passes
        return new

    def _was_before(self, id_: str) -> bool:
        return id_ in self._handed_out or (bool(self._digests) and id_digest(id_) in self._digests)
