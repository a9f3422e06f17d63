"""Changes of a list under somebody who reads its pages."""

import contextlib
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from coaching_async.sandbox._state.records import status_line
from coaching_async.sandbox._state.state import State
from coaching_async.sandbox._wire.formats import appointment_pointer

# The state, the ids that are listed (one at least), and whether the newest comes first.
Disturbance: TypeAlias = Callable[[State, Sequence[str], bool], None]


def insert(state: State, ids: Sequence[str], newest_first: bool) -> None:
    """Add a twin of the first, of the same date, so that no filter tells them apart."""
    named = appointment_pointer(_free_id(state, ids[0], after=newest_first))
    twin = {**state.appointment(ids[0]), **named}
    with state.lock:
        state.appointments[named["id"]] = twin
        state.statuses[named["id"]] = [status_line(twin, twin["status"], state.clock(), None)]


def delete(state: State, ids: Sequence[str], _: bool) -> None:
    state.delete(ids[0], None)


def reorder(state: State, ids: Sequence[str], _: bool) -> None:
    first, last = state.appointment(ids[0]), state.appointment(ids[-1])
    state.appointments[ids[0]] = {**first, "dateStart": last["dateStart"]}


def _free_id(state: State, near: str, *, after: bool) -> str:
    """An id next to this one: what is of one date is listed by id."""
    step = 1 if after else -1
    return next(each for each in _neighbours(near, step) if each not in state.appointments)


def _neighbours(near: str, step: int) -> Iterator[str]:
    with contextlib.suppress(ValueError):  # not a UUID, or the first or the last there is
        number = uuid.UUID(near)
        while str(number) == near:
            number = uuid.UUID(int=number.int + step)
            yield (near := str(number))
    while True:
        near = f"{near}!" if step > 0 else f"!{near}"
        yield near
