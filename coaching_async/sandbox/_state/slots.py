"""Schedule slots: times at which users could meet, and jobs that search for them.

Every user works from 9:00 to 17:00 UTC on Mondays to Fridays, and is free then except during the appointments that the user
facilitates or attends, whatever their status. Ids that are no user of the sandbox have no schedule, and so no free time.
Half of the users are required at work.

Times are whole minutes since the beginning of the year 1, which was a Monday.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TypeAlias
from uuid import UUID, uuid5

import attrs

from coaching_async.sandbox._wire.formats import Interval, JsonObject, format_interval, format_timestamp, parse_interval
from coaching_async.sandbox._wire.references import JOBS, reference, schedule_reference, user_reference

from .appointment import USER_IDS, start_of
from .filters import EARLIEST, overlaps
from .state import State

Period: TypeAlias = tuple[int, int]

MINUTE = timedelta(minutes=1)
QUARTER, DAY = 15, 24 * 60
WORKING_DAYS, WORK_BEGINS, WORK_ENDS = range(5), 9 * 60, 17 * 60
BUSINESS_UNIT_ID = "22222222-2222-4222-8222-222222222222"
ACTIVITY_CODE_ID = "5"


@attrs.frozen
class Calendar:
    """The appointments of each user in an interval, by date. Interruptible ones count as free time."""

    period: Period
    appointments: Mapping[str, Sequence[JsonObject]]
    interruptible: frozenset[str]

    @classmethod
    def of(cls, state: State, interval: Interval, interruptible: Iterable[str] = ()) -> "Calendar":
        start, end = interval
        appointments: dict[str, list[JsonObject]] = {user_id: [] for user_id in state.user_ids}
        for appointment in state.appointments_where(overlaps(interval)):
            user_ids = {*USER_IDS["Facilitator"](appointment), *USER_IDS["Attendee"](appointment)}
            for user_id in user_ids & appointments.keys():
                appointments[user_id].append(appointment)
        first_minute = -((EARLIEST - start) // MINUTE)  # rounded up
        return cls((first_minute, _to_minute(end)), appointments, frozenset(interruptible))

    def working_periods(self, user_id: str) -> list[Period]:
        """Return the periods of work, appointments included."""
        start, end = self.period
        days = range(start // DAY, -(-end // DAY)) if user_id in self.appointments else ()
        periods = [
            (max(start, day * DAY + WORK_BEGINS), min(end, day * DAY + WORK_ENDS))
            for day in days
            if day % 7 in WORKING_DAYS
        ]
        return [(begin, finish) for begin, finish in periods if begin < finish]

    def free_periods(self, user_id: str) -> list[Period]:
        busy = [
            (begin := _to_minute(start_of(appointment)), begin + appointment["lengthInMinutes"])
            for appointment in self.appointments.get(user_id, ())
            if appointment["id"] not in self.interruptible
        ]
        return [rest for period in self.working_periods(user_id) for rest in _without(period, busy)]

    def staffing_difference(self, participants: Iterable[str], length: int) -> Callable[[int], float]:
        """Return, as a function of a meeting's start, the number of other users who are free less the number required."""
        others = self.appointments.keys() - set(participants)
        free = Counter(start for user_id in others for start in _possible_starts(self.free_periods(user_id), length))
        required = len(self.appointments) / 2
        return lambda start: free[start] - required


def _to_minute(moment: datetime) -> int:
    return (moment - EARLIEST) // MINUTE


def _format_minute(minute: int) -> str:
    return format_timestamp(EARLIEST + minute * MINUTE)


def _without(period: Period, busy: Iterable[Period]) -> Iterator[Period]:
    """Yield the parts of a period that are not busy; `busy` is sorted."""
    start, end = period
    for begin, finish in busy:
        if start < min(begin, end):
            yield start, min(begin, end)
        start = max(start, finish)
    if start < end:
        yield start, end


