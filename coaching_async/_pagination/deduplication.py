"""Deduplication: the ids that a walk has seen, so that each item is returned once."""

from collections.abc import Container, Sequence
from itertools import repeat
from operator import contains
from typing import Final, TypeGuard

from .cursor import Position, id_digest

__all__ = ["PassTracker", "SeenIds"]


NO_IDS: Final = ()


class SeenIds:
    """All ids that a walk has seen, in any of the lists that it reads."""

    def __init__(self, initial: Container[str] = NO_IDS) -> None:
        self.initial = initial
        """Ids that were returned before the walk began."""
        self.lists: list[dict[str, int]] = []

    @property
    def is_single_list(self) -> bool:
        """Whether the walk reads one list and was given no initial ids.

        `initial` is compared by identity, because a caller's container may have to count its ids to tell whether it is empty.
        """
        return len(self.lists) == 1 and self.initial is NO_IDS

    def contains(self, id_: str) -> bool:
        """Return whether the walk has seen the id."""
        return any(map(contains, self.lists, repeat(id_))) or id_ in self.initial


class PassTracker:
    """The ids of one list, each with the last pass that saw it.

    They are in a dict, because a set takes twice the memory; the pass numbers are shared objects.
    """

    def __init__(self, known: SeenIds, start: Position) -> None:
        self.is_complete = not start.row or bool(known.initial)
        """Whether all returned ids are known. A walk resumed from a cursor may know only digests of the last ones."""
        self.passes = 0
        """Passes begun."""
        self.count = 0
        """Different ids seen in this pass."""
        self.previous_count = -1
        """Different ids seen in the previous pass; -1 in the first."""
        self.new_in_pass = 0
        """Ids seen in this pass and not in the previous one."""
        self._known = known
        self._last_pass: dict[str, int] = {}
        known.lists.append(self._last_pass)
        self._initial = known.initial if start.row else ()
        self._digests = frozenset(start.digests)
        self._is_resumed = bool(self._initial) or bool(self._digests)

    def begin_pass(self) -> None:
        """Reset the counts for another pass. No id is forgotten."""
        self.previous_count = self.count if self.passes else -1
        self.passes += 1
        self.count = self.new_in_pass = 0

    def contains(self, id_: str | None) -> bool:
        """Return whether this pass, or the walk that this one resumes, has seen the id."""
        return self.contains_each((id_,))[0]

    def contains_each(self, ids: Sequence[str | None]) -> list[bool]:
        """Return `contains(id_)` for each of the ids."""
        last_pass, passes = self._last_pass, self.passes
        if passes > 1 or not self._is_resumed:
            if last_pass.keys().isdisjoint(ids):  # the usual case, which needs no loop
                return [False] * len(ids)
            return [id_ is not None and last_pass.get(id_) == passes for id_ in ids]
        return [id_ is not None and (last_pass.get(id_) == passes or self._was_returned_before(id_)) for id_ in ids]

    def add_new(self, ids: Sequence[str | None], known_prefix: int) -> list[int]:
        """Record the ids of a page, and return the indexes of those that were not returned yet.

        The first `known_prefix` of them were returned before the cursor, even if their ids are not known.
        """
        if not known_prefix and self._are_all_new(ids):
            return self._add_page(ids)
        return self._add_each(ids, known_prefix)

    def _are_all_new(self, ids: Sequence[str | None]) -> TypeGuard[Sequence[str]]:
        """Return whether no id of the page can have been returned, by a check without a loop. False can be wrong."""
        return (
            not self._is_resumed
            and self._known.is_single_list
            and None not in ids
            and self._last_pass.keys().isdisjoint(ids)
            and len(set(ids)) == len(ids)
        )

    def _add_page(self, ids: Sequence[str]) -> list[int]:
        self._last_pass.update(dict.fromkeys(ids, self.passes))
        self.count += len(ids)
        self.new_in_pass += len(ids)
        return list(range(len(ids)))

    def _add_each(self, ids: Sequence[str | None], known_prefix: int) -> list[int]:
        new: list[int] = []
        for index, id_ in enumerate(ids):
            if id_ is None:  # rows without ids cannot be compared, so each counts as new
                new.append(index)
                continue
            if index >= known_prefix and not self._was_returned(id_):
                new.append(index)
            last_pass = self._last_pass.get(id_)
            if last_pass != self.passes:
                self.count += 1
                self.new_in_pass += last_pass is None or last_pass < self.passes - 1
                self._last_pass[id_] = self.passes
        return new

    def _was_returned(self, id_: str) -> bool:
        return id_ in self._last_pass or self._known.contains(id_) or self._was_returned_before(id_)

    def _was_returned_before(self, id_: str) -> bool:
        """Return whether the walk that this one resumes returned the id, as far as that is known."""
        return id_ in self._initial or (bool(self._digests) and id_digest(id_) in self._digests)
