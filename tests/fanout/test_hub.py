"""The hub: one stream, many subscribers."""

import asyncio
import gc
import logging
import pickle
import random
from collections.abc import AsyncIterator
from typing import Any, Self
from uuid import UUID

import anyio
import anyio.lowlevel
import pytest

from coaching_async import ClientMisuse, Forbidden, Notification
from coaching_async.fanout import Hub, Missed, Subscription
from tests.support.notifications import ANN, BOB, FedStream, notification

pytestmark = pytest.mark.anyio


async def taken(subscription: Subscription, count: int) -> list[Notification | Missed]:
    with anyio.fail_after(60):
        return [await anext(subscription) for _ in range(count)]


async def rest(subscription: Subscription) -> list[Notification | Missed]:
    with anyio.fail_after(60):
        return [item async for item in subscription]


async def settled() -> None:
    await anyio.wait_all_tasks_blocked()


# Who gets what


async def test_a_subscriber_gets_the_notifications_of_its_user_in_order_and_no_others():
    stream = FedStream()
    async with Hub(stream) as hub:
        anns, bobs = hub.subscribe(ANN), hub.subscribe(BOB)
        stream.feed(*(notification(number, (ANN, BOB)[number % 2]) for number in range(10)), None)

        assert await rest(anns) == [notification(number, ANN) for number in range(0, 10, 2)]
        assert await rest(bobs) == [notification(number, BOB) for number in range(1, 10, 2)]


async def test_a_subscriber_of_several_users_gets_theirs():
    stream = FedStream()
    async with Hub(stream) as hub:
        both = hub.subscribe([ANN, UUID(BOB)])
        stream.feed(notification(1), notification(2, BOB), notification(3, "someone else"), notification(4), None)

        assert [item.id for item in await rest(both) if isinstance(item, Notification)] == ["n1", "n2", "n4"]


async def test_a_user_id_is_compared_without_regard_to_case():
    stream = FedStream()
    async with Hub(stream) as hub:
        subscription = hub.subscribe(ANN.upper())
        stream.feed(notification(1, ANN.title()), None)

        assert len(await rest(subscription)) == 1


async def test_a_notification_without_a_user_goes_to_no_subscriber_and_is_logged_once(
    caplog: pytest.LogCaptureFixture,
):
    stream = FedStream()
    async with Hub(stream) as hub:
        subscription = hub.subscribe(ANN)
        stream.feed(notification(1, None), notification(2, None), None)

        assert await rest(subscription) == []
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


async def test_a_gap_that_the_stream_reports_is_told_to_every_subscriber():
    stream = FedStream()
    async with Hub(stream) as hub:
        anns, bobs = hub.subscribe(ANN), hub.subscribe(BOB)
        stream.feed(notification(1), Missed(), None)

        assert await rest(anns) == [notification(1), Missed()]
        assert await rest(bobs) == [Missed()]


async def test_what_is_no_notification_ends_the_hub_with_an_error():
    stream = FedStream("text")
    async with Hub(stream) as hub:
        with pytest.raises(TypeError, match="str objects"):
            await anext(hub.subscribe(ANN))


# Slow subscribers


async def test_a_slow_subscriber_misses_the_oldest_ones_and_the_others_miss_none():
    stream = FedStream()
    async with Hub(stream) as hub:
        slow, quick = hub.subscribe(ANN, room=3), hub.subscribe(ANN)
        stream.feed(*(notification(number) for number in range(10)))

        assert await taken(quick, 10) == [notification(number) for number in range(10)]
        assert await taken(slow, 4) == [Missed(7), *(notification(number) for number in (7, 8, 9))]

        stream.feed(notification(10))
        assert await taken(slow, 1) == [notification(10)]


