"""The text of a shared window: JSON, with times as whole milliseconds since the moment at which it was written."""

import math
from collections.abc import Callable
from functools import cache
from typing import Any, Final

from coaching_async._serialization.json import dumps, parse_json
from coaching_async._transport.priority import Priority

from .limit import RateLimit
from .shared_window import InFlight, Member, SharedWindow, Waiting

__all__ = ["decode", "encode"]

VERSION: Final = 1
"""Changes with the format. A process that does not know it goes on by itself."""


IDLE_FIELDS: Final = 4
"""Fields of a member that uses nothing. Programs that run for a second each leave many of them."""


MAX_WHOLE: Final = 10**15
"""No time in milliseconds is beyond."""


MAX_TEXT: Final = 1_000_000
"""Characters. A fleet of 128 processes needs 10,000."""


def encode(window: SharedWindow, now: float) -> str:
    """Return the text of a window."""
    base = round(now * 1000)

    def time(value: float) -> int | None:
        return round(value * 1000) - base if math.isfinite(value) else None

    def member(one: Member) -> list[object]:
        head: list[object] = [one.revision, one.limit.requests, one.limit.per, time(one.written_at)]
        if one.is_idle:
            return head
        return [
            *head,
            time(one.last_granted_at),
            _ms(one.mean_latency),
            _ms(one.lateness),
            [[time(permit.granted_at), time(permit.lease_ends_at)] for permit in one.in_flight],
            [round(value * 1000) - base for value in one.expiry_times],
            [round(value * 1000) - base for value in one.throttled_expiry_times],
            [None if (queue := one.waiting.get(priority)) is None else _queue(queue, time) for priority in Priority],
        ]

    document = {
        "version": VERSION,
        "time": base,
        "limit": window.learned_limit,
        "decrease": time(window.last_decrease_at),
        "increase": time(window.next_increase_at),
        "cooldown": time(window.cooldown_ends_at),
        "ramp": int(window.ramp_limit) if math.isfinite(window.ramp_limit) else None,
        "held_since": time(window.held_since),
        "held": time(window.held_until),
        "members": {name: member(one) for name, one in window.members.items()},
    }
    return dumps(document).decode()


def decode(text: str | None) -> SharedWindow:
    """Return the window of a text; an empty one where there is none. Raises `ValueError` for any other text."""
    if text is None:
        return SharedWindow()
    if len(text) > MAX_TEXT:
        raise ValueError("too long")
    try:
        return _window(parse_json(text.encode()))
    except (LookupError, TypeError, OverflowError, RecursionError, AttributeError) as error:
        raise ValueError(type(error).__name__) from None


def _window(document: dict[str, Any]) -> SharedWindow:
    if document["version"] != VERSION:
        raise ValueError("another version")
    base = _whole(document["time"])

    def time(value: object) -> float:
        return (base + _whole(value)) / 1000

    def times(values: object) -> list[float]:
        wholes = _list(values)
        if not {int}.issuperset(map(type, wholes)) or (wholes and max(max(wholes), -min(wholes)) > MAX_WHOLE):
            raise ValueError("no whole numbers")
        return [(base + value) / 1000 for value in wholes]

    def time_or(value: object, without: float) -> float:
        return without if value is None else time(value)

    @cache
    def limit_of(requests: object, per: object) -> RateLimit:
        return RateLimit(_whole(requests), per=float(_number(per)))

    def member(values: list[Any]) -> Member:
        revision, limit, written_at = _whole(values[0]), limit_of(values[1], values[2]), time(values[3])
        if len(values) == IDLE_FIELDS:
            return Member(revision, limit, written_at)
        granted, latency, lateness, in_flight, expiry, throttled, queues = values[IDLE_FIELDS:]
        return Member(
            revision,
            limit,
            written_at,
            time_or(granted, -math.inf),
            _number(latency) / 1000,
            _number(lateness) / 1000,
            [InFlight(time(granted_at), time(ends_at)) for granted_at, ends_at in _list(in_flight)],
            times(expiry),
            times(throttled),
            {
                priority: Waiting(time(queue[0]), _whole(queue[1]), time(queue[2]))
                for priority, queue in zip(Priority, _list(queues), strict=True)
                if queue is not None
            },
        )

    limit, ramp = document["limit"], document["ramp"]
    return SharedWindow(
        None if limit is None else max(1, _whole(limit)),
        time_or(document["decrease"], -math.inf),
        time_or(document["increase"], math.inf),
        time_or(document["cooldown"], -math.inf),
        math.inf if ramp is None else max(1, _whole(ramp)),
        time_or(document["held_since"], -math.inf),
        time_or(document["held"], -math.inf),
        {name: member(_list(values)) for name, values in document["members"].items()},
        base / 1000,
    )


def _queue(waiting: Waiting, time: Callable[[float], int | None]) -> list[object]:
    return [time(waiting.since), waiting.tasks, time(waiting.looks_at)]


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > MAX_WHOLE:
        raise ValueError("no whole number")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < MAX_WHOLE:
        raise ValueError("no number")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("no list")  # noqa: TRY004 # of a text
    return list(value)  # pyright: ignore[reportUnknownArgumentType]
