"""The client with the sandbox, over real sockets."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from coaching_async import (
    AccessToken,
    AccessType,
    Appointment,
    AppointmentCreate,
    AppointmentReference,
    AppointmentStatus,
    AppointmentUpdate,
    AuthError,
    BadRequest,
    ClientCredentials,
    CoachingClient,
    Conflict,
    Forbidden,
    Interval,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    RetryPolicy,
    RetryScheduled,
    ScheduleSlotsJobStatus,
    from_dict,
)
from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, Fault, Sandbox
from coaching_async.testing import route

pytestmark = [pytest.mark.anyio, pytest.mark.real_time]

ME = "11111111-1111-4111-8111-111111111111"


@pytest.fixture(scope="module")
def started() -> Iterator[Sandbox]:
    with Sandbox(appointments=300, users=8, seed=7) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(started: Sandbox) -> Iterator[Sandbox]:
    yield started
    assert started.faults.pending == ()


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[CoachingClient]:
    auth = ClientCredentials(CLIENT_ID, CLIENT_SECRET)
    async with CoachingClient(auth, base_url=sandbox.base_url, retry=RetryPolicy(max_backoff=0.01)) as client:
        yield client


@pytest.fixture
async def mine(sandbox: Sandbox) -> AsyncIterator[CoachingClient]:
    """A client with a user's token."""
    async with httpx.AsyncClient() as http:
        form = {"grant_type": "refresh_token", "refresh_token": REFRESH_TOKEN}
        answer = await http.post(f"{sandbox.login_url}/oauth/token", data=form, auth=(CLIENT_ID, CLIENT_SECRET))
    async with CoachingClient(AccessToken(answer.json()["access_token"]), base_url=sandbox.base_url) as client:
        yield client


def new(sandbox: Sandbox, **fields: object) -> AppointmentCreate:
    given = {
        "name": "Call opening",
        "description": "The first thirty seconds.",
        "date_start": datetime.now(UTC) + timedelta(days=1),
        "length_in_minutes": 30,
        "attendee_ids": sandbox.state.user_ids[1:3],
        "facilitator_id": ME,
    }
    return AppointmentCreate(**given | fields)  # type: ignore[arg-type]


async def test_a_walk_returns_each_appointment_of_the_service_once(client: CoachingClient, sandbox: Sandbox):
    listing = client.appointments.list(sandbox.state.user_ids, page_size=40)

    ids = [appointment.id async for appointment in listing]

    assert len(ids) == len(set(ids))
    assert set(ids) == set(sandbox.state.appointments)
    assert await listing.total() == len(ids)


async def test_a_capped_page_size_loses_nothing(client: CoachingClient, sandbox: Sandbox):
    listing = client.appointments.list(sandbox.state.user_ids, page_size=5000)

    pages = [page async for page in listing.pages()]

    assert {page.page_size for page in pages} == {100}
    assert sum(len(page.entities) for page in pages) == len(sandbox.state.appointments)


async def test_filters_select_appointments(client: CoachingClient, sandbox: Sandbox):
    november = Interval.month(2026, 11)
    listing = client.appointments.list(
        sandbox.state.user_ids, interval=november, statuses="Completed", sort_order="Desc", overdue=False
    )

    found = await listing.collect()

    starts = [appointment.date_start for appointment in found if appointment.date_start]
    assert found
    assert {appointment.status for appointment in found} == {AppointmentStatus.COMPLETED}
    assert starts == sorted(starts, reverse=True)
    assert all(november.start <= start < november.end for start in starts)