async def test_a_thousand_notifications_at_once_are_no_reason_to_miss_one():
    stream = FedStream()
    counts: list[int] = []

    async def read(subscription: Subscription) -> None:
        counts.append(len(await rest(subscription)))

    async with anyio.create_task_group() as tasks, Hub(stream) as hub:
        for _ in range(5):
            tasks.start_soon(read, hub.subscribe(ANN))
        stream.feed(*(notification(number) for number in range(1000)), None)
        await settled()

    assert counts == [1000] * 5


async def test_a_dropped_gap_makes_the_number_of_missed_notifications_unknown():
    stream = FedStream()
    async with Hub(stream) as hub:
        subscription = hub.subscribe(ANN, room=2)
        stream.feed(Missed(2), notification(1), Missed(3), notification(2), notification(3))
        await settled()
        assert await taken(subscription, 2) == [Missed(6), notification(2)]

        stream.feed(Missed(), notification(4), notification(5))
        await settled()
        assert await taken(subscription, 3) == [Missed(None), notification(4), notification(5)]


async def test_a_step_that_is_cancelled_loses_nothing():
    stream = FedStream()
    got: list[Any] = []
    async with Hub(stream) as hub:
        subscription = hub.subscribe(ANN)
        for number in range(50):
            if number % 2:
                stream.feed(notification(number))
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as tasks:
                    for _ in range(number % 5):
                        await anyio.lowlevel.checkpoint()
                    tasks.start_soon(scope_cancels, scope, number % 4)
                    got.append(await anext(subscription))
        stream.feed(None)
        got += await rest(subscription)

    assert got == [notification(number) for number in range(1, 50, 2)]


async def scope_cancels(scope: anyio.CancelScope, after: int) -> None:
    for _ in range(after):
        await anyio.lowlevel.checkpoint()
    scope.cancel()


async def test_two_tasks_cannot_share_a_subscription():
    async with Hub(FedStream()) as hub, anyio.create_task_group() as tasks:
        subscription = hub.subscribe(ANN)
        tasks.start_soon(rest, subscription)
        await settled()
        with pytest.raises(ClientMisuse, match="share one subscription"):
            await anext(subscription)
        subscription.close()


# Subscribers that come back


async def test_a_subscriber_that_comes_back_gets_what_came_meanwhile():
    stream = FedStream()
    async with Hub(stream) as hub:
        with hub.subscribe(ANN, room=2) as subscription:
            stream.feed(notification(1))
            await taken(subscription, 1)
            place = subscription.last_event_id
        stream.feed(*(notification(number, (ANN, BOB)[number % 2]) for number in range(2, 9)))
        await settled()

        again = hub.subscribe(ANN, last_event_id=place, room=2)
        stream.feed(notification(10), notification(12), None)
        assert await rest(again) == [notification(number) for number in (2, 4, 6, 8, 10, 12)]


async def test_a_subscriber_that_got_nothing_yet_comes_back_and_misses_nothing():
    stream = FedStream()
    async with Hub(stream) as hub:
        place = hub.subscribe(ANN).last_event_id
        stream.feed(notification(1), None)
        await settled()

        assert await rest(hub.subscribe(ANN, last_event_id=place)) == [notification(1)]


async def test_what_waited_in_a_subscription_that_ended_comes_again():
    stream = FedStream()
    async with Hub(stream) as hub:
        with hub.subscribe(ANN, room=2) as subscription:
            stream.feed(*(notification(number) for number in range(5)))
            await settled()
            assert await taken(subscription, 1) == [Missed(3)]
            place = subscription.last_event_id
        stream.feed(None)

        assert await rest(hub.subscribe(ANN, last_event_id=place)) == [notification(3), notification(4)]


async def test_the_id_of_another_subscriber_gives_nothing_of_that_ones_users():
    stream = FedStream()
    async with Hub(stream) as hub:
        place = hub.subscribe(BOB).last_event_id
        stream.feed(notification(1, BOB), notification(2), None)
        await settled()

        assert await rest(hub.subscribe(ANN, last_event_id=place)) == [notification(2)]


