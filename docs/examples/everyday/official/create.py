"""Create an appointment about a conversation."""

import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from careful import iterate
from PureCloudPlatformClientV2 import CoachingApi, CoachingAppointmentResponse, CreateCoachingAppointmentRequest
from PureCloudPlatformClientV2.rest import ApiException
from urllib3.exceptions import HTTPError

MINUTE = timedelta(minutes=1)


def create(api: CoachingApi, appointment: CreateCoachingAppointmentRequest) -> CoachingAppointmentResponse:
    """Create it once, or raise an error if that is unknown; wait after a 202."""
    started = datetime.now(UTC)
    try:
        return when_created(api, api.post_coaching_appointments(appointment))
    except (ApiException, HTTPError) as error:
        if isinstance(error, ApiException) and error.status < 500:
            raise
        listed = iterate(api.get_coaching_appointments, appointment.attendee_ids[:1], interval=minute_of(appointment))
        with suppress(ApiException, HTTPError):  # a failed search says nothing about the create
            for found in listed:
                if matches(found, appointment) and found.date_created >= started - MINUTE:
                    return found
        raise


def when_created(api: CoachingApi, created: CoachingAppointmentResponse) -> CoachingAppointmentResponse:
    """Read the appointment until it exists, because a 202 has only its id."""
    deadline = time.monotonic() + 60
    while created.name is None:
        try:
            return api.get_coaching_appointment(created.id)
        except ApiException as error:
            if error.status != 404 or time.monotonic() > deadline:
                raise
        time.sleep(0.5)
    return created


def minute_of(appointment: CreateCoachingAppointmentRequest) -> str:
    """Return the minute in which it starts."""
    start = appointment.date_start.astimezone(UTC).replace(second=0, microsecond=0, tzinfo=None)
    return f"{start.isoformat()}.000Z/{(start + MINUTE).isoformat()}.000Z"


def matches(found: CoachingAppointmentResponse, wanted: CreateCoachingAppointmentRequest) -> bool:
    """Return whether it may be the appointment; it starts in the same minute."""
    return (
        (found.name, found.length_in_minutes) == (wanted.name, wanted.length_in_minutes)
        and {each.id for each in found.attendees} == set(wanted.attendee_ids)
        and wanted.facilitator_id in {None, found.facilitator and found.facilitator.id}
    )
