"""Columns of a plan: their names, and the values of their cells. No I/O."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any, Final, TypeAlias

import attrs

from coaching_async._refusals.suggestions import suggestion
from coaching_async.cli._user_ids import without_invisible

__all__ = ["COLUMNS", "REQUIRED", "Column", "advice_on", "column_of", "parse_start", "parse_time"]

Parse: TypeAlias = Callable[[str, tzinfo | None], Any]
"""Returns the value of a cell that is not empty. The zone is that of times without one. Raises `ValueError`."""


def parse_start(text: str, zone: tzinfo | None) -> datetime:
    """Return the start of an appointment. Raises `ValueError` for what `parse_time` refuses, and for seconds."""
    moment = parse_time(text, zone)
    if not 2000 <= moment.year < 3000:
        raise ValueError(f"{_quoted(text)} has the year {moment.year}")
    if moment.second or moment.microsecond:
        raise ValueError(f"{_quoted(text)} has seconds, which the service drops: write minutes")
    return moment


def parse_time(text: str, zone: tzinfo | None) -> datetime:
    """Return a time. Raises `ValueError` for one that is ambiguous, or that no clock shows."""
    if match := DOTTED.fullmatch(text):
        day, month, year, hour, minute, second = match.groups(default="0")
        text = f"{year}-{month:0>2}-{day:0>2} {hour:0>2}:{minute}:{second:0>2}"
    if not TIMESTAMP.match(text):
        raise ValueError(f"{_quoted(text)} is no time: write it like 2027-01-11 14:30 or 2027-01-11T14:30+01:00")
    try:
        moment = datetime.fromisoformat(text.upper())
    except ValueError:
        raise ValueError(f"the calendar or the clock has no {_quoted(text)}") from None
    if moment.tzinfo is not None:
        return moment
    if zone is None:
        raise ValueError(f"{_quoted(text)} has no time zone: add one, like +01:00 or Z, or give --timezone")
    return _in_zone(moment, zone)


TIMESTAMP: Final = re.compile(r"\d{4}-?(\d\d-?\d\d|W\d\d-?\d)[T ]\d\d", re.ASCII | re.IGNORECASE)
"""The beginning of a time in ISO 8601. A day alone is no start."""


DOTTED: Final = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4}) +(\d{1,2}):(\d\d)(?::(\d\d))?", re.ASCII)
"""A time as spreadsheets write it where days stand before months, and dots between them."""


def _quoted(text: str) -> str:
    return ascii(text if len(text) <= 50 else f"{text[:49]}…")


def _in_zone(moment: datetime, zone: tzinfo) -> datetime:
    early, late = (moment.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if early.utcoffset() == late.utcoffset():
        return early
    if early.astimezone(UTC).astimezone(zone).replace(tzinfo=None, fold=0) == moment:
        both = f"{early.isoformat(timespec='minutes')} or {late.isoformat(timespec='minutes')}"
        raise ValueError(
            f"{moment:%Y-%m-%d %H:%M} happens twice in {zone}, because clocks are turned back: write {both}"
        )
    raise ValueError(f"{moment:%Y-%m-%d %H:%M} does not exist in {zone}, because clocks are turned forward")


def _text(text: str, _: object) -> str:
    return text


def _minutes(text: str, _: object) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or not int(text):
        raise ValueError(f"{_quoted(text)} is no number of minutes, such as 30")
    return int(text)


def _yes_or_no(text: str, _: object) -> bool:
    if text.lower() not in YES_OR_NO:
        raise ValueError(f"{_quoted(text)} is neither yes nor no")
    return YES_OR_NO[text.lower()]


YES_OR_NO: Final = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


def _entries(text: str, _: object) -> tuple[str, ...]:
    """Return the entries of a cell: ids, addresses or links. Characters that are not printable separate them, too."""
    entries = dict.fromkeys(entry for entry in re.split(r"[\s,;|]+", without_invisible(text)) if entry)
    if not entries:
        raise ValueError("there are separators, and nothing between them")
    return tuple(entries)


def _entry(text: str, zone: tzinfo | None) -> tuple[str, ...]:
    entries = _entries(text, zone)
    if len(entries) > 1:
        raise ValueError(f"there are {len(entries)} entries, and one is allowed")
    return entries


@attrs.frozen
class Column:
    """A column, and the field of an `AppointmentCreate` that it fills."""

    name: str
    field: str
    parse: Parse
    names_people: bool = False
    """Whether its entries are ids or e-mail addresses of users."""


COLUMNS: Final[Mapping[str, Column]] = {
    column.name: column
    for column in (
        Column("name", "name", _text),
        Column("description", "description", _text),
        Column("start", "date_start", parse_start),
        Column("length", "length_in_minutes", _minutes),
        Column("attendees", "attendee_ids", _entries, names_people=True),
        Column("facilitator", "facilitator_id", _entry, names_people=True),
        Column("location", "location", _text),
        Column("external_links", "external_links", _entries),
        Column("conversation_ids", "conversation_ids", _entries),
        Column("document_ids", "document_ids", _entries),
        Column("share_insights_data", "share_insights_data", _yes_or_no),
        Column("add_to_schedule", "add_to_schedule", _yes_or_no),
    )
}


REQUIRED: Final = ("name", "description", "start", "length", "attendees")
"""Columns that every row fills, because the API requires their fields."""


def column_of(title: str) -> Column | None:
    """Return the column with this title: its name, or that of its field, in any case, with blanks or hyphens for underscores."""
    name = re.sub(r"[\s_-]+", "_", title.strip().casefold())
    return COLUMNS.get(name) or next((column for column in COLUMNS.values() if column.field == name), None)


def advice_on(title: str) -> str:
    """Return a hint for a title that is no column's."""
    return suggestion(title, COLUMNS) or f"the columns are {', '.join(COLUMNS)}"