async def test_a_subscriber_that_comes_back_too_late_is_told_that_it_missed_some():
    stream = FedStream()
    async with Hub(stream, history=3) as hub:
        place = hub.subscribe(ANN).last_event_id
        stream.feed(*(notification(number) for number in range(5)), None)
        await settled()

        found = await rest(hub.subscribe(ANN, last_event_id=place))
        assert found == [Missed(), *(notification(number) for number in (2, 3, 4))]


async def test_what_is_forgotten_of_others_is_not_missed():
    stream = FedStream()
    async with Hub(stream, history=3) as hub:
        anns = hub.subscribe(ANN)
        stream.feed(notification(1), notification(2), *(notification(number, BOB) for number in range(10)), None)
        assert await rest(anns) == [notification(1), notification(2)]

        assert await rest(hub.subscribe(ANN, last_event_id=anns.last_event_id)) == []
        assert await rest(hub.subscribe([ANN, BOB], last_event_id=anns.last_event_id)) == [
            Missed(),
            *(notification(number, BOB) for number in (7, 8, 9)),
        ]


async def test_a_forgotten_gap_counts_for_every_subscriber():
    stream = FedStream()
    async with Hub(stream, history=1) as hub:
        place = hub.subscribe(ANN).last_event_id
        stream.feed(Missed(), notification(1, BOB), None)
        await settled()

        assert await rest(hub.subscribe(ANN, last_event_id=place)) == [Missed()]


@pytest.mark.parametrize(
    "place",
    ["of-another-hub", "0123abcd-5", "{hub}", "{hub}-", "{hub}--1", "{hub}-1e3", "{hub}-٣", "{hub}-" + "9" * 5000],
)
async def test_an_id_that_is_not_of_this_hub_means_that_some_may_be_missed(place: str):
    stream = FedStream()
    async with Hub(stream) as hub:
        name = hub.subscribe(ANN).last_event_id.partition("-")[0]
        subscription = hub.subscribe(ANN, last_event_id=place.format(hub=name))
        stream.feed(notification(1), None)

        assert await rest(subscription) == [Missed(), notification(1)]


async def test_an_empty_id_is_none():
    stream = FedStream(notification(1))
    async with Hub(stream) as hub:
        await settled()
        subscription = hub.subscribe(ANN, last_event_id="")
        stream.feed(None)

        assert await rest(subscription) == []


# The end


async def test_an_error_of_the_stream_reaches_each_subscriber_as_itself_after_what_had_come(
    caplog: pytest.LogCaptureFixture,
):
    stream = FedStream()
    async with Hub(stream) as hub:
        subscriptions = [hub.subscribe(ANN), hub.subscribe(BOB)]
        place = subscriptions[0].last_event_id
        assert hub.error is None
        stream.feed(notification(1), refused := Forbidden("no permission for a topic"))
        await settled()

        raised = []
        for subscription in [*subscriptions, hub.subscribe(ANN, last_event_id=place)]:
            if subscription is not subscriptions[1]:
                assert await taken(subscription, 1) == [notification(1)]
            with pytest.raises(Forbidden) as info:
                await anext(subscription)
            raised.append(info.value)
        assert {str(error) for error in raised} == {str(refused)}
        assert len({id(error) for error in [*raised, refused]}) == 4
        assert hub.error is refused
        assert hub.subscribers == 0
        await anyio.lowlevel.checkpoint()  # the block is not cancelled
    assert [(record.name, record.levelno) for record in caplog.records] == [("coaching_async.fanout", logging.ERROR)]
    assert not stream.is_open


