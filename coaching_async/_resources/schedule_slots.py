"""Schedule slots: the operations below `/api/v2/coaching/scheduleslots`."""

from __future__ import annotations

from collections.abc import Iterable

from coaching_async.models.coercion import IdLike, IdsLike, IntervalLike
from coaching_async.models.schedule_slots import (
    CoachingSlots,
    CoachingSlotsQuery,
    ScheduleSlotsJob,
    ScheduleSlotsJobCreate,
    ScheduleSlotsJobStatus,
    SlotsType,
    SlotsTypeLike,
)

from .base import Resource

__all__ = ["ScheduleSlots"]


class ScheduleSlots(Resource):
    """Times at which participants are free, according to the schedules of workforce management.

    Besides the errors named at each method, every method may raise `TransportError`, `DeadlineExceeded`, `AuthError`,
    `Unauthorized`, `RateLimited`, `ServerError` and `DecodeError`. Methods that start a job may raise `OutcomeUnknown`.
    """

    __slots__ = ()

    async def query(
        self,
        *,
        interval: IntervalLike,
        length_in_minutes: int,
        attendee_ids: IdsLike,
        facilitator_ids: IdsLike = (),
        interruptible_appointment_ids: IdsLike = (),
    ) -> CoachingSlots:
        """Return the free slots of 15, 30, 45 or 60 minutes in `interval`, its end excluded, and the schedules behind them.

            slots = await client.schedule_slots.query(
                interval=Interval.parse("2026-W48"),
                length_in_minutes=30,
                attendee_ids=[user_id],
            )
            for slot in slots.suggested_slots:
                print(slot.date_start, slot.difference_rating)

        Interruptible appointments count as free time.

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
        self,
        *,
        attendee_ids: IdsLike,
        length_in_minutes: int,
        activity_code_id: IdLike,
        intervals: Iterable[IntervalLike] | IntervalLike,
        facilitator_ids: IdsLike = (),
        slots_type: SlotsTypeLike = SlotsType.BEST_TIME,
    ) -> ScheduleSlotsJob:
        """Start a job that searches one slot in each interval; `get_job` returns its results.

            job = await client.schedule_slots.start_job(
                attendee_ids=[user_id],
                length_in_minutes=30,
                activity_code_id=activity_code_id,
                intervals=[Interval.parse("2026-W48")],
            )

        - `length_in_minutes` is a multiple of 15.
        - `activity_code_id` is the activity code that the slot would have in workforce management.
        - `intervals` are searched one by one; each has a result of its own. Their ends are excluded.

        HTTP: POST /api/v2/coaching/scheduleslots/jobs
        Permission: coaching:scheduleSlotJob:add
        Raises: `BadRequest`, `Forbidden`; `OutcomeUnknown` when it may have been started.
        """
        body = ScheduleSlotsJobCreate(
            attendee_ids=attendee_ids,
            facilitator_ids=facilitator_ids,
            length_in_minutes=length_in_minutes,
            activity_code_id=activity_code_id,
            intervals=intervals,
            slots_type=slots_type,
        )
        return await self._api.run_job(ScheduleSlotsJob, "schedule_slots.start_job", "scheduleslots", "jobs", body=body)

    async def get_job(self, job_id: IdLike) -> ScheduleSlotsJob:
        """Return a job, with the results that it has so far.

            job = await client.schedule_slots.get_job(job_id)
            print([result.status for result in job.results])

        HTTP: GET /api/v2/coaching/scheduleslots/jobs/{jobId}
        Permission: coaching:scheduleSlotJob:view
        Raises: `NotFound`, `Forbidden`.
        """
        return await self._api.get(ScheduleSlotsJob, "schedule_slots.get_job", "scheduleslots", "jobs", job_id)

    async def find(
        self,
        *,
        attendee_ids: IdsLike,
        length_in_minutes: int,
        activity_code_id: IdLike,
        intervals: Iterable[IntervalLike] | IntervalLike,
        facilitator_ids: IdsLike = (),
        slots_type: SlotsTypeLike = SlotsType.BEST_TIME,
    ) -> ScheduleSlotsJob:
        """Start a job and poll it until it is finished in every interval. Arguments as in `start_job`.

            job = await client.schedule_slots.find(
                attendee_ids=[user_id],
                length_in_minutes=30,
                activity_code_id=activity_code_id,
                intervals=[Interval.parse("2026-W48")],
            )
            print([result.slot for result in job.results])

        The search may fail in an interval: check the `status` of each result.

        HTTP: POST /api/v2/coaching/scheduleslots/jobs, GET /api/v2/coaching/scheduleslots/jobs/{jobId}
        Permission: coaching:scheduleSlotJob:add and coaching:scheduleSlotJob:view
        Raises: `BadRequest`, `Forbidden`; `OutcomeUnknown` when it may have been started, and when it is not finished before
        the deadline: then `partial` has the job in its last known state, and `get_job` returns its results later.
        """
        body = ScheduleSlotsJobCreate(
            attendee_ids=attendee_ids,
            facilitator_ids=facilitator_ids,
            length_in_minutes=length_in_minutes,
            activity_code_id=activity_code_id,
            intervals=intervals,
            slots_type=slots_type,
        )
        return await self._api.run_job(
            ScheduleSlotsJob, "schedule_slots.find", "scheduleslots", "jobs", body=body, is_finished=_is_finished
        )


def _is_finished(job: ScheduleSlotsJob) -> bool:
    # A finished job has a result for each interval, so one without results is not finished.
    return bool(job.results) and all(result.status is not ScheduleSlotsJobStatus.IN_PROGRESS for result in job.results)
