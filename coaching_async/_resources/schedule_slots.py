"""Schedule slots: the operations below `/api/v2/coaching/scheduleslots`."""

from collections.abc import Iterable
from typing import NotRequired, TypedDict, Unpack

from coaching_async.models.coercion import IntervalLike
from coaching_async.models.schedule_slots import (
    CoachingSlots,
    CoachingSlotsQuery,
    ScheduleSlotsJob,
    ScheduleSlotsJobCreate,
    ScheduleSlotsJobStatus,
    SlotsType,
)

from .base import Resource

__all__ = ["ScheduleSlots", "ScheduleSlotsSearch"]


class ScheduleSlotsSearch(TypedDict):
    """What a job has to look for."""

    attendee_ids: Iterable[str] | str
    facilitator_ids: NotRequired[Iterable[str] | str]
    length_in_minutes: int
    """A multiple of 15."""
    activity_code_id: str
    """The activity of workforce management that the slot would be."""
    intervals: Iterable[IntervalLike] | IntervalLike
    """Where to look, each for itself; the ends are excluded."""


class ScheduleSlots(Resource):
    """Times at which people could meet, found in the schedules of workforce management.

    Besides what is named at each method, every method may raise `TransportError`, `DeadlineExceeded`, `AuthError`,
    `Unauthorized`, `RateLimited`, `ServerError` and `DecodeError`; those that start a job, `OutcomeUnknown`.
    """

    __slots__ = ()

    async def query(
        self,
        *,
        interval: IntervalLike,
        length_in_minutes: int,
        attendee_ids: Iterable[str] | str,
        facilitator_ids: Iterable[str] | str = (),
        interruptible_appointment_ids: Iterable[str] | str = (),
    ) -> CoachingSlots:
        """Slots of 15, 30, 45 or 60 minutes in `interval`, its end excluded, and the schedules behind them.

        The appointments to interrupt count as free time.

        HTTP: POST /api/v2/coaching/scheduleslots/query
        Permission: coaching:scheduleSlot:view
        Raises: `BadRequest`, `Forbidden`.
        """
        query = CoachingSlotsQuery(
            interval=interval,
            length_in_minutes=length_in_minutes,
            attendee_ids=attendee_ids,
            facilitator_ids=facilitator_ids,
            interruptible_appointment_ids=interruptible_appointment_ids,
        )
        return await self._api.get(CoachingSlots, "schedule_slots.query", "scheduleslots", "query", body=query)

    async def start_job(
        self, *, slots_type: SlotsType | str = SlotsType.BEST_TIME, **search: Unpack[ScheduleSlotsSearch]
    ) -> ScheduleSlotsJob:
        """Start a search for one slot in each of several intervals; `get_job` tells what it has found.

        What to look for is `attendee_ids`, `facilitator_ids`, `length_in_minutes`, `activity_code_id` and `intervals`: see
        `ScheduleSlotsSearch`.

        HTTP: POST /api/v2/coaching/scheduleslots/jobs
        Permission: coaching:scheduleSlotJob:add
        Raises: `BadRequest`, `Forbidden`; `OutcomeUnknown` when it may have been started.
        """
        body = ScheduleSlotsJobCreate(slots_type=slots_type, **search)
        return await self._api.run_job(ScheduleSlotsJob, "schedule_slots.start_job", "scheduleslots", "jobs", body=body)

    async def get_job(self, job_id: str) -> ScheduleSlotsJob:
        """A search, as far as it has come.

        HTTP: GET /api/v2/coaching/scheduleslots/jobs/{jobId}
        Permission: coaching:scheduleSlotJob:view
        Raises: `NotFound`, `Forbidden`.
        """
        return await self._api.get(ScheduleSlotsJob, "schedule_slots.get_job", "scheduleslots", "jobs", job_id)

    async def find(
        self, *, slots_type: SlotsType | str = SlotsType.BEST_TIME, **search: Unpack[ScheduleSlotsSearch]
    ) -> ScheduleSlotsJob:
        """Start a search and wait until it has come to its end in every interval. Arguments as in `start_job`.

        Where the search failed in an interval, its result says so: look at each `status`.

        HTTP: POST /api/v2/coaching/scheduleslots/jobs, GET /api/v2/coaching/scheduleslots/jobs/{jobId}
        Permission: coaching:scheduleSlotJob:add and coaching:scheduleSlotJob:view
        Raises: `BadRequest`, `Forbidden`; `OutcomeUnknown` when it may have been started, and when it has not ended in
        time: then `partial` has the job as it was last seen, and `get_job` goes on from there.
        """
        body = ScheduleSlotsJobCreate(slots_type=slots_type, **search)
        return await self._api.run_job(
            ScheduleSlotsJob, "schedule_slots.find", "scheduleslots", "jobs", body=body, is_finished=_is_finished
        )


def _is_finished(job: ScheduleSlotsJob) -> bool:
    """A job that has no result yet has not come to its end: there is one for each interval."""
    return bool(job.results) and all(each.status is not ScheduleSlotsJobStatus.IN_PROGRESS for each in job.results)