class OddError(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__("cannot be copied")

    def __copy__(self) -> Self:  # copying calls the class with its `args`, but not if Dask has been imported
        return type(self)(*self.args)


async def test_an_error_that_cannot_be_copied_is_raised_itself(caplog: pytest.LogCaptureFixture):
    async with Hub(FedStream(error := OddError(1, 2))) as hub:
        with pytest.raises(OddError) as info:
            await anext(hub.subscribe(ANN))
        assert info.value is error


async def test_an_error_at_the_entering_of_the_stream_is_raised_there():
    stream = FedStream(enters=Forbidden("no"))
    with pytest.raises(Forbidden) as info:
        async with Hub(stream):
            pytest.fail("entered")
    assert info.value is stream.enters
    assert not stream.is_open


async def test_the_end_of_the_stream_ends_the_subscriptions():
    stream = FedStream()
    async with Hub(stream) as hub:
        subscription = hub.subscribe(ANN)
        stream.feed(notification(1), None)

        assert await rest(subscription) == [notification(1)]
        assert await rest(hub.subscribe(ANN)) == []
        assert hub.error is None


async def test_close_ends_the_subscriptions_after_what_waits_in_them():
    stream = FedStream()
    async with Hub(stream) as hub:
        subscription = hub.subscribe(ANN)
        stream.feed(notification(1))
        await settled()
        hub.close()

        assert await rest(subscription) == [notification(1)]
        assert await rest(hub.subscribe(ANN)) == []


async def test_leaving_the_block_ends_waiting_subscribers_and_leaves_the_stream():
    stream = FedStream()
    ended: list[Any] = []

    async def read(subscription: Subscription) -> None:
        ended.append(await rest(subscription))

    async with anyio.create_task_group() as tasks, Hub(stream) as hub:
        for _ in range(3):
            tasks.start_soon(read, hub.subscribe(ANN))
        await settled()
        assert stream.is_open
    assert ended == [[], [], []]
    assert not stream.is_open
    assert stream.tasks[0] == stream.tasks[1]


async def test_an_error_of_the_block_is_raised_as_itself():
    stream = FedStream()
    with pytest.raises(ZeroDivisionError):
        async with Hub(stream):
            raise ZeroDivisionError
    assert not stream.is_open


async def test_a_generator_is_closed_by_the_task_that_reads_it():
    tasks: list[anyio.TaskInfo] = []

    async def generated() -> AsyncIterator[Any]:
        tasks.append(anyio.get_current_task())
        try:
            yield "no notification"
        finally:
            tasks.append(anyio.get_current_task())

    async with Hub(generated()) as hub:
        with pytest.raises(TypeError):
            await anext(hub.subscribe(ANN))
    assert len(tasks) == 2
    assert tasks[0] == tasks[1] != anyio.get_current_task()


async def test_the_block_may_be_entered_and_left_by_different_tasks():
    stream = FedStream()
    hub = Hub(stream)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hub.__aenter__)
    async with anyio.create_task_group() as tasks:
        subscription = hub.subscribe(ANN)
        stream.feed(notification(1))
        assert await taken(subscription, 1) == [notification(1)]
        tasks.start_soon(hub.__aexit__, None, None, None)
    assert not stream.is_open


async def test_leaving_is_not_cut_short_by_a_cancellation():
    class Slow(FedStream):
        async def __aexit__(self, *_: object) -> None:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.5)
            await super().__aexit__(None, None, None)

    stream = Slow()
    with anyio.move_on_after(1.0) as scope:
        async with Hub(stream):
            await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert not stream.is_open


async def test_entering_that_is_cancelled_leaves_nothing():
    class Stuck(FedStream):
        async def __aenter__(self) -> Any:
            await super().__aenter__()
            try:
                await anyio.sleep_forever()
            finally:
                await self.__aexit__(None, None, None)

    stream = Stuck()
    with anyio.move_on_after(1.0):
        async with Hub(stream):
            pytest.fail("entered")
    assert stream.tasks
    assert not stream.is_open


async def test_a_hub_is_entered_once():
    hub = Hub(FedStream())
    async with hub:
        pass
    with pytest.raises(ClientMisuse, match="entered already"):
        async with hub:
            pass


# Subscriptions that end


