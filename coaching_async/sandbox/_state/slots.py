"""When people could meet, in whole minutes since the beginning of the year 1, which was a Monday.

Every user works from 9:00 to 17:00 UTC on Mondays to Fridays, but for the appointments that they lead or attend, whatever
their status. Who is no user of the sandbox has no schedule, and so no time. Half of the users are needed at work.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TypeAlias
from uuid import UUID, uuid5

import attrs

from coaching_async.sandbox._wire.formats import (
    JOBS,
    Interval,
    JsonObject,
    interval,
    pointer,
    schedule_pointer,
    span,
    timestamp,
    user_pointer,
)

from .appointment import PEOPLE, starts
from .filters import BEGINNING, overlaps
from .state import State

Period: TypeAlias = tuple[int, int]

MINUTE = timedelta(minutes=1)
QUARTER, DAY = 15, 24 * 60
WORKING_DAYS, FROM, TO = range(5), 9 * 60, 17 * 60
BUSINESS_UNIT_ID = "22222222-2222-4222-8222-222222222222"
ACTIVITY_CODE_ID = "5"


@attrs.frozen
class Calendar:
    """What the users do in an interval: their appointments, by date. Those to interrupt count as free time."""

    period: Period
    appointments: Mapping[str, Sequence[JsonObject]]
    interrupted: frozenset[str]

    @classmethod
    def of(cls, state: State, within: Interval, interrupted: Iterable[str] = ()) -> "Calendar":
        start, end = within
        appointments: dict[str, list[JsonObject]] = {user_id: [] for user_id in state.user_ids}
        for each in state.appointments_where(overlaps(within)):
            for user_id in {*PEOPLE["Facilitator"](each), *PEOPLE["Attendee"](each)} & appointments.keys():
                appointments[user_id].append(each)
        # What of the interval are whole minutes.
        return cls((-((BEGINNING - start) // MINUTE), _minute(end)), appointments, frozenset(interrupted))

    def work(self, user_id: str) -> list[Period]:
        """Periods of work, with the appointments in them."""
        start, end = self.period
        days = range(start // DAY, -(-end // DAY)) if user_id in self.appointments else ()
        periods = [(max(start, day * DAY + FROM), min(end, day * DAY + TO)) for day in days if day % 7 in WORKING_DAYS]
        return [(begin, finish) for begin, finish in periods if begin < finish]

    def free(self, user_id: str) -> list[Period]:
        busy = [
            (begin := _minute(starts(each)), begin + each["lengthInMinutes"])
            for each in self.appointments.get(user_id, ())
            if each["id"] not in self.interrupted
        ]
        return [left for period in self.work(user_id) for left in _without(period, busy)]

    def staffing(self, people: Iterable[str], length: int) -> Callable[[int], float]:
        """By the start of a meeting: who is free meanwhile and not in it, less who is needed."""
        others = self.appointments.keys() - set(people)
        free = Counter(start for user_id in others for start in _starts(self.free(user_id), length))
        needed = len(self.appointments) / 2
        return lambda start: free[start] - needed


def _minute(moment: datetime) -> int:
    return (moment - BEGINNING) // MINUTE


def _shown(minute: int) -> str:
    return timestamp(BEGINNING + minute * MINUTE)


def _without(period: Period, busy: Iterable[Period]) -> Iterator[Period]:
    """What is left of a period; what is busy comes by its begin."""
    start, end = period
    for begin, finish in busy:
        if start < min(begin, end):
            yield start, min(begin, end)
        start = max(start, finish)
    if start < end:
        yield start, end


def _starts(periods: Iterable[Period], length: int) -> set[int]:
    """The quarters of an hour at which a meeting could start."""
    return {each for start, end in periods for each in range(-(-start // QUARTER) * QUARTER, end - length + 1, QUARTER)}


def _common(periods_of: Callable[[str], Iterable[Period]], people: Iterable[str], length: int) -> set[int]:
    first, *others = (_starts(periods_of(user_id), length) for user_id in people)
    return first.intersection(*others)


@lru_cache
def _schedule(day: int) -> JsonObject:
    """The schedule of the week of this day."""
    monday = (BEGINNING + day // 7 * 7 * DAY * MINUTE).date().isoformat()
    return schedule_pointer(str(uuid5(UUID(BUSINESS_UNIT_ID), monday)), BUSINESS_UNIT_ID, monday)


def _people(search: JsonObject) -> list[str]:
    return list(dict.fromkeys([*search["attendeeIds"], *search.get("facilitatorIds", ())]))


# a query


def suggestions(state: State, query: JsonObject) -> JsonObject:
    calendar = Calendar.of(state, interval(query["interval"]), query.get("interruptibleAppointmentIds", ()))
    people, length = _people(query), query["lengthInMinutes"]
    difference = calendar.staffing(people, length)
    return {
        "suggestedSlots": [
            {
                "dateStart": _shown(start),
                "lengthInMinutes": length,
                "staffingDifference": difference(start),
                "differenceRating": _rating(difference(start)),
                "wfmSchedule": _schedule(start // DAY),
            }
            for start in sorted(_common(calendar.free, people, length))
        ],
        "attendeeSchedules": [_free_times(calendar, each) for each in dict.fromkeys(query["attendeeIds"])],
        "facilitatorSchedules": [
            _free_times(calendar, each) for each in dict.fromkeys(query.get("facilitatorIds", ()))
        ],
        "wfmScheduleActivities": [_activities(calendar, each) for each in people if each in calendar.appointments],
    }


def _rating(difference: float) -> str:
    if difference < -1:
        return "Poor"
    return "Good" if difference > 1 else "Neutral"


def _free_times(calendar: Calendar, user_id: str) -> JsonObject:
    return {
        "user": user_pointer(user_id),
        "availableTimes": [
            {
                "dateStart": _shown(start),
                "lengthInMinutes": end - start,
                "isPaid": True,
                "activityCategory": "OnQueueWork",
                "wfmSchedule": _schedule(start // DAY),
            }
            for start, end in calendar.free(user_id)
        ],
    }


def _activities(calendar: Calendar, user_id: str) -> JsonObject:
    return {
        "userReference": user_pointer(user_id),
        "activities": [
            {
                "dateStart": each["dateStart"],
                "lengthMinutes": each["lengthInMinutes"],
                "description": each["name"],
                "activityCodeId": ACTIVITY_CODE_ID,
                "paid": True,
                "externalActivityId": each["id"],
                "externalActivityType": "Coaching",
            }
            for each in calendar.appointments[user_id]
        ],
    }


# a job


def new_job(state: State, search: JsonObject) -> JsonObject:
    """A job with all its results; how often it was read decides how many of them are shown."""
    named = pointer(JOBS, state.new_id())
    asked = {name: value for name, value in search.items() if name != "intervals"}
    results = [_result(state, search, interval(each)) for each in search["intervals"]]
    return {
        "id": named["id"],
        **asked,
        "businessUnitId": BUSINESS_UNIT_ID,
        "results": results,
        "selfUri": named["selfUri"],
        "reads": 0,
    }


def shown_job(job: JsonObject, reads_in_progress: int) -> JsonObject:
    """It comes to its end in one interval after the other, evenly over the reads."""
    results = job["results"]
    done = len(results) * job["reads"] // (reads_in_progress + 1)
    pending = [{"interval": each["interval"], "status": "InProgress"} for each in results[done:]]
    return {**{name: value for name, value in job.items() if name != "reads"}, "results": results[:done] + pending}


def _result(state: State, search: JsonObject, within: Interval) -> JsonObject:
    """The slot with the best staffing, the earliest of them; one that clashes with appointments if there is no other."""
    calendar = Calendar.of(state, within)
    people, length = _people(search), search["lengthInMinutes"]
    if not calendar.appointments.keys() >= set(people):
        return {"interval": span(within), "status": "Error"}
    free = _common(calendar.free, people, length)
    if not (possible := free or _common(calendar.work, people, length)):
        return {"interval": span(within), "status": "Complete"}
    difference = calendar.staffing(people, length)
    best = max(possible, key=lambda start: (difference(start), -start))
    schedule = _schedule(best // DAY)
    return {
        "interval": span(within),
        "status": "Complete",
        "slot": {
            "dateStart": _shown(best),
            "schedule": {name: schedule[name] for name in ("id", "selfUri", "weekDate")} | {"weekCount": 1},
        },
        "hasConflict": not free,
    }
