"""Catching up: what is new in a list of notifications is found, once, and with few requests."""

from collections.abc import Iterator, Sequence
from contextlib import suppress

import anyio
import attrs
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from coaching_async import Notification, Page, ServerError
from coaching_async._channels.catch_up import CatchUpPager, catch_up
from coaching_async._channels.known import KnownNotifications
from coaching_async._channels.notification_cursor import decode_cursor, encode_cursor
from coaching_async._serialization.rows import LeftOutRow, PartialPage, UnreadableRow
from coaching_async.models import UserReference
from tests.support.effort import examples
from tests.support.notification_lists import (
    ANYWHERE,
    ENDS,
    NEWEST_FIRST,
    OLDEST_FIRST,
    ORDERS,
    NotificationList,
    catch_up_with,
)

FEW = settings(max_examples=examples(100), deadline=None)
MANY = settings(max_examples=examples(200), deadline=None)

Change = float | None
"""A delete at a place, as a fraction of the list, or None for a new notification."""

inserts = st.none()
changes = st.one_of(st.none(), st.floats(0, 1))
sizes = st.integers(1, 5)
lengths = st.integers(0, 17)
seeds = st.integers(0, 99)


def scripts(kind: st.SearchStrategy[Change]) -> st.SearchStrategy[list[list[Change]]]:
    return st.lists(st.lists(kind, max_size=3), max_size=25)


def apply(service: NotificationList, changes: Sequence[Change]) -> None:
    for where in changes:
        if where is None:
            service.create()
        else:
            service.delete(where)


def play(service: NotificationList, script: Sequence[Sequence[Change]]) -> None:
    """Let the list change before each read, by the script, until it ends."""
    steps: Iterator[Sequence[Change]] = iter(script)
    service.before_read = lambda: apply(service, next(steps, ()))


def new_pager(service: NotificationList, start: str = "new") -> CatchUpPager:
    """Return a pager that has read the list as it is."""
    pager = CatchUpPager(KnownNotifications(), start)  # type: ignore[arg-type]
    handed_out: list[str] = []
    catch_up_with(pager, service, handed_out)
    assert handed_out == ([] if start == "new" else service.ids)
    service.take_reads()
    return pager


def found(pager: CatchUpPager, service: NotificationList, now: float = 0.0, *, is_whole: bool = False) -> list[str]:
    handed_out: list[str] = []
    catch_up_with(pager, service, handed_out, now, is_whole=is_whole)
    return handed_out


# Each once


@MANY
@given(st.sampled_from(ORDERS), sizes, lengths, seeds, scripts(changes), st.lists(st.integers(0, 5), max_size=8))
def test_each_notification_is_handed_out_once_and_none_that_stays_is_missed_when_the_list_has_come_to_rest(
    order: str, size: int, length: int, seed: int, script: list[list[Change]], failing: list[int]
):
    service = NotificationList(order, size, length, seed=seed)
    pager = CatchUpPager(KnownNotifications(), "all")
    handed_out: list[str] = []
    play(service, script)
    for page in failing:
        service.failing = {page}
        with suppress(ServerError):
            catch_up_with(pager, service, handed_out)
    service.failing, service.before_read = (), lambda: None
    catch_up_with(pager, service, handed_out)  # a reading that was cut began before
    catch_up_with(pager, service, handed_out, is_whole=True)

    assert len(handed_out) == len(set(handed_out)), "one was handed out twice"
    assert service.lasting <= set(handed_out) <= set(service.created)
    service.take_reads()
    assert found(pager, service) == []
    assert len(service.take_reads()) <= 2, "what the list consists of is known"


@MANY
@given(
    st.sampled_from(ORDERS),
    sizes,
    lengths,
    seeds,
    scripts(inserts),
    st.lists(st.integers(0, 5), min_size=1, max_size=8),
)
def test_while_the_list_only_grows_each_catch_up_finds_all_that_was_there_when_it_began(
    order: str, size: int, length: int, seed: int, script: list[list[Change]], failing: list[int]
):
    service = NotificationList(order, size, length, seed=seed)
    pager = new_pager(service)
    handed_out = list(service.ids)
    play(service, script)
    for page in failing:
        service.failing = {page}
        before = service.lasting
        with suppress(ServerError):
            catch_up_with(pager, service, handed_out)
            assert before <= set(handed_out)
    assert len(handed_out) == len(set(handed_out))


