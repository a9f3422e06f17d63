"""The whole state as one JSON file, and back."""

import json
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from coaching_async.sandbox._wire.formats import JsonObject, moment

from .state import State

FORMAT = "coaching_async.sandbox/1"
_LATER = frozenset({"jobs"})  # what files do not have that were saved before there was any


def save(state: State, path: Path) -> None:
    """Whoever reads the file finds the old one or the new one, whole."""
    with state.lock:
        text = json.dumps({"format": FORMAT, "user_ids": state.user_ids, **state.tables()}, separators=(",", ":"))
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        beside.write_text(f"{text}\n", encoding="ascii")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def load(path: Path, clock: Callable[[], datetime]) -> State:
    try:
        return _state(path.read_bytes(), clock)
    except ValueError as error:
        raise ValueError(f"{path} is no state that a sandbox has saved: {error}") from error


def _state(raw: bytes, clock: Callable[[], datetime]) -> State:
    try:
        saved: Any = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ValueError("it is not JSON") from error
    match saved:
        case {"format": str(found)} if found != FORMAT:
            raise ValueError(f"its format is {found!r}, not {FORMAT!r}")
        case {"format": str(), "user_ids": [str(), *_] as user_ids} if _all(
            user_ids, lambda each: isinstance(each, str)
        ):
            # Other ids than those which a seed gives: their first ones are taken by what was saved.
            state = State(tuple(user_ids), clock, lambda: str(uuid.uuid4()))
        case _:
            raise ValueError("it does not say its format and its users")
    for name, table in state.tables().items():
        rows = saved.get(name, {} if name in _LATER else None)
        if not isinstance(rows, dict):
            raise ValueError(f"{name} are missing")  # noqa: TRY004 - it is about what came, not about a program
        for row_id, row in cast("JsonObject", rows).items():
            if not _CHECKS[name](row_id, row):
                raise ValueError(f"the row {row_id!r} of {name} is damaged")
            table[row_id] = row
    return state


def _all(values: Iterable[Any], check: Callable[[Any], bool]) -> bool:
    return all(map(check, values))


def _is_user(value: Any) -> bool:
    match value:
        case {"id": str()}:
            return True
        case _:
            return False


def _is_moment(value: Any) -> bool:
    try:
        return bool(moment(value))
    except (TypeError, ValueError):
        return False


def _is_appointment(row_id: str, row: Any) -> bool:
    match row:
        case {
            "id": named,
            "name": str(),
            "dateStart": start,
            "lengthInMinutes": int() as length,
            "status": str(),
            "attendees": [*attendees],
            "selfUri": str(),
        }:
            people = [
                *attendees,
                *(row[name] for name in ("facilitator", "createdBy") if name in row),
            ]
            dates = (start, row.get("dateCompleted", start))
            return named == row_id and 0 < length < 2**31 and _all(people, _is_user) and _all(dates, _is_moment)
        case _:
            return False


def _is_history(_: str, row: Any) -> bool:
    match row:
        case [*lines]:
            return _all(lines, lambda line: isinstance(line, dict) and "status" in line)
        case _:
            return False


def _is_annotation(row_id: str, row: Any) -> bool:
    match row:
        case {"id": named, "text": str(), "accessType": str(), "selfUri": str()}:
            return bool(named == row_id)
        case _:
            return False


def _are_annotations(_: str, row: Any) -> bool:
    return isinstance(row, dict) and all(_is_annotation(*each) for each in cast("JsonObject", row).items())


def _is_notification(row_id: str, row: Any) -> bool:
    match row:
        case {"id": named, "user": {"id": str()}, "appointment": {"id": str()}, "markedAsRead": bool()}:
            return bool(named == row_id)
        case _:
            return False


def _is_job(row_id: str, row: Any) -> bool:
    match row:
        case {"id": named, "results": [*results], "reads": int() as reads}:
            return named == row_id and reads >= 0 and _all(results, _is_result)
        case _:
            return False


def _is_result(result: Any) -> bool:
    match result:
        case {"interval": str(), "status": str()}:
            return True
        case _:
            return False


_CHECKS: Mapping[str, Callable[[str, Any], bool]] = {
    "appointments": _is_appointment,
    "statuses": _is_history,
    "annotations": _are_annotations,
    "notifications": _is_notification,
    "jobs": _is_job,
}
