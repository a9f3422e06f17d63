"""A hand-written client for appointments only: frozen attrs classes, filled field by field."""

import asyncio
from collections.abc import Callable
from datetime import date, datetime
from enum import Enum
from typing import Any, TypeAlias

import attrs

from benchmarks.service import Service

__all__ = ["Appointment", "AppointmentPage", "page", "read"]

Json: TypeAlias = dict[str, Any]


class Status(Enum):
    """The four known statuses."""

    SCHEDULED = "Scheduled"
    IN_PROGRESS = "InProgress"
    COMPLETED = "Completed"
    INVALID_SCHEDULE = "InvalidSchedule"


@attrs.frozen(kw_only=True)
class Reference:
    """A reference to a resource."""

    id: str
    self_uri: str | None = None


@attrs.frozen(kw_only=True)
class Schedule:
    """A schedule of workforce management."""

    id: str
    business_unit: Reference | None = None
    week_date: date | None = None
    self_uri: str | None = None


@attrs.frozen(kw_only=True)
class Appointment:
    """A coaching appointment."""

    id: str
    name: str | None = None
    description: str | None = None
    date_start: datetime | None = None
    length_in_minutes: int | None = None
    status: Status | None = None
    facilitator: Reference | None = None
    attendees: tuple[Reference, ...] = ()
    created_by: Reference | None = None
    date_created: datetime | None = None
    modified_by: Reference | None = None
    date_modified: datetime | None = None
    conversations: tuple[Reference, ...] = ()
    documents: tuple[Reference, ...] = ()
    is_overdue: bool | None = None
    wfm_schedule: Schedule | None = None
    date_completed: datetime | None = None
    external_links: tuple[str, ...] = ()
    location: str | None = None
    share_insights_data: bool | None = None
    self_uri: str | None = None


@attrs.frozen(kw_only=True)
class AppointmentPage:
    """One page of a list."""

    entities: tuple[Appointment, ...]
    page_number: int | None = None
    page_size: int | None = None
    page_count: int | None = None
    total: int | None = None


async def read(
    http: Any,
    service: Service,
    pages: int,
    size: int,
    workers: int,
    take: Callable[[int, tuple[Appointment, ...]], None],
) -> None:
    """Read pages, and pass each to `take` as it arrives. There are no retries, deadlines or rate limits."""
    numbers = iter(range(1, pages + 1))

    async def work() -> None:
        for number in numbers:
            response = await http.get(
                f"{service.url}/api/v2/coaching/appointments",
                params={"userIds": service.user_ids, "pageSize": size, "pageNumber": number},
                headers={"Authorization": f"Bearer {service.token}"},
            )
            response.raise_for_status()
            take(number, page(response.json()).entities)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(workers):
            tasks.create_task(work())


def page(wire: Json) -> AppointmentPage:
    """Return a page from its JSON."""
    return AppointmentPage(
        entities=tuple([appointment(entity) for entity in wire["entities"]]),
        page_number=wire.get("pageNumber"),
        page_size=wire.get("pageSize"),
        page_count=wire.get("pageCount"),
        total=wire.get("total"),
    )


def appointment(wire: Json) -> Appointment:
    """Return an appointment from its JSON."""
    get = wire.get
    return Appointment(
        id=wire["id"],
        name=get("name"),
        description=get("description"),
        date_start=moment(get("dateStart")),
        length_in_minutes=get("lengthInMinutes"),
        status=Status(wire["status"]) if "status" in wire else None,
        facilitator=reference(get("facilitator")),
        attendees=references(get("attendees")),
        created_by=reference(get("createdBy")),
        date_created=moment(get("dateCreated")),
        modified_by=reference(get("modifiedBy")),
        date_modified=moment(get("dateModified")),
        conversations=references(get("conversations")),
        documents=references(get("documents")),
        is_overdue=get("isOverdue"),
        wfm_schedule=schedule(get("wfmSchedule")),
        date_completed=moment(get("dateCompleted")),
        external_links=tuple(get("externalLinks") or ()),
        location=get("location"),
        share_insights_data=get("shareInsightsData"),
        self_uri=get("selfUri"),
    )


def moment(wire: str | None) -> datetime | None:
    """Return a time, or None."""
    return None if wire is None else datetime.fromisoformat(wire)


def reference(wire: Json | None) -> Reference | None:
    """Return a reference, or None."""
    return None if wire is None else Reference(id=wire["id"], self_uri=wire.get("selfUri"))


def references(wire: list[Json] | None) -> tuple[Reference, ...]:
    """Return the references of a list."""
    return tuple([Reference(id=each["id"], self_uri=each.get("selfUri")) for each in wire or ()])


def schedule(wire: Json | None) -> Schedule | None:
    """Return a schedule, or None."""
    if wire is None:
        return None
    week = wire.get("weekDate")
    return Schedule(
        id=wire["id"],
        business_unit=reference(wire.get("businessUnit")),
        week_date=None if week is None else date.fromisoformat(week),
        self_uri=wire.get("selfUri"),
    )
