"""Names by id, kept for a while, and read once for all callers that need them at the same time."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from copy import copy
from typing import Final, TypeAlias

import anyio
import attrs

from coaching_async._exceptions import CoachingError

__all__ = ["NameCache"]


MAX_AGE: Final = 600.0
"""Seconds that a name is kept."""


MAX_NAMES: Final = 10_000


ReadNames: TypeAlias = Callable[[Sequence[str]], Awaitable[Mapping[str, str]]]


@attrs.define(eq=False, repr=False)
class _Reading:
    """Ids that are being read. Of the result, the names are set, or the error; neither if the reader was cancelled."""

    done: anyio.Event = attrs.field(factory=anyio.Event)
    names: Mapping[str, str] | None = None
    error: CoachingError | None = None


@attrs.define(eq=False, repr=False)
class NameCache:
    """The names of one identity, because another one may not see the same users. Its times are those of one event loop's clock."""

    _kept: dict[str, tuple[float, str]] = attrs.field(factory=dict[str, tuple[float, str]])
    """Name by id, and when it was read, the oldest first. An id without a name is its own."""
    _readings: dict[str, _Reading] = attrs.field(factory=dict[str, _Reading])

    async def get_many(self, ids: Sequence[str], read: ReadNames) -> dict[str, str]:
        """Return the name of each id, or the id itself where `read` returns none.

        Ids that another caller is reading are waited for. Its error is raised here, too; if it is cancelled, this caller reads.
        """
        names: dict[str, str] = {}
        while unknown := [id_ for id_ in dict.fromkeys(ids) if id_ not in names]:
            now = anyio.current_time()
            names |= {id_: self._kept[id_][1] for id_ in unknown if self._is_fresh(id_, now)}
            unread = [id_ for id_ in unknown if id_ not in names and id_ not in self._readings]
            if unread:
                names |= await self._read(unread, read)
            elif reading := next((self._readings[id_] for id_ in unknown if id_ not in names), None):
                await reading.done.wait()
                if reading.error is not None:
                    raise copy(reading.error)
                names |= {id_: name for id_, name in (reading.names or {}).items() if id_ in unknown}
        return names

    def rebase(self, shift: float) -> None:
        """Continue with the clock of another event loop, which is `shift` ahead."""
        self._kept = {id_: (read_at + shift, name) for id_, (read_at, name) in self._kept.items()}
        self._readings = {}

    def _is_fresh(self, id_: str, now: float) -> bool:
        kept = self._kept.get(id_)
        return kept is not None and now < kept[0] + MAX_AGE

    async def _read(self, ids: Sequence[str], read: ReadNames) -> Mapping[str, str]:
        reading = _Reading()
        self._readings |= dict.fromkeys(ids, reading)
        try:
            found = await read(ids)
        except CoachingError as error:
            reading.error = copy(error)
            raise
        else:
            reading.names = {id_: found.get(id_, id_) for id_ in ids}
            self._keep(reading.names)
            return reading.names
        finally:
            for id_ in ids:
                self._readings.pop(id_, None)
            reading.done.set()

    def _keep(self, names: Mapping[str, str]) -> None:
        now = anyio.current_time()
        for id_, name in names.items():
            self._kept.pop(id_, None)
            self._kept[id_] = now, name
        for id_ in list(self._kept)[:-MAX_NAMES]:
            del self._kept[id_]
