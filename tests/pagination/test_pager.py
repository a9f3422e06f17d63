"""Which pages the pager reads, which items it returns, and what it reports about lists that change."""

from collections.abc import Callable, Sequence
from typing import Any

import attrs
import pytest

from coaching_async import Listing, Page, StatusChange, WalkReport, from_dict
from coaching_async._pagination.pages import names_next
from coaching_async._serialization.rows import read_page
from coaching_async.models import UserReference
from tests.support.changing_lists import DELETE, INSERT, Change, ChangingList, listing_of, read_stream

pytestmark = pytest.mark.anyio


class Snapshots:
    """A list of letters, with its state at each read; the last state lasts."""

    def __init__(self, *states: str, size: int = 2) -> None:
        self.states = list(states)
        self.size = size
        self.asked: list[int] = []

    async def __call__(self, number: int, size: int) -> Page[Any]:
        self.asked.append(number)
        letters = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return Page(
            entities=tuple(
                UserReference(id=letter) for letter in letters[(number - 1) * self.size : number * self.size]
            ),
            page_number=number,
            page_size=self.size,
            page_count=-(-len(letters) // self.size),
            total=len(letters),
        )


async def read_all(service: Callable[..., Any], **options: Any) -> tuple[str, WalkReport]:
    walk = aiter(listing_of([service], 2, **options))
    return "".join([item.id async for item in walk]), walk.report


async def test_a_walk_over_an_unchanged_list_reports_only_its_pages():
    assert await read_all(Snapshots("abcde")) == ("abcde", WalkReport(pages=3, passes=1))


async def test_after_a_delete_the_previous_page_is_read_again_and_the_current_page_is_kept():
    service = Snapshots("abcdef", "bcdef")

    assert await read_all(service) == ("abcdef", WalkReport(pages=4, re_reads=1, passes=1))
    assert service.asked == [1, 2, 1, 3]


async def test_after_many_deletes_pages_are_read_backwards_until_one_has_a_known_row():
    service = Snapshots("abcdefghij", "abcdefghij", "abcdefghij", "efghij")

    assert await read_all(service) == ("abcdefghij", WalkReport(pages=7, re_reads=3, passes=1))
    assert service.asked == [1, 2, 3, 4, 3, 2, 1]


async def test_a_delete_further_down_costs_one_request():
    service = Snapshots("abcdef", "abcdf")

    assert await read_all(service) == ("abcdf", WalkReport(pages=4, re_reads=1, passes=1))
    assert service.asked == [1, 2, 1, 3]


async def test_after_an_insert_the_repeated_row_is_dropped_without_another_request():
    service = Snapshots("abcd", "xabcd")

    assert await read_all(service) == ("abcd", WalkReport(pages=3, duplicates=1, passes=1))
    assert service.asked == [1, 2, 3]


async def test_a_change_during_a_backtrack_is_handled_too():
    service = Snapshots("abcdefgh", "abcdefgh", "acdefgh", "defgh")

    assert await read_all(service) == ("abcdefgh", WalkReport(pages=6, re_reads=3, passes=1))


async def test_kept_pages_stay_outdated_if_the_total_changes_and_changes_back():
    before, during = "abcdefghijklmnopqrst", "cdefghijklmnopq"
    service = Snapshots(*[before] * 5, during, during, "cdefghijklmnopxq", "cdefghjklmnopxq")

    found, report = await read_all(service)

    assert set("cdefghjklmnopq") <= set(found), "o must not be missed"
    assert (len(found), report.suspected_gaps) == (len(set(found)), 0)


async def test_a_list_that_changes_at_every_read_costs_a_bounded_number_of_requests():
    states = ["abcdefghijklmnopqrst"[start:] for start in range(14)]
    found, report = await read_all(Snapshots(*states))

    assert set("mnopqrst") <= set(found)
    assert report.pages < 40


async def test_a_moved_row_is_found_in_a_second_pass():
    service = Snapshots("abcdef", "dabcef")

    assert await read_all(service) == ("abcefd", WalkReport(pages=6, duplicates=1, re_reads=3, passes=2))
    assert service.asked == [1, 2, 3, 1, 2, 3]


async def test_a_list_whose_rows_keep_moving_is_read_in_three_passes_and_reported():
    found, report = await read_all(Snapshots(*["abcdef", "cabdef", "cdabef"] * 3, "abcdef", "fabcde", "abcdef"))

    assert set("abdef") <= set(found) != set("abcdef")
    assert report.passes == 3
    assert report.suspected_gaps > 0


async def test_verify_reads_the_list_until_two_passes_agree():
    assert await read_all(Snapshots("abcd"), verify=True) == ("abcd", WalkReport(pages=4, re_reads=2, passes=2))

    hidden = Snapshots("abcd", "bcdx", "bcdx")  # a delete and an insert leave the total unchanged
    assert await read_all(hidden) == ("abdx", WalkReport(pages=2, passes=1))
    hidden = Snapshots("abcd", "bcdx", "bcdx")
    found, report = await read_all(hidden, verify=True)
    assert (found, report.passes, report.suspected_gaps) == ("abdxc", 3, 0)


async def test_verify_gives_up_after_six_passes_and_reports_it():
    found, report = await read_all(ChangingList("x", 4, [[Change(INSERT, 0.0)]] * 99), verify=True)

    assert len(found.split("x")) > 4
    assert report.passes == 6
    assert report.suspected_gaps > 0


class FixedPages:
    """A service whose pages may contradict its page size, page count and total."""

    def __init__(self, *pages: str, size: int | None = 2, count: int | None = None, total: int | None = None) -> None:
        self.pages, self.size, self.count, self.total = pages, size, count, total
        self.asked: list[int] = []

    async def __call__(self, number: int, size: int) -> Page[Any]:
        self.asked.append(number)
        letters = self.pages[number - 1] if number <= len(self.pages) else ""
        entities = tuple(UserReference(id=letter) for letter in letters)
        return Page(entities=entities, page_number=number, page_size=self.size, page_count=self.count, total=self.total)


@pytest.mark.parametrize("pages", [("ab", "c", "de"), ("ab", "", "cd")])
async def test_a_short_page_is_read_again_once_and_reported(pages: Sequence[str]):
    service = FixedPages(*pages, count=3, total=6)

    assert await read_all(service) == ("".join(pages), WalkReport(pages=4, re_reads=1, suspected_gaps=1, passes=1))
    assert service.asked == [1, 2, 3, 2]


async def test_a_short_page_that_is_full_at_the_second_read_is_no_gap():
    class FullAtSecondRead(FixedPages):
        async def __call__(self, number: int, size: int) -> Page[Any]:
            page = await super().__call__(number, size)
            return attrs.evolve(page, entities=page.entities[:1]) if self.asked == [1, 2] else page

    assert await read_all(FullAtSecondRead("ab", "cd", "ef", count=3, total=6)) == (
        "abcdef",
        WalkReport(pages=4, re_reads=1, passes=1),
    )


FULL = ("ab", "cd", "ef", "gh", "i")


class ContradictoryPages:
    """A service with the pages of `FULL`, whose counts are functions of the page number. `beyond` comes after the last page."""

    def __init__(self, count: Any, total: Any, uri: Any = None, beyond: Any = "") -> None:
        self.count, self.total, self.uri, self.beyond = count, total, uri, beyond
        self.asked: list[int] = []

    async def __call__(self, number: int, size: int) -> Page[Any]:
        self.asked.append(number)
        letters = FULL[number - 1] if number <= len(FULL) else self.beyond
        count, total, uri = (each(number) if callable(each) else each for each in (self.count, self.total, self.uri))
        page = {"pageNumber": number, "pageSize": 2, "pageCount": count, "total": total, "nextUri": uri}
        return from_dict(self.kind, page | {"entities": [self.row(letter) for letter in letters]})

    kind: Any = Page[UserReference]

    def row(self, letter: str) -> dict[str, Any]:
        return {"id": letter}


def next_of_five(number: int) -> str | None:
    return f"/list?pageNumber={number + 1}" if number < 5 else None


@pytest.mark.parametrize("beyond", ["", "i", "ab", "ca"])
@pytest.mark.parametrize(
    "count, total, uri",
    [
        (1, 9, None),
        (3, 9, None),
        (lambda number: number, 9, None),
        (lambda number: number, lambda number: min(2 * number, 9), next_of_five),
        (lambda number: number, None, next_of_five),
        (1, None, next_of_five),
        (1, 2, next_of_five),
        (None, 2, next_of_five),
        (None, lambda number: min(2 * number, 9), next_of_five),
        (5, 2, None),
        (5, 9, "/endless"),
        (1, 9, "/endless"),
    ],
)
async def test_counts_that_contradict_one_another_end_no_walk_before_the_last_row(
    count: Any, total: Any, uri: Any, beyond: str
):
    service = ContradictoryPages(count, total, uri, beyond)

    found, report = await read_all(service)

    assert "".join(found) == "abcdefghi"
    assert report.suspected_gaps == 0
    assert report.duplicates <= 2
    assert len(service.asked) <= 12


@pytest.mark.parametrize("beyond", ["", "i", "ab", "ca"])
@pytest.mark.parametrize("count, total", [(5, 11), (5, 999), (1, 11), (5, 10**9), (None, 11)])
async def test_a_total_that_promises_more_than_there_is_to_read_is_a_suspected_gap(count: Any, total: Any, beyond: str):
    service = ContradictoryPages(count, total, beyond=beyond)

    found, report = await read_all(service)

    assert "".join(found) == "abcdefghi"
    assert report.suspected_gaps > 0
    assert len(service.asked) <= (6 if count else 40)


@pytest.mark.parametrize("count, total", [(10**9, 9), (10**9, 10**9), (None, 10**9)])
async def test_pages_that_bring_known_rows_in_another_order_forever_end_the_walk(count: Any, total: Any):
    class Shuffling(ContradictoryPages):
        async def __call__(self, number: int, size: int) -> Page[Any]:
            self.beyond = FULL[0][0] + FULL[1][number % 2]
            return await super().__call__(number, size)

    service = Shuffling(count, total)

    assert "".join((await read_all(service))[0]) == "abcdefghi"
    assert len(service.asked) <= 60


@pytest.mark.parametrize("total, suspected", [(9, 0), (11, 1)])
async def test_a_walk_that_resumes_reads_on_past_a_wrong_page_count_and_counts_the_gap_too(total: int, suspected: int):
    listing = Listing((ContradictoryPages(2, total),), 2, key="key")
    walk = aiter(listing)
    found = [(await anext(walk)).id for _ in range(3)]

    rest = aiter(attrs.evolve(listing, cursor=walk.cursor))
    found += [item.id async for item in rest]

    assert "".join(found) == "abcdefghi"
    assert rest.report.suspected_gaps == suspected


async def test_a_list_that_is_consistent_costs_no_extra_request():
    service = ContradictoryPages(5, 9, next_of_five)

    assert await read_all(service) == ("abcdefghi", WalkReport(pages=5, passes=1))
    assert service.asked == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("count, total", [(1, 9), (5, 9), (None, 9), (1, None)])
@pytest.mark.parametrize("beyond", ["", "i", "ab"])
async def test_rows_without_ids_are_not_doubled_where_a_page_past_the_end_repeats_another(
    count: Any, total: Any, beyond: str
):
    class Texts(ContradictoryPages):
        kind = Page[StatusChange]

        def row(self, letter: str) -> dict[str, Any]:
            return {"status": letter}

    service = Texts(count, total, next_of_five, beyond)

    assert "".join([item.status.value async for item in Listing((service,), 2)]) == "abcdefghi"


async def test_two_empty_pages_in_a_row_end_the_walk():
    service = FixedPages("ab", "c", count=10**9, total=-1)

    assert (await read_all(service))[0] == "abc"
    assert service.asked == [1, 2, 3, 4]


@pytest.mark.parametrize("total", [-1, None, 4, 5])
@pytest.mark.parametrize("count", [10**9, None])
async def test_a_last_page_that_is_repeated_forever_ends_the_walk(total: int | None, count: int | None):
    service = FixedPages("ab", "cd", *["e"] * 99, count=count, total=total)

    assert sorted((await read_all(service))[0]) == list("abcde" if (total, count) != (4, None) else "abcd")
    assert len(service.asked) <= 3 + 2


async def test_no_row_is_missed_if_the_page_size_shrinks_during_a_walk():
    class ShrinkingPages(Snapshots):
        async def __call__(self, number: int, size: int) -> Page[Any]:
            self.size = 2 if self.asked else 4
            return await super().__call__(number, size)

    service = ShrinkingPages("abcdefgh")

    assert (await read_all(service))[0] == "abcdefgh"
    assert service.asked == [1, 2, 3, 4]


async def test_no_row_is_missed_if_the_page_size_grows_during_a_walk():
    class GrowingPages(Snapshots):
        async def __call__(self, number: int, size: int) -> Page[Any]:
            self.size = 4 if len(self.asked) > 1 else 2
            return await super().__call__(number, size)

    assert (await read_all(GrowingPages("abcdefghij")))[0] == "abcdefghij"


async def test_items_without_ids_cause_no_backtrack():
    class WithoutIds(ChangingList):
        async def __call__(self, number: int, size: int) -> Page[Any]:
            page = await super().__call__(number, size)
            return attrs.evolve(page, entities=tuple(StatusChange(status="Scheduled") for _ in page.entities))

    service = WithoutIds("x", 5, [[Change(DELETE, 0.0)]])
    walk = aiter(listing_of([service], 2))

    assert len([item async for item in walk]) == 4
    assert walk.report == WalkReport(pages=2, passes=1)


async def test_prefetched_pages_are_read_again_if_the_list_has_changed():
    service = ChangingList("x", 20, [(), (), (), (), [Change(DELETE, 0.0)]])

    found = await read_stream(4)(listing_of([service], 2))

    assert len(found) == len(set(found))
    assert service.lasting <= set(found)


async def test_a_page_with_rows_that_cannot_be_read_names_a_next_one_all_the_same():
    data = {"entities": [{"id": "a"}, {"id": 5}], "pageCount": 1, "total": 2, "nextUri": "/next"}

    assert names_next(read_page(Page[UserReference], data, 1, "list"))
    assert not names_next(read_page(Page[UserReference], data | {"nextUri": None}, 1, "list"))
    assert not names_next(Page(entities=()))
