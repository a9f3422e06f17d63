"""Notifications and events as lines: JSON, or the rows of a table."""

import json
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

from coaching_async import ChannelEvent, Gap, Notification, to_dict
from coaching_async.cli._failures import visible

__all__ = ["FORMS", "HEADER", "Form", "Item", "line_of"]

Item: TypeAlias = Notification | ChannelEvent[Any] | Gap
Form: TypeAlias = Literal["table", "jsonl"]

FORMS: Final[tuple[Form, ...]] = ("table", "jsonl")

ROW: Final = "{came:8}  {action:17}  {start:16}  {minutes:>7}  {name}"

HEADER: Final = ROW.format(came="came", action="action", start="start", minutes="minutes", name="name")


def line_of(item: Item, form: Form) -> str:
    """Return an item as a line."""
    if form == "jsonl":
        # A gap is a line of its own, so that a program that reads the lines cannot overlook it.
        data = {"gap": to_dict(item)} if isinstance(item, Gap) else to_dict(item)
        return json.dumps(data, ensure_ascii=False)
    match item:
        case Notification():
            start = "" if item.date_start is None else f"{item.date_start.astimezone():%Y-%m-%d %H:%M}"
            row = ROW.format(
                came=_now(),
                action=item.action_type or "",
                start=start,
                minutes=item.length_in_minutes or "",
                name=item.name or "",
            )
        case Gap():
            row = f"{_now()}  events may be missing here: {item.reason}, {item.seconds:.1f} s"
        case ChannelEvent():
            body = to_dict(item).get("eventBody")
            row = f"{_now()}  {item.topic_name}  {json.dumps(body, ensure_ascii=False)}"
    return visible(row.rstrip())


def _now() -> str:
    return f"{datetime.now():%H:%M:%S}"  # noqa: DTZ005 # of the person who reads it
