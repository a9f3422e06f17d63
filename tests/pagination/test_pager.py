"""What a walk decides about each page, case by case, and what that costs."""

from collections.abc import Callable, Sequence
from typing import Any

import attrs
import pytest

from coaching_async import Page, StatusChange, WalkReport
from coaching_async._pagination.drift import (
    MAX_BACKTRACKS,
    MAX_REPEATED_PAGES,
    MAX_SHIFTED_PAGES,
    NextStep,
    PageObservation,
    decide,
    is_plain_shift,
    row_after_deletes,
)
from coaching_async.models import UserReference
from tests.support.changing_lists import INSERT, Change, MovingList, by_stream, listing_of

pytestmark = pytest.mark.anyio

CALM = PageObservation(3, 10, total=100, before=100)
FEWER, MORE = attrs.evolve(CALM, before=101), attrs.evolve(CALM, before=99)
SHIFTED = attrs.evolve(MORE, repeats=1, leading_repeats=1, inserted_rows=1)
SAME_AGAIN = attrs.evolve(CALM, repeats=10, leading_repeats=10, is_repeated_page=True)

DECISIONS: dict[str, tuple[PageObservation, NextStep]] = {
    "nothing has changed": (CALM, NextStep.TAKE),
    "nothing tells a total": (attrs.evolve(CALM, total=None, before=None), NextStep.TAKE),
    "the total fell": (FEWER, NextStep.BACKTRACK),
    "the total rose, and nothing comes again": (MORE, NextStep.BACKTRACK),
    "the total changed, and it is the first page": (attrs.evolve(FEWER, number=1), NextStep.TAKE),
    "the total changed, and what was read last comes again": (SHIFTED, NextStep.TAKE),
    "the total changed, and it was sought often enough": (attrs.evolve(FEWER, rounds=MAX_BACKTRACKS), NextStep.TAKE),
    "it should begin with rows that were read, and does not": (
        attrs.evolve(CALM, expects_repeats=True),
        NextStep.BACKTRACK,
    ),
    "it was read ahead, and the total has changed since": (attrs.evolve(MORE, is_current=False), NextStep.REREAD),
    "it was read ahead, and something comes again": (
        attrs.evolve(CALM, repeats=1, leading_repeats=1, is_current=False),
        NextStep.REREAD,
    ),
    "it was kept, and something on it comes again, as it has to": (
        attrs.evolve(CALM, repeats=1, leading_repeats=1, is_current=False, is_beyond_frontier=False),
        NextStep.TAKE,
    ),
    "the page before was not full": (
        attrs.evolve(CALM, follows_short_page=True, should_be_full=True),
        NextStep.REREAD_SHORT_PAGE,
    ),
    "the page before was not full, and it is empty too": (
        attrs.evolve(CALM, rows=0, follows_short_page=True, should_be_full=True),
        NextStep.TAKE,
    ),
    "the page before was as full as the service's pages get": (
        attrs.evolve(CALM, follows_short_page=True),
        NextStep.TAKE,
    ),
    "it comes again": (SAME_AGAIN, NextStep.STOP),
    "it comes again, and was read ahead": (attrs.evolve(SAME_AGAIN, is_current=False), NextStep.REREAD),
    "it comes again, for it is being read again": (attrs.evolve(SAME_AGAIN, is_beyond_frontier=False), NextStep.TAKE),
    "it comes again, and there is no total": (
        attrs.evolve(SAME_AGAIN, total=None, before=None, inserted_rows=None),
        NextStep.STOP,
    ),
    "it comes again, as so many were inserted": (attrs.evolve(SAME_AGAIN, inserted_rows=10), NextStep.TAKE),
    "it comes again, after all that the total promised": (
        attrs.evolve(SAME_AGAIN, inserted_rows=10, is_within_total=False),
        NextStep.STOP,
    ),
    "it comes again for ever, however many were inserted": (
        attrs.evolve(SAME_AGAIN, inserted_rows=10, repeated_pages=MAX_SHIFTED_PAGES),
        NextStep.STOP,
    ),
    "it comes again in a list that has changed": (attrs.evolve(SAME_AGAIN, changed_before=True), NextStep.TAKE),
    "it comes again for ever in a list that has changed": (
        attrs.evolve(SAME_AGAIN, changed_before=True, repeated_pages=MAX_REPEATED_PAGES),
        NextStep.STOP,
    ),
}


@pytest.mark.parametrize("case", DECISIONS)
def test_what_is_done_with_a_page(case: str):
    sight, move = DECISIONS[case]

    assert decide(sight) is move


