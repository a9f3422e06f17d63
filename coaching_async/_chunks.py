"""Long lists of ids, split so that each request stays short."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Final

from ._urls import query

__all__ = ["chunks"]

MOST_IDS: Final = 100
"""Of one kind in one request. The service publishes no bound; that it takes so many is what its other lists do."""
MOST_BYTES: Final = 7_000
"""Of ids in one URL. Servers and proxies take 8,000 and more, and the rest of ours is short."""


def chunks(**several: Sequence[str]) -> tuple[Mapping[str, Sequence[str]], ...]:
    """The ids of each name in parts, and every part of one name with every part of the others. Ids given twice are asked once.

    An id that is too long by itself stays whole: whether it fits is for others to say.
    """
    room = MOST_BYTES // max(1, len(several))
    parts = [list(_parts(name, dict.fromkeys(ids), room)) for name, ids in several.items()]
    return tuple(dict(zip(several, each, strict=True)) for each in product(*parts))


def _parts(name: str, ids: Iterable[str], room: int) -> Iterator[tuple[str, ...]]:
    part: list[str] = []
    used = 0
    for each in ids:
        size = len(query(**{name: [each]})) + 1
        if part and (len(part) == MOST_IDS or used + size > room):
            yield tuple(part)
            part, used = [], 0
        part.append(each)
        used += size
    yield tuple(part)