async def test_an_appointment_is_created_updated_and_deleted(client: CoachingClient, sandbox: Sandbox):
    created = await client.appointments.create(new(sandbox, location="Room 4"))
    assert await client.appointments.get(created.id) == created
    assert created.facilitator is not None
    assert (created.location, created.facilitator.id) == ("Room 4", ME)

    changed = await client.appointments.update(created.id, AppointmentUpdate(name="Wrap-up", location=None))
    assert (changed.name, changed.location, changed.description) == ("Wrap-up", None, created.description)

    assert (await client.appointments.set_status(created.id, "InProgress")).status is AppointmentStatus.IN_PROGRESS
    await client.appointments.set_status(created.id, "Completed")
    history = await client.appointments.list_statuses(created.id).collect()
    assert [change.status for change in history] == ["Scheduled", "InProgress", "Completed"]
    with pytest.raises(Conflict):
        await client.appointments.update(created.id, AppointmentUpdate(name="Too late"))

    assert await client.appointments.delete(created.id) == AppointmentReference(
        id=created.id, self_uri=f"/api/v2/coaching/appointments/{created.id}"
    )
    with pytest.raises(NotFound):
        await client.appointments.get(created.id)


async def test_an_annotation_is_created_updated_and_deleted(client: CoachingClient, sandbox: Sandbox):
    appointment = await client.appointments.create(new(sandbox))
    note = await client.annotations.create(appointment.id, "Slow down.", access_type="Private")
    assert note.access_type is AccessType.PRIVATE
    assert await client.annotations.get(appointment.id, note.id) == note
    assert (await client.annotations.update(appointment.id, note.id, "Slower.")).text == "Slower."
    assert [each.text async for each in client.annotations.list(appointment.id)] == ["Slower."]

    await client.annotations.delete(appointment.id, note.id)

    assert await client.annotations.list(appointment.id).collect() == []
    with pytest.raises(NotFound):
        await client.annotations.get(appointment.id, note.id)


MONDAY = Interval(datetime(2027, 1, 11, tzinfo=UTC), datetime(2027, 1, 12, tzinfo=UTC))
SUNDAY = Interval(datetime(2027, 1, 10, tzinfo=UTC), datetime(2027, 1, 11, tzinfo=UTC))


async def test_a_conversation_is_linked_to_an_appointment_and_found_there(client: CoachingClient, sandbox: Sandbox):
    created = await client.appointments.create(new(sandbox))

    linked = await client.appointments.add_conversation(created.id, "c/1")

    shown = await client.appointments.get(created.id)
    assert linked.conversation
    assert shown.conversations == (linked.conversation,)
    assert linked.appointment == AppointmentReference(id=created.id, self_uri=created.self_uri)
    with pytest.raises(Conflict):
        await client.appointments.add_conversation(created.id, "c/1")
    with pytest.raises(NotFound):
        await client.appointments.add_conversation("nothing", "c/1")


async def test_counts_match_a_walk(client: CoachingClient, sandbox: Sandbox):
    november, users = Interval.month(2026, 11), sandbox.state.user_ids[:2]

    counted = await client.appointments.aggregate(
        interval=november, attendee_ids=users, statuses="Completed", group_by="attendeeId", metrics="nActivities"
    )

    found = [
        each
        async for each in client.appointments.list(
            users, interval=november, statuses="Completed", relationships="Attendee"
        )
    ]
    attendees = [user.id for each in found for user in each.attendees]
    assert found
    assert {
        group.group["attendeeId"]: line.stats and line.stats.count
        for group in counted.results
        for data in group.data
        for line in data.metrics
    } == {user: attendees.count(user) for user in attendees}


async def test_slots_are_suggested_when_all_participants_are_free(client: CoachingClient, sandbox: Sandbox):
    busy = await client.appointments.create(new(sandbox, date_start=MONDAY.start + timedelta(hours=9)))
    people = sandbox.state.user_ids[1:2]

    slots = await client.schedule_slots.query(
        interval=MONDAY, length_in_minutes=30, attendee_ids=people, facilitator_ids=ME
    )
    interrupting = await client.schedule_slots.query(
        interval=MONDAY, length_in_minutes=30, attendee_ids=people, interruptible_appointment_ids=busy.id
    )

    starts = [slot.date_start for slot in slots.suggested_slots]
    assert starts
    assert busy.date_start not in starts
    assert busy.date_start in [slot.date_start for slot in interrupting.suggested_slots]
    assert {slot.length_in_minutes for slot in slots.suggested_slots} == {30}
    assert [schedule.user and schedule.user.id for schedule in slots.facilitator_schedules] == [ME]
    assert {
        activity.external_activity_id for each in slots.wfm_schedule_activities for activity in each.activities
    } >= {busy.id}
    await client.appointments.delete(busy.id)