@pytest.mark.parametrize(
    "repeats, leading, room, is_plain",
    [(0, 0, 0, True), (2, 2, 2, True), (2, 2, 1, False), (2, 1, 2, False), (1, 0, 9, False), (2, 2, None, True)],
)
def test_repeats_are_a_plain_shift_where_they_come_first_and_as_many_were_inserted(
    repeats: int, leading: int, room: int | None, is_plain: bool
):
    assert is_plain_shift(attrs.evolve(CALM, repeats=repeats, leading_repeats=leading, inserted_rows=room)) is is_plain


def test_the_first_unread_row_moves_up_by_what_was_deleted_at_most():
    assert row_after_deletes(FEWER, 20) == 19
    assert row_after_deletes(attrs.evolve(FEWER, before=200), 20) == 0
    assert row_after_deletes(MORE, 20) == row_after_deletes(attrs.evolve(CALM, total=None), 20) == 20


class Changing:
    """A list of letters, two a page, and what happens to it before each read."""

    def __init__(self, *states: str, size: int = 2) -> None:
        self.states = list(states)
        self.size = size
        self.asked: list[int] = []

    async def __call__(self, number: int, size: int) -> Page[Any]:
        self.asked.append(number)
        letters = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return Page(
            entities=tuple(UserReference(id=each) for each in letters[(number - 1) * self.size : number * self.size]),
            page_number=number,
            page_size=self.size,
            page_count=-(-len(letters) // self.size),
            total=len(letters),
        )


async def walked(service: Callable[..., Any], **how: Any) -> tuple[str, WalkReport]:
    walk = aiter(listing_of([service], 2, **how))
    return "".join([item.id async for item in walk]), walk.report


async def test_a_calm_walk_reports_nothing_but_its_pages():
    assert await walked(Changing("abcde")) == ("abcde", WalkReport(pages=3, passes=1))


async def test_where_a_row_was_deleted_the_page_before_is_read_again_and_the_one_in_hand_is_kept():
    service = Changing("abcdef", "bcdef")

    assert await walked(service) == ("abcdef", WalkReport(pages=4, re_reads=1, passes=1))
    assert service.asked == [1, 2, 1, 3]


async def test_where_many_were_deleted_it_goes_back_until_something_is_known():
    service = Changing("abcdefghij", "abcdefghij", "abcdefghij", "efghij")

    assert await walked(service) == ("abcdefghij", WalkReport(pages=7, re_reads=3, passes=1))
    assert service.asked == [1, 2, 3, 4, 3, 2, 1]


async def test_a_row_deleted_further_down_costs_one_request():
    service = Changing("abcdef", "abcdf")

    assert await walked(service) == ("abcdf", WalkReport(pages=4, re_reads=1, passes=1))
    assert service.asked == [1, 2, 1, 3]


async def test_where_a_row_was_inserted_what_comes_again_is_dropped_and_no_request_is_made():
    service = Changing("abcd", "xabcd")

    assert await walked(service) == ("abcd", WalkReport(pages=3, duplicates=1, passes=1))
    assert service.asked == [1, 2, 3]


async def test_a_change_in_the_middle_of_making_up_for_one_is_made_up_for_too():
    service = Changing("abcdefgh", "abcdefgh", "acdefgh", "defgh")

    assert await walked(service) == ("abcdefgh", WalkReport(pages=6, re_reads=3, passes=1))


async def test_a_total_that_changes_and_changes_back_makes_what_is_in_hand_no_better():
    calm, fewer = "abcdefghijklmnopqrst", "cdefghijklmnopq"
    service = Changing(*[calm] * 5, fewer, fewer, "cdefghijklmnopxq", "cdefghjklmnopxq")

    found, report = await walked(service)

    assert set("cdefghjklmnopq") <= set(found), "no o would be missed"
    assert (len(found), report.suspected_gaps) == (len(set(found)), 0)


async def test_a_list_that_never_rests_is_let_be_after_a_while_and_that_is_reported():
    states = ["abcdefghijklmnopqrst"[each:] for each in range(14)]
    found, report = await walked(Changing(*states))

    assert set("mnopqrst") <= set(found)
    assert report.pages < 40


async def test_rows_that_change_places_are_looked_for_in_another_pass():
    service = Changing("abcdef", "dabcef")

    assert await walked(service) == ("abcefd", WalkReport(pages=6, duplicates=1, re_reads=3, passes=2))
    assert service.asked == [1, 2, 3, 1, 2, 3]


async def test_a_list_that_changes_places_all_the_time_is_walked_three_times_and_reported():
    found, report = await walked(Changing(*["abcdef", "cabdef", "cdabef"] * 3, "abcdef", "fabcde", "abcdef"))

    assert set("abdef") <= set(found) != set("abcdef")
    assert report.passes == 3
    assert report.suspected_gaps > 0


async def test_verify_walks_until_two_walks_agree():
    assert await walked(Changing("abcd"), verify=True) == ("abcd", WalkReport(pages=4, re_reads=2, passes=2))

    hidden = Changing("abcd", "bcdx", "bcdx")  # a delete and an insert, and the total is the same
    assert await walked(hidden) == ("abdx", WalkReport(pages=2, passes=1))
    hidden = Changing("abcd", "bcdx", "bcdx")
    found, report = await walked(hidden, verify=True)
    assert (found, report.passes, report.suspected_gaps) == ("abdxc", 3, 0)


async def test_verify_gives_up_after_six_walks_and_reports_it():
    found, report = await walked(MovingList("x", 4, [[Change(INSERT, 0.0)]] * 99), verify=True)

    assert len(found.split("x")) > 4
    assert report.passes == 6
    assert report.suspected_gaps > 0


class Odd:
    """Plays back pages as a service might that does not do what it says."""

    def __init__(self, *pages: str, size: int | None = 2, count: int | None = None, total: int | None = None) -> None:
        self.pages, self.size, self.count, self.total = pages, size, count, total
        self.asked: list[int] = []

    async def __call__(self, number: int, size: int) -> Page[Any]:
        self.asked.append(number)
        letters = self.pages[number - 1] if number <= len(self.pages) else ""
        entities = tuple(UserReference(id=each) for each in letters)
        return Page(entities=entities, page_number=number, page_size=self.size, page_count=self.count, total=self.total)


@pytest.mark.parametrize("pages", [("ab", "c", "de"), ("ab", "", "cd")])
async def test_a_page_that_is_not_full_is_read_again_once_and_reported(pages: Sequence[str]):
    service = Odd(*pages, count=3, total=6)

    assert await walked(service) == ("".join(pages), WalkReport(pages=4, re_reads=1, suspected_gaps=1, passes=1))
    assert service.asked == [1, 2, 3, 2]


async def test_where_a_page_is_full_at_the_second_look_nothing_is_missing():
    class Late(Odd):
        async def __call__(self, number: int, size: int) -> Page[Any]:
            page = await super().__call__(number, size)
            return attrs.evolve(page, entities=page.entities[:1]) if self.asked == [1, 2] else page

    assert await walked(Late("ab", "cd", "ef", count=3, total=6)) == (
        "abcdef",
        WalkReport(pages=4, re_reads=1, passes=1),
    )


async def test_two_empty_pages_in_a_row_are_the_end():
    service = Odd("ab", "c", count=10**9, total=-1)

    assert (await walked(service))[0] == "abc"
    assert service.asked == [1, 2, 3, 4]


@pytest.mark.parametrize("total", [-1, None, 4, 5])
@pytest.mark.parametrize("count", [10**9, None])
async def test_a_service_that_repeats_its_last_page_for_ever_is_left(total: int | None, count: int | None):
    service = Odd("ab", "cd", *["e"] * 99, count=count, total=total)

    assert sorted((await walked(service))[0]) == list("abcde" if (total, count) != (4, None) else "abcd")
    assert len(service.asked) <= 3 + 2


async def test_where_the_service_makes_smaller_pages_on_the_way_no_row_is_missed():
    class Shrinking(Changing):
        async def __call__(self, number: int, size: int) -> Page[Any]:
            self.size = 2 if self.asked else 4
            return await super().__call__(number, size)

    service = Shrinking("abcdefgh")

    assert (await walked(service))[0] == "abcdefgh"
    assert service.asked == [1, 2, 3, 4]


async def test_where_the_service_makes_larger_pages_on_the_way_no_row_is_missed():
    class Growing(Changing):
        async def __call__(self, number: int, size: int) -> Page[Any]:
            self.size = 4 if len(self.asked) > 1 else 2
            return await super().__call__(number, size)

    assert (await walked(Growing("abcdefghij")))[0] == "abcdefghij"


async def test_items_without_ids_are_never_looked_for_again():
    class Twins(MovingList):
        async def __call__(self, number: int, size: int) -> Page[Any]:
            page = await super().__call__(number, size)
            return attrs.evolve(page, entities=tuple(StatusChange(status="Scheduled") for _ in page.entities))

    service = Twins("x", 5, [[Change("delete", 0.0)]])
    walk = aiter(listing_of([service], 2))

    assert len([item async for item in walk]) == 4
    assert walk.report == WalkReport(pages=2, passes=1)


async def test_what_a_stream_read_ahead_is_read_again_where_the_list_has_changed_since():
    service = MovingList("x", 20, [(), (), (), (), [Change("delete", 0.0)]])

    found = await by_stream(4)(listing_of([service], 2))

    assert len(found) == len(set(found))
    assert service.lasting <= set(found)
