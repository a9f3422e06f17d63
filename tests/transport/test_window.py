"""The window of a rate limit when its clock or its period changes."""

from collections.abc import Callable

import pytest

from coaching_async import RateLimit
from coaching_async._transport.priority import Priority
from coaching_async._transport.rate_limit.limiter import Permit, RateLimiter
from coaching_async._transport.rate_limit.window import Window
from tests.support.doubles import permit_of


def after_a_429() -> Window:
    """Return a window of 20 s after 14 requests in 14 s, of which the thirteenth got a 429."""
    window = Window(RateLimit(20, per=20.0))
    for second in range(14):
        send(window, second, throttled=second == 12)
    return window


def after_many_at_once() -> Window:
    """Return a window of 60 s, a third of which was used at 10 s, so that bulk spreads the rest from then on."""
    window = Window(RateLimit(60, per=60.0))
    for _ in range(20):
        send(window, 10.0, throttled=False)
    return window


def send(window: Window, now: float, *, throttled: bool) -> None:
    """Send a request that is answered at once."""
    window.grant(now)
    window.release(now, now, 1, throttled=throttled)
    if throttled:
        window.lower_limit(now, now)


def what_follows(window: Window, zero: float) -> list[float]:
    """Return what the window says in the two minutes after it was used, in which there are more 429s."""
    said = list[float]()
    for second in range(14, 120):
        now = zero + second
        said.append(window.current_limit(now))
        said += [window.next_permit_at(priority, now) - zero for priority in Priority]
        if second in {15, 20, 24}:
            send(window, now, throttled=second > 15)
    return said


@pytest.mark.parametrize("used_window", [after_a_429, after_many_at_once])
@pytest.mark.parametrize("shift", [-1000.0, 1000.0])
def test_a_window_in_the_next_event_loop_goes_on_as_in_the_last_one(shift: float, used_window: Callable[[], Window]):
    moved = used_window()
    moved.rebase(shift, 14 + shift)

    assert what_follows(moved, shift) == pytest.approx(what_follows(used_window(), 0.0))


@pytest.mark.parametrize("shift", [-1000.0, 1000.0])
def test_a_request_that_was_in_flight_when_its_event_loop_ended_is_in_the_window_from_then_on(shift: float):
    window = Window(RateLimit(1, per=20.0))
    window.grant(0.0)

    window.rebase(shift, 14 + shift)

    assert window.next_permit_at(Priority.INTERACTIVE, 14 + shift) == 14 + 20 + shift


@pytest.mark.anyio
async def test_a_permit_of_an_earlier_event_loop_is_given_back_in_no_later_one():
    limiter = RateLimiter(RateLimit(4))
    earlier = list[Permit]()
    for _ in range(3):
        earlier.append(await permit_of(limiter))
        limiter.rebase(0.0)

    held = await permit_of(limiter)
    for permit in earlier:
        limiter.release(permit, 0)

    assert limiter.window.in_flight == 1
    limiter.release(held, 0)
    assert limiter.window.in_flight == 0


@pytest.mark.parametrize("per", [5.0, 10.0, 20.0])
def test_if_the_period_changes_a_request_is_in_the_window_for_the_new_one(per: float):
    window = Window(RateLimit(1, per=10.0))
    send(window, 0.0, throttled=False)

    window.change_period(per)

    assert window.next_permit_at(Priority.INTERACTIVE, 0.0) == per


def test_if_the_period_becomes_longer_a_429_stays_in_the_window_as_long_as_the_requests():
    window = Window(RateLimit(10, per=10.0))
    for _ in range(7):
        send(window, 0.0, throttled=False)
    window.grant(0.0)
    window.release(0.0, 0.0, 1, throttled=True)

    window.change_period(20.0)
    window.limit = RateLimit(10, per=20.0)
    window.lower_limit(15.0, 15.0)

    assert window.current_limit(15.0) == 7, "the requests that were accepted"
