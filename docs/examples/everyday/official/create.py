"""A new appointment that is about a conversation."""

import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from careful import walk
from PureCloudPlatformClientV2 import CoachingApi, CoachingAppointmentResponse, CreateCoachingAppointmentRequest
from PureCloudPlatformClientV2.rest import ApiException
from urllib3.exceptions import HTTPError

MINUTE = timedelta(minutes=1)


def create(api: CoachingApi, appointment: CreateCoachingAppointmentRequest) -> CoachingAppointmentResponse:
    """It is created once, or an error says that it is not known to be; a 202 is waited for."""
    started = datetime.now(UTC)
    try:
        return appeared(api, api.post_coaching_appointments(appointment))
    except (ApiException, HTTPError) as error:
        if isinstance(error, ApiException) and error.status < 500:
            raise
        listed = walk(api.get_coaching_appointments, appointment.attendee_ids[:1], interval=around(appointment))
        with suppress(ApiException, HTTPError):  # looking may fail as well, which tells nothing of the create
            for found in listed:
                if is_it(found, appointment) and found.date_created >= started - MINUTE:
                    return found
        raise


def appeared(api: CoachingApi, created: CoachingAppointmentResponse) -> CoachingAppointmentResponse:
    """After a 202 all that came is an id."""
    deadline = time.monotonic() + 60
    while created.name is None:
        try:
            return api.get_coaching_appointment(created.id)
        except ApiException as error:
            if error.status != 404 or time.monotonic() > deadline:
                raise
        time.sleep(0.5)
    return created


def around(appointment: CreateCoachingAppointmentRequest) -> str:
    """The minute in which it starts."""
    start = appointment.date_start.astimezone(UTC).replace(second=0, microsecond=0, tzinfo=None)
    return f"{start.isoformat()}.000Z/{(start + MINUTE).isoformat()}.000Z"


def is_it(found: CoachingAppointmentResponse, wanted: CreateCoachingAppointmentRequest) -> bool:
    """Whether it may be the one; it starts in the same minute."""
    return (
        (found.name, found.length_in_minutes) == (wanted.name, wanted.length_in_minutes)
        and {each.id for each in found.attendees} == set(wanted.attendee_ids)
        and wanted.facilitator_id in {None, found.facilitator and found.facilitator.id}
    )