async def test_a_job_is_read_until_every_interval_is_complete(client: CoachingClient, sandbox: Sandbox):
    users, intervals = sandbox.state.user_ids[:2], [MONDAY, SUNDAY]
    started = await client.schedule_slots.start_job(
        attendee_ids=users, length_in_minutes=30, activity_code_id="5", intervals=intervals
    )
    assert {result.status for result in started.results} == {ScheduleSlotsJobStatus.IN_PROGRESS}
    halfway = await client.schedule_slots.get_job(started.id)
    assert [result.status for result in halfway.results] == ["Complete", "InProgress"]

    found = await client.schedule_slots.find(
        attendee_ids=users, length_in_minutes=30, activity_code_id="5", intervals=intervals
    )

    assert [result.interval for result in found.results] == [MONDAY, SUNDAY]
    assert {result.status for result in found.results} == {ScheduleSlotsJobStatus.COMPLETE}
    monday, sunday = found.results
    assert monday.slot
    assert monday.slot.date_start
    assert MONDAY.start <= monday.slot.date_start < MONDAY.end
    assert (monday.has_conflict, sunday.slot, sunday.has_conflict) == (False, None, None)
    with pytest.raises(NotFound):
        await client.schedule_slots.get_job("nothing")


async def test_a_job_with_a_lost_response_may_have_been_started_once(client: CoachingClient, sandbox: Sandbox):
    before = len(sandbox.state.jobs)
    sandbox.faults.add(Fault("drop_after", *route("schedule_slots.start_job")))

    with pytest.raises(OutcomeUnknown):
        await client.schedule_slots.start_job(
            attendee_ids=ME, length_in_minutes=30, activity_code_id="5", intervals=MONDAY
        )

    assert len(sandbox.state.jobs) == before + 1


async def test_a_user_sees_the_users_own_data(mine: CoachingClient, sandbox: Sandbox):
    appointments = await mine.appointments.list_mine().collect()
    notifications = await mine.notifications.list(expand_appointment=True).collect()

    assert appointments
    assert all(ME in str(appointment) for appointment in appointments)
    assert notifications
    assert {notification.user.id for notification in notifications if notification.user} == {ME}
    assert any(isinstance(notification.appointment, Appointment) for notification in notifications)
    one = notifications[0].id
    assert (await mine.notifications.mark_read(one)).marked_as_read is True
    assert (await mine.notifications.get(one)).marked_as_read is True
    assert (await mine.notifications.mark_read(one, read=False)).marked_as_read is False


async def test_a_forbidden_call_names_the_missing_permission(
    client: CoachingClient, mine: CoachingClient, sandbox: Sandbox
):
    with pytest.raises(BadRequest, match="needs a user's token"):
        await client.notifications.list().first()
    with pytest.raises(Forbidden, match="coaching:appointment:view"):
        await mine.appointments.list(sandbox.state.user_ids[1]).first()
    with pytest.raises(Forbidden, match="coaching:scheduleSlot:view"):
        await mine.schedule_slots.query(interval=MONDAY, length_in_minutes=30, attendee_ids=ME)
    with pytest.raises(NotFound):
        await client.appointments.get("no/such?id#é ..")


async def test_a_wrong_secret_is_an_auth_error(sandbox: Sandbox):
    async with CoachingClient(ClientCredentials(CLIENT_ID, "wrong"), base_url=sandbox.base_url) as client:
        with pytest.raises(AuthError, match="400 invalid_client") as caught:
            await client.appointments.get("1")

    assert caught.value.code == "invalid_client"
    assert "wrong" not in str(caught.value)


async def test_revoked_tokens_are_replaced_without_an_error(client: CoachingClient, sandbox: Sandbox):
    one = next(iter(sandbox.state.appointments))
    await client.appointments.get(one)
    sandbox.oauth.revoke_all()

    await client.appointments.get(one)

    assert client.stats().tokens == 2
    assert client.stats().failed_calls == 0


