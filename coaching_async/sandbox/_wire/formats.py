"""JSON as it travels: moments and pointers to other resources."""

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeAlias
from urllib.parse import quote

JsonObject: TypeAlias = dict[str, Any]
Interval: TypeAlias = tuple[datetime, datetime]

COACHING = "/api/v2/coaching"
APPOINTMENTS = f"{COACHING}/appointments"
NOTIFICATIONS = f"{COACHING}/notifications"
SLOTS = f"{COACHING}/scheduleslots"
JOBS = f"{SLOTS}/jobs"

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?", re.ASCII)


def timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@lru_cache(maxsize=2**16)  # lists filter by the same moments again and again
def moment(text: str) -> datetime:
    """Read what `timestamp` writes, other offsets and fractions too; without an offset it is UTC."""
    if not _MOMENT.fullmatch(text):
        raise ValueError(f"not a date-time: {text!r}")
    read = datetime.fromisoformat(text)
    try:
        return read.astimezone(UTC) if read.tzinfo else read.replace(tzinfo=UTC)
    except OverflowError as error:
        raise ValueError(f"out of range: {text!r}") from error


def interval(text: str) -> Interval:
    """Read two moments with a slash between them; they may be the same."""
    start, _, end = text.partition("/")
    read = moment(start), moment(end)
    if read[1] < read[0]:
        raise ValueError(f"it ends before it starts: {text!r}")
    return read


def span(within: Interval) -> str:
    return "/".join(map(timestamp, within))


def has_offset(text: str) -> bool:
    return bool((match := _MOMENT.fullmatch(text)) and match[2])


def pointer(collection: str, entity_id: str) -> JsonObject:
    # A JSON string may hold lone surrogates, which UTF-8 refuses.
    return {"id": entity_id, "selfUri": f"{collection}/{quote(entity_id, safe='', errors='replace')}"}


# The same pointers stand in appointments, histories and notifications: one object for all saves a third of the memory.
@lru_cache(maxsize=2**12)
def user_pointer(user_id: str) -> JsonObject:
    return pointer("/api/v2/users", user_id)


def conversation_pointer(conversation_id: str) -> JsonObject:
    return pointer("/api/v2/conversations", conversation_id)


def document_pointer(document_id: str) -> JsonObject:
    return pointer("/api/v2/contentmanagement/documents", document_id)


@lru_cache(maxsize=2**12)
def appointment_pointer(appointment_id: str) -> JsonObject:
    return pointer(APPOINTMENTS, appointment_id)


def schedule_pointer(schedule_id: str, business_unit_id: str, week: str) -> JsonObject:
    unit = pointer("/api/v2/workforcemanagement/businessunits", business_unit_id)
    schedule = pointer(f"{unit['selfUri']}/weeks/{week}/schedules", schedule_id)
    return {"id": schedule_id, "businessUnit": unit, "weekDate": week, "selfUri": schedule["selfUri"]}
