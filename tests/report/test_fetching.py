"""Fetching a report: its requests, and what is refused before one is sent."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from coaching_async import ConfigurationError, Interval
from coaching_async.report import Report, report
from tests.support.doubles import Service, answer

pytestmark = pytest.mark.anyio

TEAM = [str(UUID(int=number)) for number in range(20)]
LEAD, GUEST = str(UUID(int=100)), str(UUID(int=101))
NOVEMBER = Interval.month(2026, 11)


class Org:
    """A service with appointments and names."""

    def __init__(self, count: int = 0, **row: Any) -> None:
        self.service = Service(self._answer)
        self.rows = [
            {
                "id": f"a{number}",
                "dateStart": (datetime(2026, 11, 1, tzinfo=UTC) + timedelta(hours=2 * number)).isoformat(),
                "lengthInMinutes": 30,
                "status": "Completed",
                "facilitator": {"id": LEAD},
                "attendees": [{"id": TEAM[number % 20]}, {"id": GUEST}],
                "isOverdue": False,
            }
            | row
            for number in range(count)
        ]
        self.queries: list[httpx.QueryParams] = []
        self.asked: list[list[str]] = []

    def _answer(self, request: httpx.Request) -> httpx.Response:
        query = request.url.params
        if request.url.path.endswith("/users"):
            self.asked.append(query.get_list("id"))
            rows: list[dict[str, Any]] = [{"id": id_, "name": f"Name of {id_[-2:]}"} for id_ in query.get_list("id")]
        else:
            self.queries.append(query)
            is_next = query["interval"] != "2026-11-01T00:00:00.000Z/2026-12-01T00:00:00.000Z"
            soon = (datetime.now(UTC) + timedelta(days=1)).isoformat()
            rows = self.rows if not is_next else [{"id": "next", "dateStart": soon, "attendees": [{"id": TEAM[0]}]}]
        number, size = int(query.get("pageNumber", 1)), int(query.get("pageSize", 25))
        counts = {"pageNumber": number, "pageSize": size, "pageCount": -(-len(rows) // size), "total": len(rows)}
        return answer({"entities": rows[(number - 1) * size : number * size], **counts})

    async def report(self, *people: str, **options: Any) -> Report:
        async with self.service.client() as client:
            return await report(client, people or TEAM, interval=NOVEMBER, **options)


async def test_a_month_of_a_team_of_twenty_takes_five_requests():
    org = Org(count=160)

    made = await org.report()

    assert len(org.service.requests) == 5  # names, two pages of appointments, the next ones, the facilitator's name
    assert made.figures.counts.completed == 160
    assert org.asked == [TEAM, [LEAD]]
    assert made.names[LEAD] == "Name of 64"
    in_month, _, upcoming = org.queries
    assert in_month["intervalCondition"] == upcoming["intervalCondition"] == "StartsIn"
    assert in_month.get_list("relationships") == ["Attendee", "Facilitator"]
    assert (upcoming["statuses"], upcoming["sortOrder"]) == ("Scheduled", "Asc")


async def test_people_of_the_overdue_appointments_are_named_too():
    made = await Org(count=1, status="Scheduled", isOverdue=True).report(TEAM[0])

    assert made.names.keys() == {TEAM[0], LEAD, GUEST}
    assert "Name of 65" in made.html()


async def test_the_next_appointment_is_found_beyond_the_interval():
    made = await Org().report(*TEAM[:2])

    first, second = made.figures.people
    assert first.next_start is not None
    assert second.next_start is None


async def test_rows_that_cannot_be_read_are_counted_and_not_in_the_figures():
    org = Org(count=3)
    org.rows[1]["dateStart"] = "one day"

    made = await org.report()

    assert (made.figures.counts.total, made.rows_left_out, made.left_out[0].id) == (2, 1, "a1")
    assert "1 appointment could not be read, and is in none of the figures." in made.html()


@pytest.mark.parametrize(
    "people, interval",
    [
        (TEAM, "2026-11"),
        ([], NOVEMBER),
        ([TEAM[0], " "], NOVEMBER),
        ([3], NOVEMBER),
        (TEAM, Interval.parse("2020-01-01/2026-01-01")),
        (TEAM, (datetime(2026, 11, 1), datetime(2026, 12, 1, tzinfo=UTC))),  # noqa: DTZ001 # it is refused
    ],
)
async def test_invalid_arguments_are_refused_before_a_request_is_sent(people: Any, interval: Any):
    org = Org()
    async with org.service.client() as client:
        with pytest.raises((ValueError, TypeError)):
            await report(client, people, interval=interval)

    assert org.service.requests == []


@pytest.mark.parametrize("tz", [None, "Europe/Berlin"])
async def test_a_time_zone_is_no_text(tz: Any):
    org = Org()

    with pytest.raises(TypeError, match="tz is a tzinfo"):
        await org.report(tz=tz)

    assert org.service.requests == []


async def test_a_missing_library_is_refused_before_a_request_is_sent(monkeypatch: pytest.MonkeyPatch):
    org = Org()
    monkeypatch.setattr("coaching_async.report._fetching.find_spec", lambda name: None if name == "jinja2" else name)

    with pytest.raises(ConfigurationError, match=r"needs jinja2: install .* pip install 'coaching_async\[report\]'"):
        await org.report()

    assert org.service.requests == []