async def test_a_create_with_a_lost_response_creates_once(client: CoachingClient, sandbox: Sandbox):
    before = len(sandbox.state.appointments)
    sandbox.faults.add(Fault("drop_after", "POST", "appointments$"))

    with pytest.raises(OutcomeUnknown) as caught:
        await client.appointments.create(new(sandbox))

    assert caught.value.processed == "maybe"
    assert len(sandbox.state.appointments) == before + 1


async def test_a_create_with_a_truncated_response_creates_once(client: CoachingClient, sandbox: Sandbox):
    before = len(sandbox.state.appointments)
    sandbox.faults.add(Fault("half_body", "POST", "appointments$"))

    with pytest.raises(OutcomeUnknown) as caught:
        await client.appointments.create(new(sandbox))

    assert caught.value.processed == "yes"
    assert len(sandbox.state.appointments) == before + 1


async def test_a_create_that_fails_on_a_gateway_creates_at_most_once(client: CoachingClient, sandbox: Sandbox):
    before = len(sandbox.state.appointments)
    sandbox.faults.add(Fault("status", "POST", "appointments$", status=503, retry_after=0))

    with pytest.raises(Exception, match="503"):
        await client.appointments.create(new(sandbox))

    assert len(sandbox.state.appointments) == before


@pytest.mark.parametrize("kind", ["drop_before", "drop_after", "half_body"])
async def test_a_read_survives_network_faults(kind: str, client: CoachingClient, sandbox: Sandbox):
    sandbox.faults.add(Fault(kind, "GET", "appointments/", times=2))  # type: ignore[arg-type]
    one = next(iter(sandbox.state.appointments))

    assert (await client.appointments.get(one)).id == one

    assert client.stats().retries == 2


async def test_a_delete_with_a_lost_response_succeeds(client: CoachingClient, sandbox: Sandbox):
    created = await client.appointments.create(new(sandbox))
    sandbox.faults.add(Fault("drop_after", "DELETE", "appointments/"))

    assert (await client.appointments.delete(created.id)).id == created.id

    assert created.id not in sandbox.state.appointments


async def test_an_accepted_appointment_is_returned_whole(client: CoachingClient, sandbox: Sandbox):
    sandbox.faults.add(Fault("accepted", "POST", "appointments$", delay=0.3))

    created = await client.appointments.create(new(sandbox))

    assert created.name == "Call opening"
    assert created == from_dict(Appointment, sandbox.state.shown(sandbox.state.appointments[created.id]))


async def test_a_call_to_a_silent_service_ends_at_its_deadline(sandbox: Sandbox):
    sandbox.faults.add(Fault("stall", "GET", "appointments/"))
    auth = ClientCredentials(CLIENT_ID, CLIENT_SECRET)
    async with CoachingClient(auth, base_url=sandbox.base_url) as client:
        await client.warmup()
        with pytest.raises(TimeoutError, match=r"no answer within 0.5 s; nothing was changed"):
            await client.with_options(timeout=0.5).appointments.get("1")


async def test_a_rate_limit_is_obeyed_and_nothing_is_lost():
    """The clock of the sandbox's rate limit advances only by the waits of the client."""
    waits: list[float] = []

    def told(event: object) -> None:
        if isinstance(event, RetryScheduled):
            waits.append(event.wait)

    with Sandbox(appointments=60, users=4, rate_limit=3, rate_window=1.0, page_cap=10) as sandbox:
        sandbox._service.rate_limit.now = lambda: sum(waits)
        auth = ClientCredentials(CLIENT_ID, CLIENT_SECRET)
        async with CoachingClient(auth, base_url=sandbox.base_url, on_event=told) as client:
            found = await client.appointments.list(sandbox.state.user_ids).collect()
            hasty = RetryPolicy(throttle_waits=0)
            async with CoachingClient(auth, base_url=sandbox.base_url, retry=hasty) as impatient:
                with pytest.raises(RateLimited) as caught:
                    await impatient.appointments.list(sandbox.state.user_ids).collect()

    assert {appointment.id for appointment in found} == set(sandbox.state.appointments)
    assert client.stats().throttled >= 1
    assert caught.value.retry_after == 1
    assert caught.value.status == 429
