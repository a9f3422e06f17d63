"""The buffer, and what two WebSockets bring twice, without any."""

import anyio
import pytest

from coaching_async._channels.receivers import OVERLAP_MEMORY, Buffer, Overlap

pytestmark = pytest.mark.anyio


def buffer_of(limit: int) -> tuple[Buffer[int], list[object]]:
    buffer, told = Buffer[int](limit), list[object]()
    buffer.on_full = lambda: told.append("full")
    buffer.on_drained = told.append
    return buffer, told


async def test_items_are_dropped_from_the_first_without_room_until_the_reader_has_the_rest():
    buffer, told = buffer_of(2)
    started = anyio.current_time()

    assert [buffer.offer(number) for number in range(4)] == [True, True, False, False]
    assert buffer.take() == 0
    assert not buffer.offer(4), "what is missing stands in one place"
    assert told == ["full"]
    assert buffer.take() == 1
    assert told == ["full", started]
    assert not buffer.offer(5)
    assert buffer.dropped == 4
    assert buffer.resume() == 4
    assert buffer.offer(6)
    assert list(buffer.items) == [6]


async def test_what_is_missing_began_with_the_first_of_several_reasons():
    buffer, told = buffer_of(1)
    buffer.put(0)
    buffer.start_dropping(-5.0)
    buffer.offer(1)

    buffer.take()

    assert told == ["full", -5.0]


async def test_a_task_that_waits_for_room_gets_it_when_the_reader_has_taken_an_item_or_dropping_has_ended():
    buffer, _ = buffer_of(1)
    buffer.put(0)
    got: list[int] = []

    async def fill() -> None:
        for number in (1, 2):
            await buffer.wait_for_room()
            buffer.put(number)
            got.append(number)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(fill)
        await anyio.wait_all_tasks_blocked()
        assert buffer.is_awaited
        assert buffer.take() == 0
        await anyio.wait_all_tasks_blocked()
        assert got == [1]
        buffer.offer(9)
        assert buffer.take() == 1
        await anyio.wait_all_tasks_blocked()
        assert got == [1], "it is still dropping"
        buffer.resume()
    assert got == [1, 2]
    assert not buffer.is_awaited


def repeats(*events: tuple[str, int, float, bool]) -> list[bool]:
    overlap = Overlap()
    return [overlap.is_repeat(text, slot, now, is_overlap=two) for text, slot, now, two in events]


def test_an_event_that_both_of_two_websockets_bring_is_a_repeat_whichever_is_first():
    assert repeats(("a", 1, 0, True), ("a", 2, 0, True), ("b", 2, 1, True), ("b", 1, 1, True)) == [False, True] * 2


def test_the_same_text_twice_on_one_websocket_is_two_events():
    events = [("a", 1, 0, True), ("a", 1, 0, True), ("a", 2, 0, True), ("a", 2, 0, True), ("a", 2, 0, True)]

    assert repeats(*((text, slot, float(now), two) for text, slot, now, two in events)) == [
        False,
        False,
        True,
        True,
        False,
    ]


def test_an_event_before_the_overlap_is_not_that_of_another_websocket_later():
    assert repeats(("a", 1, 0, False), ("a", 2, 100, False)) == [False, False]


def test_what_the_second_websocket_brings_late_is_a_repeat_for_a_while():
    late = OVERLAP_MEMORY - 1

    assert repeats(("a", 1, 0, True), ("a", 2, late, False)) == [False, True]
    assert repeats(("a", 1, 0, True), ("a", 2, OVERLAP_MEMORY + 1, False)) == [False, False]


def test_an_event_that_was_matched_is_not_subtracted_again_when_it_is_forgotten():
    end = OVERLAP_MEMORY
    events = [("a", 1, 0.0, True), ("a", 2, 1.0, True), ("a", 1, end - 1, True), ("b", 1, end + 0.5, True)]

    assert repeats(*events, ("a", 2, end + 1, True)) == [False, True, False, False, True]
