"""Many walks over lists that change return no item twice, and miss none that they could have noticed.

LONG_WALKS is the number of walks of each mode.
"""

import os
import random
from collections import Counter
from collections.abc import Callable

import anyio
import attrs
import pytest

from coaching_async import SortOrder
from tests.conftest import VirtualLoop
from tests.support.changing_lists import (
    DELETE,
    INSERT,
    MOVE,
    Change,
    ChangingList,
    ReadIds,
    SelectChanges,
    all_changes,
    changing_the_total,
    growing,
    listing_of,
    only,
    read_and_resume,
    read_collected,
    read_items,
    read_pages,
    read_stream,
    shrinking,
)

WALKS = int(os.environ.get("LONG_WALKS", "10000"))
SEED = 20261124

pytestmark = pytest.mark.timeout(120 + WALKS // 10)


ONE_WAY: dict[str, SelectChanges] = {
    "inserts": only(INSERT),
    "deletes": only(DELETE),
    "growing": growing,
    "shrinking": shrinking,
}
ANY: dict[str, SelectChanges] = {"all changes": all_changes}


@attrs.frozen
class Mode:
    """A way of reading, and the kinds of change that it notices, with which it may miss no item."""

    way: Callable[[random.Random], ReadIds]
    seen: dict[str, SelectChanges]
    lists: int = 1
    order: SortOrder | None = None
    verify: bool = False


def in_two(choices: random.Random) -> ReadIds:
    return read_and_resume(choices.randrange(1, 30), is_seen_known=True)


def streaming(choices: random.Random) -> ReadIds:
    return read_stream(choices.randrange(2, 9))


MODES = {
    "items": Mode(lambda _: read_items, ONE_WAY | {"changing the total": changing_the_total}),
    "pages": Mode(lambda _: read_pages, ONE_WAY | {"changing the total": changing_the_total}),
    "collect": Mode(lambda _: read_collected, ONE_WAY | {"changing the total": changing_the_total}),
    "stream": Mode(streaming, ONE_WAY),
    "verify": Mode(lambda _: read_items, ONE_WAY | {"changing the total": changing_the_total}, verify=True),
    "stream, verify": Mode(streaming, ONE_WAY, verify=True),
    "split": Mode(lambda _: read_items, ONE_WAY | {"changing the total": changing_the_total}, lists=3),
    "split, merged": Mode(
        lambda _: read_items, ONE_WAY | {"changing the total": changing_the_total}, lists=3, order=SortOrder.ASC
    ),
    "split, stream": Mode(streaming, ONE_WAY, lists=3),
    "split, merged, stream": Mode(streaming, ONE_WAY, lists=3, order=SortOrder.DESC),
    "in two lives, remembering": Mode(in_two, ONE_WAY | {"changing the total": changing_the_total}),
}


@attrs.define
class Figures:
    """Totals of many walks."""

    walks: int = 0
    lasting: int = 0
    missed: int = 0
    doubled: int = 0
    requests: int = 0
    needed: int = 0

    def __str__(self) -> str:
        extra = 100 * (self.requests - self.needed) / self.needed
        return (
            f"{self.walks} walks, {self.lasting} lasting items, {self.missed} missed, {self.doubled} doubled, "
            f"{self.requests} requests ({extra:+.0f} %)"
        )


async def walk(mode: Mode, kind: SelectChanges, choices: random.Random, figures: Figures) -> None:
    size, length = choices.randrange(2, 11), choices.randrange(60)
    liveliness = choices.choice([0.02, 0.1, 0.5])

    def a_change() -> Change:
        return Change(choices.choice([INSERT, DELETE, MOVE]), choices.random(), choices.random())

    def script() -> list[list[Change]]:
        some = [[a_change() for _ in range(choices.randrange(1, 6))] for _ in range(40)]
        return [kind(each) if choices.random() < liveliness else [] for each in some]

    lists = [
        ChangingList(
            "abc"[at], length, script(), latency_seed=choices.randrange(1000), has_page_count=choices.random() < 0.8
        )
        for at in range(mode.lists)
    ]
    found = Counter(await mode.way(choices)(listing_of(lists, size, order=mode.order, verify=mode.verify)))
    lasting = set[str]().union(*(each.lasting for each in lists))
    figures.walks += 1
    figures.lasting += len(lasting)
    figures.missed += len(lasting - found.keys())
    figures.doubled += found.total() - len(found)
    figures.requests += sum(each.reads for each in lists)
    figures.needed += sum(max(1, -(-len(each.ids) // size)) for each in lists)


@pytest.mark.parametrize("name", MODES)
def test_no_item_is_returned_twice_and_no_noticeable_change_causes_a_miss(name: str, show: Callable[[str], None]):
    mode, choices = MODES[name], random.Random(f"{SEED} {name}")
    kinds = mode.seen | ANY
    figures = {kind: Figures() for kind in kinds}

    async def main() -> None:
        for number in range(WALKS):
            kind = list(kinds)[number % len(kinds)]
            await walk(mode, kinds[kind], choices, figures[kind])

    anyio.run(main, backend_options={"loop_factory": VirtualLoop})
    for kind, each in figures.items():
        show(f"{name}: {kind}: {each}")

    assert sum(figure.doubled for figure in figures.values()) == 0
    assert {kind: each.missed for kind, each in figures.items() if kind in mode.seen and each.missed} == {}