@MANY
@given(st.sampled_from(ENDS), sizes, lengths, st.lists(st.lists(changes, max_size=12), max_size=12))
def test_where_new_ones_stand_at_an_end_each_catch_up_finds_them_whatever_was_deleted_since_the_last_one(
    order: str, size: int, length: int, between: list[list[Change]]
):
    service = NotificationList(order, size, length)
    pager = new_pager(service)
    handed_out = list(service.ids)
    for changes in between:
        apply(service, changes)
        catch_up_with(pager, service, handed_out)
        assert service.lasting <= set(handed_out)
    assert len(handed_out) == len(set(handed_out))


def test_a_delete_and_an_insert_in_the_middle_are_found_when_the_whole_list_is_read():
    service = NotificationList(ANYWHERE, 3, 12)
    pager = new_pager(service)
    del service.ids[5]
    service.ids.insert(6, "hidden")

    looks = [found(pager, service, now=90.0 * number) for number in range(1, 12)]

    assert looks == [[]] * 10 + [["hidden"]], "the tenth catch-up after the reading, and 15 minutes after it"
    quick = new_pager(service)
    del service.ids[5]
    service.ids.insert(6, "again")
    assert [found(quick, service, now=10.0 * number) for number in range(1, 31)] == [[]] * 30, "not each 100 s"


def test_a_row_that_comes_during_the_look_does_not_stand_for_one_that_is_missing():
    service = NotificationList(ANYWHERE, 3, 12)
    pager = new_pager(service)
    service.ids.insert(5, "hidden")
    service.before_read = lambda: service.ids.append("late") if len(service.reads) == 1 else None

    assert sorted(found(pager, service)) == ["hidden", "late"]


def test_an_event_whose_row_is_not_in_the_list_yet_does_not_stand_for_one_that_is_missing():
    service = NotificationList(ANYWHERE, 3, 12)
    pager = new_pager(service)
    service.ids.insert(5, "hidden")
    pager.known.add("event")

    assert found(pager, service) == ["hidden"]


def test_a_row_that_moves_to_a_page_that_was_read_is_not_missed():
    service = NotificationList(OLDEST_FIRST, 3, 5)
    pager = new_pager(service)
    service.ids.insert(3, "moving")
    service.before_read = lambda: service.ids.remove("n0") if len(service.reads) == 1 else None

    assert found(pager, service) == ["moving"], "as many rows as the last total were seen, one of them deleted"


# Few requests


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("length", "requests"), [(0, [1]), (1, [1]), (4, [1]), (5, [1, 2]), (403, [1, 101])])
def test_a_quiet_list_costs_a_request_or_two_whatever_its_length(order: str, length: int, requests: list[int]):
    service = NotificationList(order, 4, length)
    pager = new_pager(service)

    assert found(pager, service) == []
    assert service.take_reads() == requests


