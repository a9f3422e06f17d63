"""The whole state as one JSON file: written, and read back."""

import json
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from coaching_async.sandbox._wire.formats import JsonObject, parse_timestamp

from .state import State

FORMAT = "coaching_async.sandbox/1"
_OPTIONAL = frozenset({"jobs"})  # older files do not have them


def save(state: State, path: Path) -> None:
    """Replace the file in one step, so that a reader finds either the old state or the new one."""
    with state.lock:
        text = json.dumps({"format": FORMAT, "user_ids": state.user_ids, **state.tables()}, separators=(",", ":"))
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        temporary.write_text(f"{text}\n", encoding="ascii")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def load(path: Path, clock: Callable[[], datetime]) -> State:
    try:
        return _parse_state(path.read_bytes(), clock)
    except ValueError as error:
        raise ValueError(f"{path} is no state that a sandbox has saved: {error}") from error


def _parse_state(raw: bytes, clock: Callable[[], datetime]) -> State:
    try:
        saved: Any = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ValueError("it is not JSON") from error
    match saved:
        case {"format": str(found)} if found != FORMAT:
            raise ValueError(f"its format is {found!r}, not {FORMAT!r}")
        case {"format": str(), "user_ids": [str(), *_] as user_ids} if _all(
            user_ids, lambda user_id: isinstance(user_id, str)
        ):
            # Random ids, because the first ids that a seed gives are taken by the saved records.
            state = State(tuple(user_ids), clock, lambda: str(uuid.uuid4()))
        case _:
            raise ValueError("it does not say its format and its users")
    for name, table in state.tables().items():
        rows = saved.get(name, {} if name in _OPTIONAL else None)
        if not isinstance(rows, dict):
            raise ValueError(f"{name} are missing")  # noqa: TRY004 - the file is wrong, not the type of an argument
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


def _is_timestamp(value: Any) -> bool:
    try:
        return bool(parse_timestamp(value))
    except (TypeError, ValueError):
        return False


def _is_appointment(row_id: str, row: Any) -> bool:
    match row:
        case {
            "id": own_id,
            "name": str(),
            "dateStart": start,
            "lengthInMinutes": int() as length,
            "status": str(),
            "attendees": [*attendees],
            "selfUri": str(),
        }:
            users = [
                *attendees,
                *(row[name] for name in ("facilitator", "createdBy") if name in row),
            ]
            dates = (start, row.get("dateCompleted", start))
            return own_id == row_id and 0 < length < 2**31 and _all(users, _is_user) and _all(dates, _is_timestamp)
        case _:
            return False


def _is_history(_: str, row: Any) -> bool:
    match row:
        case [*changes]:
            return _all(changes, lambda change: isinstance(change, dict) and "status" in change)
        case _:
            return False


def _is_annotation(row_id: str, row: Any) -> bool:
    match row:
        case {"id": own_id, "text": str(), "accessType": str(), "selfUri": str()}:
            return bool(own_id == row_id)
        case _:
            return False


def _are_annotations(_: str, row: Any) -> bool:
    return isinstance(row, dict) and all(_is_annotation(*item) for item in cast("JsonObject", row).items())


def _is_notification(row_id: str, row: Any) -> bool:
    match row:
        case {"id": own_id, "user": {"id": str()}, "appointment": {"id": str()}, "markedAsRead": bool()}:
            return bool(own_id == row_id)
        case _:
            return False


def _is_job(row_id: str, row: Any) -> bool:
    match row:
        case {"id": own_id, "results": [*results], "reads": int() as reads}:
            return own_id == row_id and reads >= 0 and _all(results, _is_result)
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