async def test_a_subscription_ends_with_its_block_with_close_or_when_it_is_dropped():
    async with Hub(FedStream()) as hub:
        with hub.subscribe(ANN) as first:
            second = hub.subscribe(ANN)
            third = hub.subscribe(ANN)
            assert hub.subscribers == 3
        assert hub.subscribers == 2
        second.close()
        second.close()
        assert hub.subscribers == 1
        del third
        gc.collect()
        assert hub.subscribers == 0
        assert await rest(first) == await rest(second) == []


async def test_subscribers_that_leave_at_random_moments_leave_nothing_and_the_others_get_all():
    stream = FedStream()
    randomly = random.Random(18)
    complete: list[int] = []

    async def stay(subscription: Subscription) -> None:
        with subscription:
            complete.append(len(await rest(subscription)))

    async def leave(subscription: Subscription, after: int) -> None:
        with subscription, anyio.move_on_after(randomly.random()):
            async for item in subscription:
                after -= item == Missed() or 1
                if after < 0:
                    break
                await anyio.sleep(randomly.random() / 10)

    async with anyio.create_task_group() as tasks, Hub(stream) as hub:
        for number in range(50):
            if number % 2:
                tasks.start_soon(stay, hub.subscribe(ANN))
            else:
                tasks.start_soon(leave, hub.subscribe(ANN, room=5), randomly.randrange(20))
        stopped = hub.subscribe(ANN, room=100)
        for number in range(200):
            stream.feed(notification(number))
            await anyio.sleep(0.005)
        assert hub.subscribers == 25 + 1
        assert await taken(stopped, 2) == [Missed(100), notification(100)]
        stopped.close()
        stream.feed(None)
        await settled()
        assert hub.subscribers == 0
    assert complete == [200] * 25


# Arguments


@pytest.mark.parametrize("user_ids", ["", " ", [], [ANN, ""], f"{ANN}\n"])
async def test_a_subscription_without_a_user_is_refused(user_ids: Any):
    hub = Hub(FedStream())
    with pytest.raises(ValueError, match="user ids"):
        hub.subscribe(user_ids)


@pytest.mark.parametrize("user_ids", [None, [None], 5, b"abc"])
async def test_what_is_no_user_id_is_refused(user_ids: Any):
    with pytest.raises(TypeError):
        Hub(FedStream()).subscribe(user_ids)


async def test_other_arguments_are_checked():
    wrong: Any = [notification(1)]
    with pytest.raises(TypeError, match="async iterator"):
        Hub(wrong)
    for number in (-1, 1.5, True, "1"):
        count: Any = number
        with pytest.raises(ValueError, match="history is a whole number, at least 0, not "):
            Hub(FedStream(), history=count)
        with pytest.raises(ValueError, match="room is a whole number, at least 1, not "):
            Hub(FedStream()).subscribe(ANN, room=count)


def test_missed_is_a_value():
    assert pickle.loads(pickle.dumps(Missed(3))) == Missed(3) != Missed()
    assert repr(Missed(3)) == "Missed(count=3)"


# asyncio alone


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_native_cancellation_leaves_nothing(anyio_backend: str):
    stream = FedStream()

    async def serve() -> None:
        async with Hub(stream):
            await asyncio.sleep(3600)

    before = asyncio.all_tasks()

    for twice in (False, True):
        task = asyncio.create_task(serve())
        await settled()
        assert stream.is_open
        task.cancel()
        if twice:
            await asyncio.sleep(0)
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not stream.is_open
        assert asyncio.all_tasks() == before


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_subscribers_learn_of_it_when_the_loop_cancels_every_task(anyio_backend: str):
    stream = FedStream()
    before = asyncio.all_tasks()
    async with Hub(stream) as hub:
        subscription = hub.subscribe(ANN)
        for task in asyncio.all_tasks() - before:
            task.cancel()
        assert await rest(subscription) == []
    assert not stream.is_open
