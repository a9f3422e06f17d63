"""Changes of a list while a client reads its pages."""

import contextlib
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from coaching_async.sandbox._state.records import status_change
from coaching_async.sandbox._state.state import State
from coaching_async.sandbox._wire.references import appointment_reference

ListChange: TypeAlias = Callable[[State, Sequence[str], bool], None]
"""Called with the state, the ids that are listed (at least one), and whether the newest comes first."""


def insert(state: State, ids: Sequence[str], newest_first: bool) -> None:
    """Add a copy of the first appointment, of the same date, so that no filter distinguishes the two."""
    own = appointment_reference(_unused_id(state, ids[0], after=newest_first))
    copy = {**state.appointment(ids[0]), **own}
    with state.lock:
        state.appointments[own["id"]] = copy
        state.statuses[own["id"]] = [status_change(copy, copy["status"], state.clock(), None)]


def delete(state: State, ids: Sequence[str], _: bool) -> None:
    state.delete(ids[0], None)


def reorder(state: State, ids: Sequence[str], _: bool) -> None:
    first, last = state.appointment(ids[0]), state.appointment(ids[-1])
    state.appointments[ids[0]] = {**first, "dateStart": last["dateStart"]}


def _unused_id(state: State, near: str, *, after: bool) -> str:
    """Return an id next to `near`, because appointments of the same date are listed by id."""
    step = 1 if after else -1
    return next(id_ for id_ in _neighbors(near, step) if id_ not in state.appointments)


def _neighbors(near: str, step: int) -> Iterator[str]:
    with contextlib.suppress(ValueError):  # not a UUID, or the first or last possible one
        number = uuid.UUID(near)
        while str(number) == near:
            number = uuid.UUID(int=number.int + step)
            yield (near := str(number))
    while True:
        near = f"{near}!" if step > 0 else f"!{near}"
        yield near