@FEW
@given(st.sampled_from(ENDS), sizes, st.integers(1, 40), st.integers(30, 60))
@example(NEWEST_FIRST, 5, 5, 30)
@example(OLDEST_FIRST, 5, 5, 32)
def test_new_ones_at_an_end_cost_their_pages_and_two_more(order: str, size: int, count: int, length: int):
    service = NotificationList(order, size, length)
    pager = new_pager(service)
    new = [service.create() for _ in range(count)]

    assert sorted(found(pager, service)) == sorted(new)
    assert len(service.take_reads()) <= -(-count // size) + 2


@FEW
@given(st.sampled_from(ENDS), sizes, st.integers(1, 20), st.integers(0, 20), st.integers(0, 3))
def test_what_is_deleted_at_the_ends_costs_no_more(order: str, size: int, at_start: int, at_end: int, new: int):
    service = NotificationList(order, size, 60)
    pager = new_pager(service)
    del service.ids[:at_start]
    del service.ids[len(service.ids) - at_end :]
    created = [service.create() for _ in range(new)]

    assert sorted(found(pager, service)) == sorted(created)
    assert len(service.take_reads()) <= -(-new // size) + 2


def test_a_notification_that_comes_at_an_end_during_the_look_costs_no_reading_of_the_list():
    for order in ENDS:
        service = NotificationList(order, 3, 30)
        pager = new_pager(service)
        play(service, [[], [None]])

        assert found(pager, service) + found(pager, service) == ["n30"]
        assert len(service.take_reads()) <= 5


def test_events_cost_no_reading_of_the_list_where_new_ones_stand_at_an_end():
    for order in ENDS:
        service = NotificationList(order, 3, 30)
        pager = new_pager(service)
        for _ in range(8):
            assert pager.known.add(service.create()), "an event brought it"

        assert found(pager, service) == []
        assert len(service.take_reads()) <= 5


class Miscounting(NotificationList):
    """Its total counts rows that are on no page."""

    surplus = 0

    def page(self, number: int) -> Page[Notification]:
        page = super().page(number)
        assert page.total is not None
        total = page.total + self.surplus
        return attrs.evolve(page, total=total, page_count=-(-total // self.size))


@pytest.mark.parametrize("surplus", [1, 2, 5, 700])
@pytest.mark.parametrize("order", ENDS)
def test_a_total_that_is_always_wrong_costs_no_reading_of_the_list_each_time(order: str, surplus: int):
    service = Miscounting(order, 3, 30)
    service.surplus = surplus
    pager = new_pager(service)
    for _ in range(3):
        assert found(pager, service) == []
    assert len(service.take_reads()) <= 3 * 3
    for _ in range(3):
        new = service.create()
        assert found(pager, service) == [new]


# Failures


def test_what_stands_before_a_page_that_fails_is_handed_out_and_the_next_catch_up_goes_on_at_that_page():
    service = NotificationList(OLDEST_FIRST, 2, 12)
    pager = CatchUpPager(KnownNotifications(), "all")
    handed_out: list[str] = []
    service.failing = {4}
    for _ in range(2):
        with pytest.raises(ServerError):
            catch_up_with(pager, service, handed_out)
    assert service.take_reads() == [
        1,
        2,
        3,
        4,
        1,
        6,
        4,
    ], "the ends are looked at first"
    assert set(handed_out) == {f"n{number}" for number in (0, 1, 2, 3, 4, 5, 10, 11)}

    service.failing = ()
    catch_up_with(pager, service, handed_out)
    assert service.take_reads() == [1, 6, 4, 5, 6, 1, 6], "a reading that was cut is followed by a look"
    assert sorted(handed_out) == sorted(service.ids)
    assert pager.is_started


def test_new_ones_at_the_ends_come_though_a_page_fails_for_ever():
    service = NotificationList(NEWEST_FIRST, 2, 12)
    pager = CatchUpPager(KnownNotifications(), "all")
    handed_out: list[str] = []
    service.failing = {4}
    for _ in range(5):
        id_ = service.create()
        with pytest.raises(ServerError):
            catch_up_with(pager, service, handed_out)
        assert id_ in handed_out


def test_many_new_ones_at_an_end_come_though_a_page_fails_for_ever():
    for order in ENDS:
        service = NotificationList(order, 2, 20)
        pager = new_pager(service)
        service.failing = {5}
        for _ in range(3):
            new = [service.create() for _ in range(7)]
            handed_out: list[str] = []
            with pytest.raises(ServerError):
                catch_up_with(pager, service, handed_out, is_whole=True)
            with pytest.raises(ServerError):
                catch_up_with(pager, service, handed_out)
            assert set(new) <= set(handed_out)


def test_what_is_inserted_before_the_page_where_a_reading_goes_on_is_found_in_the_same_catch_up():
    service = NotificationList(ANYWHERE, 2, 12)
    pager = new_pager(service)
    service.failing = {5}
    with pytest.raises(ServerError):
        found(pager, service, is_whole=True)
    service.failing = ()
    service.ids.insert(5, "behind")

    assert found(pager, service) == ["behind"]


def test_a_reading_that_was_cut_is_ended_though_the_list_looks_complete():
    service = NotificationList(ANYWHERE, 3, 12)
    pager = new_pager(service)
    del service.ids[5]
    service.ids.insert(6, "hidden")
    service.failing = {2}
    with pytest.raises(ServerError):
        found(pager, service, is_whole=True)
    service.failing = ()

    assert found(pager, service) == ["hidden"]


def test_notifications_stay_known_while_the_whole_list_is_read_again():
    service = NotificationList(OLDEST_FIRST, 2, 12)
    pager = new_pager(service)
    pager.begin(0.0, is_whole=True)
    for _ in range(3):
        assert isinstance(pager.step, int)
        pager.receive(service.page(pager.step))
        assert not any(pager.known.add(id_) for id_ in service.ids)


def test_a_list_that_never_rests_ends_a_catch_up():
    service = NotificationList(ANYWHERE, 2, 40)
    pager = new_pager(service)
    service.before_read = lambda: (service.delete(0.0), service.create(), service.delete(0.5), service.create(), None)[
        -1
    ]
    service.ids.insert(20, "x")

    found(pager, service)

    assert len(service.take_reads()) < 400


# What is handed out


@pytest.mark.parametrize("order", ORDERS)
def test_at_the_start_none_or_the_unread_or_all_are_handed_out(order: str):
    service = NotificationList(order, 3, 10)
    service.read_ids = {"n1", "n3", "n8"}
    handed_out = {
        start: set(found(CatchUpPager(KnownNotifications(), start), service)) for start in ("new", "unread", "all")
    }

    assert handed_out == {"new": set(), "unread": service.lasting - service.read_ids, "all": service.lasting}


def test_after_the_start_those_that_are_marked_as_read_are_new_as_well():
    service = NotificationList(OLDEST_FIRST, 3, 4)
    pager = new_pager(service, "unread")
    service.read_ids = {service.create()}

    assert found(pager, service) == ["n4"]


def test_a_first_reading_that_is_cut_takes_nothing_for_new_that_was_there():
    service = NotificationList(OLDEST_FIRST, 2, 12)
    pager = CatchUpPager(KnownNotifications(), "new")
    handed_out: list[str] = []
    service.failing = {4}
    with pytest.raises(ServerError):
        catch_up_with(pager, service, handed_out)
    assert not pager.is_started
    service.failing = ()
    catch_up_with(pager, service, handed_out)

    assert handed_out == []
    assert found(pager, service) == []


def test_rows_of_others_are_not_handed_out_and_not_counted_as_missing():
    service = NotificationList(OLDEST_FIRST, 2, 12)
    service.make = lambda id_: Notification(id=id_, user=UserReference(id="ME" if id_ in {"n3", "n9"} else "her"))
    pager = CatchUpPager(KnownNotifications(), "all", owner="me")

    assert found(pager, service) == ["n3", "n9"]
    service.take_reads()
    assert found(pager, service) == []
    assert service.take_reads() == [1, 6]


class PartlyReadable(NotificationList):
    """Some of its rows cannot be read."""

    unreadable: frozenset[str] = frozenset()

    def page(self, number: int) -> Page[Notification]:
        page = super().page(number)
        rows = tuple(
            UnreadableRow(row.id, row.id, LeftOutRow(number, index, row.id, "why"))
            if row.id in self.unreadable
            else row
            for index, row in enumerate(page.entities)
        )
        readable = tuple(row for row in rows if isinstance(row, Notification))
        return PartialPage(
            entities=readable,
            rows=rows,
            page_number=page.page_number,
            page_size=page.page_size,
            page_count=page.page_count,
            total=page.total,
        )


@pytest.mark.parametrize("order", ORDERS)
def test_a_row_that_cannot_be_read_is_told_costs_nothing_and_comes_when_it_can_be_read(order: str):
    service = PartlyReadable(order, 3, 12)
    pager = new_pager(service)
    id_ = service.create()
    service.unreadable = frozenset({id_})

    for _ in range(3):
        assert found(pager, service) == []
    service.take_reads()
    assert found(pager, service) == []
    assert len(service.take_reads()) == 2
    assert [row.id for row in pager.left_out] == [id_]
    assert pager.rows_left_out == 1

    service.unreadable = frozenset()
    assert found(pager, service, is_whole=True) == [id_]
    assert not pager.left_out
    assert found(pager, service, is_whole=True) == []


def test_a_row_that_cannot_be_read_at_the_start_is_no_new_one_later():
    service = PartlyReadable(OLDEST_FIRST, 3, 12)
    service.unreadable = frozenset({"n5"})
    pager = new_pager(service)
    assert pager.rows_left_out == 1
    service.unreadable = frozenset()

    assert found(pager, service, is_whole=True) == []


def test_a_row_that_cannot_be_read_and_is_deleted_is_told_no_longer():
    service = PartlyReadable(OLDEST_FIRST, 3, 12)
    service.unreadable = frozenset({"n5"})
    pager = new_pager(service)
    service.ids.remove("n5")
    found(pager, service)

    assert pager.rows_left_out == 0


# Beside events, and into a buffer


@pytest.mark.anyio
async def test_no_more_wait_than_the_buffer_holds_and_an_event_that_comes_meanwhile_is_not_handed_out_twice():
    service = NotificationList(OLDEST_FIRST, 10, 35)
    known = KnownNotifications()
    buffer: list[str] = []
    read: list[str] = []
    most = 0

    async def wait_for_room() -> None:
        nonlocal most
        while len(buffer) >= 4:
            most = max(most, len(buffer))
            await anyio.sleep(1)

    async def read_slowly() -> None:
        while len(read) < 36:
            await anyio.sleep(1)
            if len(read) == 5:
                event = service.ids[9]
                assert known.add(event), "its page was read, and it waits for room"
                read.append(event)
            if buffer:
                read.append(buffer.pop(0))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read_slowly)
        pager = CatchUpPager(known, "all")
        result = await catch_up(pager, service, wait_for_room, lambda row: buffer.append(row.id))
        service.create()
        await catch_up(pager, service, wait_for_room, lambda row: buffer.append(row.id))

    assert most == 4
    assert sorted(read) == sorted(service.ids)
    assert sorted(result.found) == sorted(set(service.created[:35]) - {service.ids[9]})
    assert result.pages == 4


@pytest.mark.anyio
async def test_a_catch_up_that_is_cancelled_while_it_waits_loses_nothing():
    service = NotificationList(OLDEST_FIRST, 10, 35)
    pager = CatchUpPager(KnownNotifications(), "all")
    handed_out: list[str] = []

    async def wait_for_room() -> None:
        if len(handed_out) % 7 == 6:
            await anyio.sleep(10)

    for attempt in range(40):
        with anyio.move_on_after(5 + attempt % 3 * 10):
            await catch_up(pager, service, wait_for_room, lambda row: handed_out.append(row.id))

    assert sorted(handed_out) == sorted(service.ids)


# Cursors


@MANY
@given(st.sampled_from(ORDERS), sizes, lengths, st.integers(0, 17), st.integers(0, 5), scripts(changes))
def test_after_a_cursor_come_all_others_and_none_of_those_before_it(
    order: str, size: int, length: int, taken: int, waiting: int, script: list[list[Change]]
):
    service = NotificationList(order, size, length)
    known = KnownNotifications()
    before = service.ids[:taken]
    for id_ in before:
        known.add(id_)
    in_buffer = before[len(before) - waiting :] if waiting else []
    known.set_owner("me")
    resumed = decode_cursor(encode_cursor(known, in_buffer))
    for changes in script:
        apply(service, changes)
    handed_out = found(CatchUpPager(resumed, "all"), service)

    assert len(handed_out) == len(set(handed_out))
    assert set(handed_out) == service.lasting - (set(before) - set(in_buffer))


def test_a_cursor_of_another_user_is_refused():
    known = KnownNotifications()
    known.set_owner("Ann")
    resumed = decode_cursor(encode_cursor(known))

    resumed.set_owner("ann")
    with pytest.raises(ValueError, match="another user"):
        resumed.set_owner("bob")


def test_a_cursor_has_no_ids_and_twelve_characters_for_each_notification():
    known = KnownNotifications()
    known.set_owner("a-user")
    for number in range(1000):
        known.add(f"notification-{number}")

    cursor = encode_cursor(known)

    assert len(cursor) < 12_100
    assert "user" not in cursor
    assert "notification-9" not in cursor
    assert cursor.replace("-", "").replace("_", "").replace(".", "").isalnum(), "it is safe in a URL"


@pytest.mark.parametrize(
    "text",
    ["", "x", "notifications-1.", "notifications-1..abc", "notifications-2..", "notifications-1..é" + "a" * 11, 5],
)
def test_what_is_no_cursor_is_refused(text: object):
    with pytest.raises(ValueError, match="cursor is not one of notifications"):
        decode_cursor(text)


def test_ten_thousand_that_the_list_lacks_stay_known():
    known = KnownNotifications()
    for number in range(10_500):
        known.add(f"n{number}")
    assert "n0" in known, "nothing is forgotten before the list was read"
    known.set_list([])

    assert [f"n{number}" in known for number in (0, 499, 500, 10_499)] == [False, False, True, True]
