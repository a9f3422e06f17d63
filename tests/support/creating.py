"""A double of the service that creates and lists appointments, with faults of the creates."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import httpx

from coaching_async import AppointmentCreate, CoachingClient, RateLimit, RetryPolicy
from tests.support.doubles import Service, answer

START = datetime(2027, 1, 11, 9, tzinfo=UTC)


def body(name: str = "n", **fields: Any) -> AppointmentCreate:
    given = {"description": "d", "date_start": START, "length_in_minutes": 30, "attendee_ids": ["u"]}
    return AppointmentCreate(name=name, **given | fields)


class Creating(Service):
    """Serves creates, each with the next of `faults`, and lists.

    The faults are: "cut after" and "503 after" the work, "cut before" and "503 before" it, "later" (202, and created when a
    list is read for the `lag`-th time), "429", "403", and None.
    """

    def __init__(self, faults: Iterable[str | None] = (), lag: int = 1) -> None:
        super().__init__(self._serve)
        self.faults = list(faults)
        self.lag = lag
        self.appointments: list[dict[str, Any]] = []
        self.waiting: list[dict[str, Any]] = []
        self.lists: list[httpx.QueryParams] = []
        self.list_answer: Callable[[], httpx.Response] | None = None

    def client(self, auth: Any = None, **options: Any) -> CoachingClient:
        given = {"retry": RetryPolicy(attempts=1), "rate_limit": RateLimit(1_000_000), "timeout": 5.0}
        return super().client(auth, **given | options)

    @property
    def names(self) -> Counter[str]:
        """How many appointments of each name there are, or will be."""
        return Counter(each["name"] for each in [*self.appointments, *self.waiting])

    def posts(self) -> int:
        return sum(request.method == "POST" for request in self.requests)

    def _serve(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return self._create(json.loads(request.content))
        if request.url.path.endswith("/appointments"):
            return self._list(request.url.params)
        id_ = request.url.path.rpartition("/")[2]
        found = [each for each in self.appointments if each["id"] == id_]
        return answer(found[0]) if found else answer(None, 404)

    def _create(self, sent: dict[str, Any]) -> httpx.Response:
        fault = self.faults.pop(0) if self.faults else None
        match fault:
            case "cut before":
                raise httpx.ReadError("cut")
            case "503 before":
                return answer(None, 503)
            case "429":
                return answer(None, 429, Retry_After="600")
            case "403":
                return answer(None, 403)
            case _:
                created = self.add(sent, (self.appointments, self.waiting)[fault == "later"])
        match fault:
            case "cut after":
                raise httpx.ReadError("cut")
            case "503 after":
                return answer(None, 503)
            case "later":
                return answer({"id": created["id"]}, 202)
            case _:
                return answer(created, 201)

    def add(self, sent: dict[str, Any], to: list[dict[str, Any]] | None = None) -> dict[str, Any]:
        """Add the appointment of a request's body."""
        created = {
            "id": f"a{len(self.appointments) + len(self.waiting)}",
            "name": sent["name"],
            "description": sent["description"],
            "dateStart": sent["dateStart"],
            "lengthInMinutes": sent["lengthInMinutes"],
            "attendees": [{"id": id_} for id_ in sent["attendeeIds"]],
            "dateCreated": datetime.now(UTC).isoformat(),
        }
        (self.appointments if to is None else to).append(created)
        return created

    def _list(self, query: httpx.QueryParams) -> httpx.Response:
        self.lists.append(query)
        if self.list_answer is not None:
            return self.list_answer()
        if len(self.lists) >= self.lag:
            self.appointments += self.waiting
            self.waiting = []
        start, end = map(datetime.fromisoformat, query["interval"].split("/"))
        users = set(query.get_list("userIds"))
        found = [
            each
            for each in self.appointments
            if users & {attendee["id"] for attendee in each["attendees"]}
            and start <= datetime.fromisoformat(each["dateStart"]) < end
        ]
        return answer({"entities": found, "pageNumber": 1, "pageCount": 1, "total": len(found), "pageSize": 100})


LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


async def elapsed_of(run: Any) -> float:
    started = anyio.current_time()
    await run
    return anyio.current_time() - started


def days(count: int) -> list[AppointmentCreate]:
    """Return one body for each of some days."""
    return [body(f"n{number}", date_start=START + timedelta(days=number)) for number in range(count)]
