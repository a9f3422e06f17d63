"""The service's clock: how it follows from the `Date` of answers, and what `find_created` finds by it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from zoneinfo import ZoneInfo

import httpx
import pytest

from coaching_async import CoachingClient, CoachingError
from coaching_async._api.service_clock import ServiceClock
from tests.faults.support import NEW
from tests.support.doubles import Service, answer, page

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
HALF = timedelta(seconds=0.5)
MINUTE = timedelta(minutes=1)


def observed(*pairs: tuple[datetime, datetime]) -> ServiceClock:
    clock = ServiceClock()
    for service_time, received_at in pairs:
        clock.observe(service_time, received_at)
    return clock


def test_without_an_observation_the_clocks_are_taken_as_equal():
    assert observed().to_service_time(NOON) == NOON


@pytest.mark.parametrize("minutes", [-100_000, -10, -1, 0, 1, 10, 100_000])
def test_the_difference_that_was_observed_is_added(minutes: int):
    clock = observed((NOON + minutes * MINUTE, NOON))

    assert clock.to_service_time(NOON) == NOON + minutes * MINUTE + HALF


def test_a_time_in_a_zone_with_summer_time_is_converted_exactly():
    before_the_change = datetime(2026, 10, 25, 3, 5, tzinfo=ZoneInfo("Europe/Berlin"), fold=0)

    found = observed((NOON - 10 * MINUTE, NOON)).to_service_time(before_the_change)

    assert found == before_the_change.astimezone(UTC) - 10 * MINUTE + HALF


def test_if_this_machines_clock_was_set_the_difference_of_that_time_counts():
    ahead = 10 * MINUTE
    clock = observed((NOON, NOON + ahead), (NOON + MINUTE, NOON + MINUTE), (NOON + 2 * MINUTE, NOON + 2 * MINUTE))

    assert clock.to_service_time(NOON + ahead - timedelta(seconds=2)) == NOON - timedelta(seconds=2) + HALF
    assert clock.to_service_time(NOON + MINUTE) == NOON + MINUTE + HALF


def test_a_time_that_was_shown_twice_is_the_earlier_one():
    clock = observed(
        (NOON, NOON + 10 * MINUTE), (NOON + MINUTE, NOON + MINUTE), (NOON + 20 * MINUTE, NOON + 20 * MINUTE)
    )

    assert clock.to_service_time(NOON + 10 * MINUTE) == NOON + HALF


def test_latency_makes_no_new_observation():
    clock = observed((NOON, NOON), (NOON + MINUTE, NOON + MINUTE + timedelta(seconds=4)))

    assert clock.to_service_time(NOON + MINUTE) == NOON + MINUTE + HALF


def test_a_date_that_is_nonsense_is_ignored():
    assert observed((datetime(1, 1, 1, tzinfo=UTC), NOON)).to_service_time(NOON) == NOON


# In a client


class Org:
    """A service whose clock differs from this machine's, and which has carried a create out whose answer got lost."""

    def __init__(self, behind: timedelta, *, dates: bool = True, lost: Callable[[], httpx.Response]) -> None:
        self.behind, self.dates, self.lost = behind, dates, lost
        self.created: list[datetime] = []

    def now(self) -> datetime:
        return datetime.now(UTC) - self.behind

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            self.created.append(self.now())
            response = self.lost()
        else:
            body = {
                "name": NEW.name,
                "dateStart": NEW.date_start.isoformat(),
                "lengthInMinutes": NEW.length_in_minutes,
                "attendees": [{"id": id_} for id_ in NEW.attendee_ids],
            }
            rows = [body | {"id": str(n), "dateCreated": made.isoformat()} for n, made in enumerate(self.created)]
            response = answer(page() | {"entities": rows})
        if self.dates:
            response.headers["Date"] = format_datetime(self.now().replace(microsecond=0), usegmt=True)
        return response


async def created_and_found(client: CoachingClient) -> int:
    since = datetime.now(UTC)
    with pytest.raises(CoachingError) as caught:
        await client.appointments.create(NEW)
    assert caught.value.processed != "no"
    return len(await client.appointments.find_created(NEW, since=since))


@pytest.mark.anyio
@pytest.mark.parametrize("lost", [lambda: httpx.Response(502), lambda: answer(status=503), lambda: answer(["no"], 201)])
@pytest.mark.parametrize("behind", [-86400.0, -600, -90, 0, 90, 600, 86400])
async def test_find_created_finds_it_whatever_this_machines_clock_shows(
    behind: float, lost: Callable[[], httpx.Response]
):
    service = Service(Org(timedelta(seconds=behind), lost=lost))

    async with service.http, service.client() as client:
        assert await created_and_found(client) == 1


@pytest.mark.anyio
@pytest.mark.parametrize("behind", [-86400.0, -600, 0, 600, 86400])
async def test_find_created_does_not_find_an_equal_one_of_minutes_before(behind: float):
    org = Org(timedelta(seconds=behind), lost=lambda: httpx.Response(502))
    org.created.append(org.now() - timedelta(minutes=3))
    service = Service(org)

    async with service.http, service.client() as client:
        assert await created_and_found(client) == 1


@pytest.mark.anyio
async def test_the_date_of_a_gateway_is_not_the_services():
    portal = httpx.Response(201, html="<html>", headers={"Date": "Thu, 01 Jan 1970 00:00:00 GMT"})
    org = Org(timedelta(0), dates=False, lost=lambda: portal)
    org.created.append(org.now() - timedelta(minutes=3))
    service = Service(org)

    async with service.http, service.client() as client:
        assert await created_and_found(client) == 1
