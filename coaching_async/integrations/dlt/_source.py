"""The source: its arguments, and its tables."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

from coaching_async import AccessToken, Appointment, AppointmentFilters, CoachingClient, Interval, User
from coaching_async._refusals.arguments import checked_flag, kind_of
from coaching_async.integrations._clients import check_factory
from coaching_async.integrations._extras import extra
from coaching_async.types import (
    AppointmentStatusLike,
    IdsLike,
    IntervalConditionLike,
    IntervalLike,
    OneOrMany,
    RelationshipLike,
    SortOrderLike,
)

from ._reading import Batch, Reading, UserIdsFunction
from ._tables import DETAILS, LEFT_OUT, Row, schema_of, schemas_of_lists
from ._tasks import TaskIterator

with extra("dlt"):
    import dlt
    from dlt.extract import DltResource, DltSource

__all__ = ["coaching"]

NAME: Final = "coaching"

SETS: Final = {"statuses", "facilitator_ids", "relationships"}
"""Filters that take several values, in any order."""

ANY_USER: Final = "any"

STATE: Final = "appointments"
"""The resource that has the state, so that `write_disposition="replace"` and `refresh` reset it."""


def coaching(
    user_ids: IdsLike | UserIdsFunction,
    *,
    interval: IntervalLike | None = None,
    statuses: OneOrMany[AppointmentStatusLike] | None = None,
    facilitator_ids: IdsLike | None = None,
    sort_order: SortOrderLike | None = None,
    relationships: OneOrMany[RelationshipLike] | None = None,
    completion_interval: IntervalLike | None = None,
    overdue: bool | None = None,
    interval_condition: IntervalConditionLike | None = None,
    client: Callable[[], CoachingClient] = CoachingClient.from_env,
    lookback: timedelta = timedelta(days=30),
    with_annotations: bool = False,
    with_statuses: bool = False,
    with_users: bool = False,
) -> DltSource:
    """Return a source for a pipeline of dlt that loads the appointments of users, and keeps them up to date.

        pipeline = dlt.pipeline("coaching", destination="duckdb", dataset_name="raw")
        pipeline.run(coaching(user_ids, with_annotations=True))

    `user_ids` are ids, or a function that is given the client and returns an async iterable of users or their ids:
    `lambda client: client.users.list()`.

    `client` makes the client of a run, which is closed at its end, also if the run fails. Requests are paced by its rate
    limit. Processes share one token and one rate limit if it has a `shared_state`.

    The first run reads the appointments that start in `interval`, or all. Because the service does not tell what has changed,
    later runs read again what starts from `lookback` before the last run on, and merge it by id. Users who are new are
    read from the beginning. With other filters, or with annotations or statuses for the first time, all is read again. A run
    over an `interval` that follows what was read before adds to it, so a long history is loaded month by month.

    Tables: `appointments`; with `with_users` `users`: the asked ones, and all that the appointments refer to. Each list of an
    appointment is a child table that names its appointment (`appointment_id`): `appointments__attendees`,
    `__conversations`, `__documents`, `__external_links`, and with `with_annotations` and `with_statuses` `__annotations` and
    `__statuses`, which take one request for every appointment. `left_out` has a row for each row of the service that could not
    be read; with a client that is `strict` the run fails instead.

    The filters are those of `appointments.list`.

    HTTP: GET /api/v2/coaching/appointments, and for the rest GET /api/v2/coaching/appointments/{appointmentId}/annotations
    and /statuses, GET /api/v2/users
    Permission: coaching:appointment:view, and for the rest coaching:annotation:view and coaching:appointmentStatus:view
    Raises: `ValueError` or `TypeError` for invalid arguments. What the client raises ends the run with dlt's
    `PipelineStepFailed`.
    """
    check_factory("client", client)
    if not isinstance(lookback, timedelta):  # pyright: ignore[reportUnnecessaryIsInstance] # untyped callers
        raise TypeError(f"lookback is a timedelta, not {kind_of(lookback)}")
    if lookback < timedelta(0):
        raise ValueError("lookback must not be negative")
    if not (callable(user_ids) or isinstance(user_ids, UUID | Iterable)):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError("user_ids are ids, or a function that is given the client: lambda client: client.users.list()")
    users = [ANY_USER] if callable(user_ids) else _several(user_ids)
    filters = AppointmentFilters(
        interval=interval,
        statuses=statuses,
        facilitator_ids=facilitator_ids,
        sort_order=sort_order,
        relationships=relationships,
        completion_interval=completion_interval,
        overdue=overdue,
        interval_condition=interval_condition,
    )
    kept = {name: _several(value) if name in SETS else value for name, value in filters.items() if value is not None}
    extras = {
        "annotations": checked_flag("with_annotations", with_annotations),
        "statuses": checked_flag("with_statuses", with_statuses),
        "users": checked_flag("with_users", with_users),
    }
    arguments = _digest_of(users, kept, extras)
    kept.pop("interval", None)
    reading = Reading(
        client,
        user_ids if callable(user_ids) else list(map(str, users)),
        kept,
        interval if isinstance(interval, Interval | None) else Interval(*interval),
        lookback,
        [name for name in DETAILS if extras[name]],
        with_users,
        arguments,
    )
    return _source_of(reading)


def _several(value: Any) -> Any:
    """Return several values as a list that can be read again. Its order does not depend on theirs."""
    if isinstance(value, str | UUID):
        return [value]
    if not isinstance(value, Iterable):
        return value  # the list refuses it
    values: list[Any] = list(value)  # pyright: ignore[reportUnknownArgumentType]
    try:
        return sorted(set(values), key=str)
    except TypeError:  # it is not hashable, and the list refuses it
        return values


def _digest_of(users: Any, filters: Mapping[str, Any], extras: Mapping[str, bool]) -> str:
    """Return a digest of what is selected, apart from users and interval, and of what is read with it.

    Raises `ValueError` and `TypeError` for arguments that a list does not take.
    """
    # A client that is never opened tells what the list would say.
    listing = CoachingClient(AccessToken("none"), base_url="http://127.0.0.1").appointments.list
    listing(users, **filters)
    of_any_user: Any = {**filters, "interval": None}
    cursor = aiter(listing(ANY_USER, **of_any_user)).cursor
    return hashlib.sha256(json.dumps([cursor, extras]).encode()).hexdigest()[:24]


def _source_of(reading: Reading) -> DltSource:
    """Return a source with one resource that reads, and one for each table, which takes its rows of each batch.

    So all tables share one client, and each has hints of its own.
    """

    def read() -> AsyncIterator[Batch]:
        return TaskIterator(partial(reading.run, dlt.current.resource_state(STATE)))

    batches: DltResource = dlt.resource(read, name="batches", selected=False)

    def table(name: str, rows: Callable[[Batch], Sequence[Row]], **hints: Any) -> DltResource:
        def rows_of(batch: Batch) -> Sequence[Row]:
            return rows(batch) or dlt.mark.materialize_table_schema()  # the table exists, even if it has no row

        return dlt.transformer(rows_of, data_from=batches, name=name, **hints)

    lists = schemas_of_lists(reading.details)
    tables = [
        table(
            "appointments",
            lambda batch: batch.appointments,
            columns=schema_of(Appointment),
            nested_hints={name: dlt.mark.make_nested_hints(columns=schema) for name, schema in lists.items()},
            primary_key="id",
            write_disposition="merge",
        ),
        table("left_out", lambda batch: batch.left_out, columns=LEFT_OUT, write_disposition="append"),
    ]
    if reading.with_users:
        columns = schema_of(User)
        tables.append(
            table("users", lambda batch: batch.users, columns=columns, primary_key="id", write_disposition="merge")
        )
    return DltSource(dlt.Schema(NAME), NAME, [batches, *tables])
