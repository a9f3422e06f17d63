"""A list may change between any two reads: what every way of reading it promises all the same."""

from collections.abc import Callable, Sequence
from typing import Any

import anyio
from hypothesis import given, settings
from hypothesis import strategies as st

from coaching_async import SortOrder
from tests.support.changing_lists import (
    DELETE,
    INSERT,
    MOVE,
    Change,
    MovingList,
    Way,
    anything,
    by_collect,
    by_items,
    by_pages,
    by_stream,
    counted,
    growing,
    in_two_lives,
    listing_of,
    only,
    shrinking,
)

MANY = settings(max_examples=100, deadline=None)
FEW = settings(max_examples=50, deadline=None)

places = st.floats(0, 1)
a_change = st.builds(Change, st.sampled_from([INSERT, DELETE, MOVE]), places, places)
scripts = st.lists(st.lists(a_change, max_size=4), min_size=2, max_size=12)
lengths = st.integers(0, 14)
sizes = st.integers(1, 5)

ONE_WAY = {"inserts": only(INSERT), "deletes": only(DELETE), "growing": growing, "shrinking": shrinking}
"""Kinds of change that two reads always show, in whatever order they were made."""

ONE_BY_ONE: dict[str, Way] = {"items": by_items, "pages": by_pages, "collect": by_collect}
WAYS: dict[str, Way] = ONE_BY_ONE | {f"stream of {width}": by_stream(width) for width in (1, 2, 4, 8)}

kinds, ways = st.sampled_from(sorted(ONE_WAY)), st.sampled_from(sorted(WAYS))


def services(
    lengths: Sequence[int], script: list[list[Change]], kind: Callable[[Sequence[Change]], list[Change]], **how: Any
) -> list[MovingList]:
    """As many lists, which all change by the same script."""
    return [
        MovingList("abc"[number], length, [kind(each) for each in script], **how)
        for number, length in enumerate(lengths)
    ]


def read(lists: Sequence[MovingList], way: Way, size: int, **how: Any) -> list[str]:
    found = anyio.run(way, listing_of(lists, size, **how))
    assert len(found) == len(set(found)), "handed out twice"
    reads = sum(each.reads for each in lists)
    most = sum(each._made for each in lists)
    assert reads <= 6 * (most + 12 * 5 * 4 + 10), "hardly ends"
    return found


def assert_complete(found: list[str], lists: Sequence[MovingList]) -> None:
    assert not set[str]().union(*(each.lasting for each in lists)) - set(found), "missed"


@MANY
@given(
    kind=kinds,
    way=ways,
    length=lengths,
    size=sizes,
    script=scripts,
    verify=st.booleans(),
    counts=st.booleans(),
    jitter=st.integers(0, 99),
)
def test_what_lasts_is_handed_out_once_where_a_list_grows_or_shrinks(
    kind: str, way: str, length: int, size: int, script: list[list[Change]], verify: bool, counts: bool, jitter: int
):
    lists = services([length], script, ONE_WAY[kind], counts_pages=counts, jitter=jitter)

    assert_complete(read(lists, WAYS[way], size, verify=verify), lists)


@MANY
@given(way=st.sampled_from(sorted(ONE_BY_ONE)), length=lengths, size=sizes, script=scripts, verify=st.booleans())
def test_one_page_at_a_time_any_changes_that_do_not_cancel_out_are_seen(
    way: str, length: int, size: int, script: list[list[Change]], verify: bool
):
    lists = services([length], script, counted)

    assert_complete(read(lists, WAYS[way], size, verify=verify), lists)


@MANY
@given(
    way=ways,
    order=st.sampled_from([None, SortOrder.ASC, SortOrder.DESC]),
    lengths=st.lists(lengths, min_size=2, max_size=3),
    size=sizes,
    script=scripts,
    jitter=st.integers(0, 99),
)
def test_the_same_of_lists_that_are_split(
    way: str, order: SortOrder | None, lengths: list[int], size: int, script: list[list[Change]], jitter: int
):
    lists = services(lengths, script, shrinking, jitter=jitter)

    assert_complete(read(lists, WAYS[way], size, order=order), lists)


@MANY
@given(
    kind=st.sampled_from(["inserts", "deletes"]),
    length=lengths,
    size=st.integers(2, 5),
    script=scripts,
    after=st.integers(1, 14),
    rest=st.lists(a_change, max_size=5),
)
def test_a_walk_that_goes_on_from_its_cursor_keeps_the_promise_while_some_of_the_last_page_is_near(
    kind: str, length: int, size: int, script: list[list[Change]], after: int, rest: list[Change]
):
    """Less than a page of rows was inserted in the meantime, and not all of the last page deleted."""
    [a_list] = services([length], [each[:1] for each in script], ONE_WAY[kind])
    most = size - 2 if kind == "inserts" else len(rest)
    last: list[str] = []

    def change(found: list[str]) -> None:
        last.extend(found[-size:])
        a_list.change(ONE_WAY[kind](rest)[:most])

    found = anyio.run(in_two_lives(after, change), listing_of([a_list], size))

    if a_list.lasting.intersection(last):
        assert len(found) == len(set(found)), "handed out twice"
        assert_complete(found, [a_list])


@FEW
@given(length=lengths, size=sizes, script=scripts, after=st.integers(1, 14))
def test_and_without_bounds_where_all_that_was_handed_out_is_remembered(
    length: int, size: int, script: list[list[Change]], after: int
):
    [a_list] = services([length], script, counted)
    way = in_two_lives(after, remembering=True)

    assert_complete(read([a_list], way, size), [a_list])


@MANY
@given(way=ways, length=lengths, size=sizes, script=scripts, jitter=st.integers(0, 99))
def test_whatever_happens_nothing_comes_twice_and_once_the_list_is_at_rest_verify_finds_everything(
    way: str, length: int, size: int, script: list[list[Change]], jitter: int
):
    read(services([length], script, anything, jitter=jitter), WAYS[way], size)
    lists = services([length], script[: length // size], anything, jitter=jitter)

    assert_complete(read(lists, WAYS[way], size, verify=True), lists)


@FEW
@given(way=ways, lengths=st.lists(lengths, min_size=1, max_size=3), size=sizes)
def test_a_calm_list_costs_no_request_too_many(way: str, lengths: list[int], size: int):
    lists = services(lengths, [], anything)

    assert read(lists, WAYS[way], size) == [each for a_list in lists for each in a_list.ids]
    assert [each.reads for each in lists] == [max(1, -(-length // size)) for length in lengths]
