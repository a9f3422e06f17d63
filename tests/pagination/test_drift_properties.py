"""Properties of every way to read a list that may change between any two reads."""

from collections.abc import Sequence
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
from tests.support.effort import examples

MANY = settings(max_examples=examples(100), deadline=None)
FEW = settings(max_examples=examples(50), deadline=None)

places = st.floats(0, 1)
changes = st.builds(Change, st.sampled_from([INSERT, DELETE, MOVE]), places, places)
scripts = st.lists(st.lists(changes, max_size=4), min_size=2, max_size=12)
lengths = st.integers(0, 14)
sizes = st.integers(1, 5)

DETECTABLE = {"inserts": only(INSERT), "deletes": only(DELETE), "growing": growing, "shrinking": shrinking}
"""Kinds of change that any two reads show, in whichever order the responses arrive."""

SEQUENTIAL: dict[str, ReadIds] = {"items": read_items, "pages": read_pages, "collect": read_collected}
METHODS: dict[str, ReadIds] = SEQUENTIAL | {f"stream of {number}": read_stream(number) for number in (1, 2, 4, 8)}

kinds, methods = st.sampled_from(sorted(DETECTABLE)), st.sampled_from(sorted(METHODS))


def services(
    lengths: Sequence[int], script: list[list[Change]], select: SelectChanges, **options: Any
) -> list[ChangingList]:
    """Return a list for each length, which all change by the same script."""
    return [
        ChangingList("abc"[number], length, [select(changes) for changes in script], **options)
        for number, length in enumerate(lengths)
    ]


def read(lists: Sequence[ChangingList], method: ReadIds, size: int, **options: Any) -> list[str]:
    found = anyio.run(method, listing_of(lists, size, **options))
    assert len(found) == len(set(found)), "an item was returned twice"
    reads = sum(service.reads for service in lists)
    rows = sum(service.created for service in lists)
    assert reads <= 6 * (rows + 12 * 5 * 4 + 10), "too many requests"
    return found


def assert_complete(found: list[str], lists: Sequence[ChangingList]) -> None:
    lasting = set[str]().union(*(service.lasting for service in lists))
    assert not lasting - set(found), "an item was missed"


@MANY
@given(
    kind=kinds,
    method=methods,
    length=lengths,
    size=sizes,
    script=scripts,
    verify=st.booleans(),
    has_page_count=st.booleans(),
    latency_seed=st.integers(0, 99),
)
def test_every_method_returns_each_lasting_item_once_from_a_list_that_grows_or_shrinks(
    kind: str,
    method: str,
    length: int,
    size: int,
    script: list[list[Change]],
    verify: bool,
    has_page_count: bool,
    latency_seed: int,
):
    lists = services([length], script, DETECTABLE[kind], has_page_count=has_page_count, latency_seed=latency_seed)

    assert_complete(read(lists, METHODS[method], size, verify=verify), lists)


@MANY
@given(method=st.sampled_from(sorted(SEQUENTIAL)), length=lengths, size=sizes, script=scripts, verify=st.booleans())
def test_sequential_reading_detects_all_changes_of_the_total(
    method: str, length: int, size: int, script: list[list[Change]], verify: bool
):
    lists = services([length], script, changing_the_total)

    assert_complete(read(lists, METHODS[method], size, verify=verify), lists)


@MANY
@given(
    method=methods,
    order=st.sampled_from([None, SortOrder.ASC, SortOrder.DESC]),
    lengths=st.lists(lengths, min_size=2, max_size=3),
    size=sizes,
    script=scripts,
    latency_seed=st.integers(0, 99),
)
def test_every_method_returns_each_lasting_item_once_from_a_split_list(
    method: str, order: SortOrder | None, lengths: list[int], size: int, script: list[list[Change]], latency_seed: int
):
    lists = services(lengths, script, shrinking, latency_seed=latency_seed)

    assert_complete(read(lists, METHODS[method], size, order=order), lists)


@MANY
@given(
    kind=st.sampled_from(["inserts", "deletes"]),
    length=lengths,
    size=st.integers(2, 5),
    script=scripts,
    after=st.integers(1, 14),
    meanwhile=st.lists(changes, max_size=5),
)
def test_a_walk_resumed_from_a_cursor_is_complete_while_a_row_of_the_last_page_is_near(
    kind: str, length: int, size: int, script: list[list[Change]], after: int, meanwhile: list[Change]
):
    """Fewer rows than a page were inserted in the meantime, and not all rows of the last page were deleted."""
    [service] = services([length], [changes[:1] for changes in script], DETECTABLE[kind])
    limit = size - 2 if kind == "inserts" else len(meanwhile)
    last: list[str] = []

    def change(found: list[str]) -> None:
        last.extend(found[-size:])
        service.change(DETECTABLE[kind](meanwhile)[:limit])

    found = anyio.run(read_and_resume(after, change), listing_of([service], size))

    if service.lasting.intersection(last):
        assert len(found) == len(set(found)), "an item was returned twice"
        assert_complete(found, [service])


@FEW
@given(length=lengths, size=sizes, script=scripts, after=st.integers(1, 14))
def test_a_resumed_walk_that_is_given_all_returned_ids_is_complete_after_any_detectable_change(
    length: int, size: int, script: list[list[Change]], after: int
):
    [service] = services([length], script, changing_the_total)
    method = read_and_resume(after, is_seen_known=True)

    assert_complete(read([service], method, size), [service])


@MANY
@given(method=methods, length=lengths, size=sizes, script=scripts, latency_seed=st.integers(0, 99))
def test_no_change_makes_an_item_return_twice_and_verify_finds_all_once_the_list_has_settled(
    method: str, length: int, size: int, script: list[list[Change]], latency_seed: int
):
    read(services([length], script, all_changes, latency_seed=latency_seed), METHODS[method], size)
    lists = services([length], script[: length // size], all_changes, latency_seed=latency_seed)

    assert_complete(read(lists, METHODS[method], size, verify=True), lists)


@FEW
@given(method=methods, lengths=st.lists(lengths, min_size=1, max_size=3), size=sizes)
def test_an_unchanged_list_costs_one_request_per_page(method: str, lengths: list[int], size: int):
    lists = services(lengths, [], all_changes)

    assert read(lists, METHODS[method], size) == [id_ for service in lists for id_ in service.ids]
    assert [service.reads for service in lists] == [max(1, -(-length // size)) for length in lengths]