def _possible_starts(periods: Iterable[Period], length: int) -> set[int]:
    """Return the quarter hours at which a meeting of this length could start."""
    return {
        minute for start, end in periods for minute in range(-(-start // QUARTER) * QUARTER, end - length + 1, QUARTER)
    }


def _common_starts(periods_of: Callable[[str], Iterable[Period]], user_ids: Iterable[str], length: int) -> set[int]:
    first, *others = (_possible_starts(periods_of(user_id), length) for user_id in user_ids)
    return first.intersection(*others)


@lru_cache
def _schedule(day: int) -> JsonObject:
    """Return the reference to the schedule of the day's week."""
    monday = (EARLIEST + day // 7 * 7 * DAY * MINUTE).date().isoformat()
    return schedule_reference(str(uuid5(UUID(BUSINESS_UNIT_ID), monday)), BUSINESS_UNIT_ID, monday)


def _participants(search: JsonObject) -> list[str]:
    return list(dict.fromkeys([*search["attendeeIds"], *search.get("facilitatorIds", ())]))


# queries


def suggestions(state: State, query: JsonObject) -> JsonObject:
    calendar = Calendar.of(state, parse_interval(query["interval"]), query.get("interruptibleAppointmentIds", ()))
    participants, length = _participants(query), query["lengthInMinutes"]
    difference = calendar.staffing_difference(participants, length)
    return {
        "suggestedSlots": [
            {
                "dateStart": _format_minute(start),
                "lengthInMinutes": length,
                "staffingDifference": difference(start),
                "differenceRating": _rating(difference(start)),
                "wfmSchedule": _schedule(start // DAY),
            }
            for start in sorted(_common_starts(calendar.free_periods, participants, length))
        ],
        "attendeeSchedules": [_available_times(calendar, user_id) for user_id in dict.fromkeys(query["attendeeIds"])],
        "facilitatorSchedules": [
            _available_times(calendar, user_id) for user_id in dict.fromkeys(query.get("facilitatorIds", ()))
        ],
        "wfmScheduleActivities": [
            _activities(calendar, user_id) for user_id in participants if user_id in calendar.appointments
        ],
    }


def _rating(difference: float) -> str:
    if difference < -1:
        return "Poor"
    return "Good" if difference > 1 else "Neutral"


def _available_times(calendar: Calendar, user_id: str) -> JsonObject:
    return {
        "user": user_reference(user_id),
        "availableTimes": [
            {
                "dateStart": _format_minute(start),
                "lengthInMinutes": end - start,
                "isPaid": True,
                "activityCategory": "OnQueueWork",
                "wfmSchedule": _schedule(start // DAY),
            }
            for start, end in calendar.free_periods(user_id)
        ],
    }


def _activities(calendar: Calendar, user_id: str) -> JsonObject:
    return {
        "userReference": user_reference(user_id),
        "activities": [
            {
                "dateStart": appointment["dateStart"],
                "lengthMinutes": appointment["lengthInMinutes"],
                "description": appointment["name"],
                "activityCodeId": ACTIVITY_CODE_ID,
                "paid": True,
                "externalActivityId": appointment["id"],
                "externalActivityType": "Coaching",
            }
            for appointment in calendar.appointments[user_id]
        ],
    }


# jobs


def new_job(state: State, search: JsonObject) -> JsonObject:
    """Return a job with all its results. The number of its reads decides how many of them `shown_job` shows."""
    own = reference(JOBS, state.new_id())
    fields = {name: value for name, value in search.items() if name != "intervals"}
    results = [_result(state, search, parse_interval(interval)) for interval in search["intervals"]]
    return {
        "id": own["id"],
        **fields,
        "businessUnitId": BUSINESS_UNIT_ID,
        "results": results,
        "selfUri": own["selfUri"],
        "reads": 0,
    }


def shown_job(job: JsonObject, reads_in_progress: int) -> JsonObject:
    """Return the job as it is sent: its intervals complete one after the other, evenly over the reads."""
    results = job["results"]
    complete = len(results) * job["reads"] // (reads_in_progress + 1)
    pending = [{"interval": result["interval"], "status": "InProgress"} for result in results[complete:]]
    return {**{name: value for name, value in job.items() if name != "reads"}, "results": results[:complete] + pending}


def _result(state: State, search: JsonObject, interval: Interval) -> JsonObject:
    """Find the earliest slot with the best staffing; one that conflicts with appointments only if there is no other."""
    calendar = Calendar.of(state, interval)
    participants, length = _participants(search), search["lengthInMinutes"]
    if not calendar.appointments.keys() >= set(participants):
        return {"interval": format_interval(interval), "status": "Error"}
    free = _common_starts(calendar.free_periods, participants, length)
    if not (possible := free or _common_starts(calendar.working_periods, participants, length)):
        return {"interval": format_interval(interval), "status": "Complete"}
    difference = calendar.staffing_difference(participants, length)
    best = max(possible, key=lambda start: (difference(start), -start))
    schedule = _schedule(best // DAY)
    return {
        "interval": format_interval(interval),
        "status": "Complete",
        "slot": {
            "dateStart": _format_minute(best),
            "schedule": {name: schedule[name] for name in ("id", "selfUri", "weekDate")} | {"weekCount": 1},
        },
        "hasConflict": not free,
    }
