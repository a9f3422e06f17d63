"""A source of dlt: what is in the warehouse after a run is what the service has."""

import math
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import attrs
import dlt
import pytest
from dlt.pipeline.exceptions import PipelineStepFailed
from pyarrow import parquet

from coaching_async import Appointment, AppointmentUpdate, CoachingClient, DecodeError, Interval, User, to_dict
from coaching_async.integrations.dlt import _reading, coaching
from coaching_async.sandbox import Fault, Sandbox
from coaching_async.tables import Column, Kind, arrow_schema, columns, to_rows
from coaching_async.testing import MemorySharedState
from tests.support.dlt_settings import surroundings
from tests.support.warehouse import Clients, Warehouse, of_users

NOW = datetime(2026, 12, 23, 12, tzinfo=UTC)
DAY = timedelta(days=1)
LOOKBACK = 10 * DAY

Row = Mapping[str, Any]


@pytest.fixture(scope="module", autouse=True)
def kept_in_a_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in surroundings(tmp_path_factory.mktemp("dlt")).items():
            patch.setenv(name, value)
        patch.setattr(_reading, "_now", lambda: NOW)
        yield


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(appointments=30, users=4, page_cap=5) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def clients(sandbox: Sandbox) -> Clients:
    return Clients(sandbox)


@attrs.frozen
class Look:
    """What the service and the warehouse have after a run."""

    service: Mapping[str, Row]
    """The appointments of the users."""
    annotations: list[tuple[str, str, str]]
    statuses: list[tuple[str, str]]
    tables: Mapping[str, list[Row]]
    types: Mapping[str, Mapping[str, str]]
    lists_read: int
    """Requests of pages of appointments."""

    def values(self, table: str, *names: str) -> list[tuple[Any, ...]]:
        return sorted(tuple(row[name] for name in names) for row in self.tables[table])


@attrs.frozen
class Story:
    """A warehouse after its first run, after the service has changed and a second run, and after one that replaces all."""

    users: list[str]
    appointments: list[Appointment]
    """Those before the first run."""
    changed: str
    deleted: tuple[str, str]
    """One before the window, and one in it."""
    first: Look
    second: Look
    replaced: Look


@pytest.fixture(scope="module")
def story(sandbox: Sandbox, clients: Clients, tmp_path_factory: pytest.TempPathFactory) -> Story:
    warehouse, state = Warehouse(tmp_path_factory.mktemp("warehouse")), sandbox.state
    users = list(state.user_ids)[:3]

    async def read() -> list[Appointment]:
        async with clients() as client:
            return await client.appointments.list(users).collect()

    async def change() -> None:
        async with clients() as client:
            links = ["https://example.com/agenda"]
            await client.appointments.update(changed, AppointmentUpdate(name="Another name", external_links=links))
            for id_ in deleted:
                await client.appointments.delete(id_)

    def run(**how: Any) -> Look:
        before = len(sandbox.requests)
        everything = {"with_annotations": True, "with_statuses": True, "with_users": True}
        warehouse.run(coaching(users, client=clients, lookback=LOOKBACK, **everything), **how)
        service = {row["id"]: row for row in of_users(sandbox, *users)}
        return Look(
            service,
            sorted(
                (id_, each["id"], each["text"]) for id_ in service for each in state.annotations.get(id_, {}).values()
            ),
            sorted((id_, each["status"]) for id_ in service for each in state.statuses[id_]),
            *warehouse.look(),
            sum(arrival.path.endswith("/appointments") for arrival in sandbox.requests[before:]),
        )

    appointments = anyio.run(read)
    early, *_, changed, late = sorted(appointments, key=lambda each: str(each.date_start))
    changed, deleted = changed.id, (early.id, late.id)
    first = run()
    anyio.run(change)
    return Story(users, appointments, changed, deleted, first, run(), run(write_disposition="replace"))


def flat_columns(model: type[Any]) -> list[Column]:
    return [column for column in columns(model) if column.kind is not Kind.TEXTS]


def by_id(rows: Any) -> list[Row]:
    return sorted(rows, key=lambda row: str(row["id"]))


def test_the_first_run_loads_all_appointments_of_the_users_with_all_of_their_fields(story: Story):
    expected = to_rows(story.appointments, flat_columns(Appointment))

    found = [{name: row[name] for name in expected[0]} for row in story.first.tables["appointments"]]

    assert {row["id"] for row in expected} == story.first.service.keys()
    assert by_id(found) == by_id(expected)


def test_the_lists_of_an_appointment_are_tables_that_name_it(story: Story):
    look = story.first

    for table, column in (
        ("attendees", "attendee_id"),
        ("conversations", "conversation_id"),
        ("documents", "document_id"),
    ):
        expected = [(id_, each["id"]) for id_, row in look.service.items() for each in row.get(table, ())]
        assert expected
        assert look.values(f"appointments__{table}", "appointment_id", column) == sorted(expected)
    links = [(id_, link) for id_, row in look.service.items() for link in row.get("externalLinks", ())]
    assert look.values("appointments__external_links", "appointment_id", "external_link") == sorted(links)
    assert look.values("appointments__annotations", "appointment_id", "id", "text") == look.annotations
    assert look.values("appointments__statuses", "appointment_id", "status") == look.statuses


def test_the_users_are_those_that_were_asked_for_and_those_that_appointments_refer_to(story: Story, sandbox: Sandbox):
    found = dict(story.first.values("users", "id", "name"))

    assert found == {id_: sandbox.state.users[id_]["name"] for id_ in sandbox.state.user_ids}


def test_columns_have_the_types_of_the_models(story: Story):
    kinds = {
        Kind.TEXT: "VARCHAR",
        Kind.INTEGER: "BIGINT",
        Kind.NUMBER: "DOUBLE",
        Kind.BOOLEAN: "BOOLEAN",
        Kind.DATE: "DATE",
        Kind.TIMESTAMP: "TIMESTAMP WITH TIME ZONE",
    }
    types = story.first.types

    for table, model in (("appointments", Appointment), ("users", User)):
        assert types[table] == {column.name: kinds[column.kind] for column in flat_columns(model)}
    assert types["appointments__annotations"]["date_created"] == "TIMESTAMP WITH TIME ZONE"
    assert types["appointments__statuses"].keys() == {"appointment_id", "status", "created_by_id", "date_created"}
    assert types["left_out"]["row_count"] == "BIGINT"
    assert story.first.tables["left_out"] == []  # the table exists all the same


def test_a_later_run_reads_no_more_than_the_window(story: Story):
    window = [row for row in story.second.service.values() if row["dateStart"] >= (NOW - LOOKBACK).isoformat()]

    assert 5 < len(window) < len(story.second.service) / 2
    assert story.second.lists_read <= -(-len(window) // 5) + 1


def test_a_later_run_merges_what_has_changed_with_its_lists(story: Story):
    look = story.second

    (name,) = {row["name"] for row in look.tables["appointments"] if row["id"] == story.changed}
    links = {
        row["external_link"]
        for row in look.tables["appointments__external_links"]
        if row["appointment_id"] == story.changed
    }
    assert (name, links) == ("Another name", {"https://example.com/agenda"})
    assert [id_ for (id_,) in look.values("appointments", "id")] == sorted(story.first.service)  # none twice
    for table in ("attendees", "conversations", "documents", "annotations", "statuses"):
        before, after = (each.tables[f"appointments__{table}"] for each in (story.first, look))
        assert len(after) == len(before)


def test_what_was_deleted_in_the_window_has_an_older_load(story: Story):
    rows = story.second.tables["appointments"]
    newest = max(row["_dlt_load_id"] for row in rows)

    old = [row["id"] for row in rows if row["date_start"] >= NOW - LOOKBACK and row["_dlt_load_id"] < newest]

    assert old == [story.deleted[1]]


def test_a_run_that_replaces_reads_all_and_has_nothing_that_was_deleted(story: Story):
    look = story.replaced

    assert [id_ for (id_,) in look.values("appointments", "id")] == sorted(look.service)
    assert not look.service.keys() & set(story.deleted)
    assert look.values("appointments__annotations", "appointment_id", "id", "text") == look.annotations
    assert look.values("appointments__statuses", "appointment_id", "status") == look.statuses


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path)


def test_runs_go_on_where_earlier_ones_ended_and_read_new_users_from_the_beginning(
    sandbox: Sandbox, clients: Clients, warehouse: Warehouse
):
    def asked(*users: str, **how: Any) -> list[tuple[int, str | None]]:
        """Return how many users each list is asked for, and the months of its interval."""
        before = len(sandbox.requests)
        warehouse.pipeline.extract(coaching(users, client=clients, lookback=DAY, **how))
        found = dict.fromkeys(
            re.sub("&page_?[nN]umber=[0-9]+", "", arrival.query)
            for arrival in sandbox.requests[before:]
            if arrival.path.endswith("/appointments")
        )
        return [
            (
                query.count("userIds"),
                (re.findall(r"interval=([0-9]{4}-[0-9]{2}).*?%2F([0-9]{4}-[0-9]{2})", query) or [None])[0],
            )
            for query in found
        ]

    one, two, *_ = sandbox.state.user_ids
    october, november = Interval.parse("2026-10/2026-11").months()

    assert asked(one, interval=october) == [(1, ("2026-10", "2026-11"))]
    assert asked(one, interval=november) == [(1, ("2026-11", "2026-12"))]
    assert asked(one, interval=october) == []  # it was read long ago
    assert asked(one, two) == [(1, ("2026-11", "2036-12")), (1, ("2026-10", "2036-12"))]
    assert asked(one, two, statuses="Scheduled") == [(2, None)]


def test_a_row_that_cannot_be_read_is_a_row_of_a_table_or_the_failure_of_a_strict_client(
    sandbox: Sandbox, clients: Clients, warehouse: Warehouse
):
    sandbox.faults.add(*(Fault("odd_row", path=path) for path in (r"/appointments\?", r"/users\?id")))
    sandbox.faults.add(Fault("odd_row", path="/annotations", times=math.inf))
    source = coaching(sandbox.state.user_ids, client=clients, with_annotations=True, with_users=True)

    rows = list(source)
    sandbox.faults.clear()

    left_out: dict[str, list[Row]] = {}
    for row in rows:
        if "row_count" in row:
            left_out.setdefault(row["list_name"], []).append(row)
    (appointment,), (user,) = left_out["appointments"], left_out["users"]
    assert (appointment["appointment_id"], appointment["page"], appointment["position"]) == (None, 1, 0)
    read = sandbox.state.appointments.keys() - {appointment["row_id"]}
    assert {row["id"] for row in rows if "date_start" in row} == read
    noted = {id_ for id_ in read if sandbox.state.annotations.get(id_)}
    assert {row["appointment_id"] for row in left_out["annotations"]} == noted
    assert user["row_id"] not in {row["id"] for row in rows if "email" in row}

    sandbox.faults.add(Fault("odd_row", path=r"/appointments\?"))
    with pytest.raises(PipelineStepFailed) as failed:
        warehouse.pipeline.extract(coaching(sandbox.state.user_ids, client=Clients(sandbox, strict=True)))
    assert isinstance(failed.value.__cause__.__cause__, DecodeError)


def test_a_client_with_a_shared_state_loads_the_same(sandbox: Sandbox):
    source = coaching(sandbox.state.user_ids, client=Clients(sandbox, shared_state=MemorySharedState()))

    assert {row["id"] for row in source} == sandbox.state.appointments.keys()


def test_parquet_files_have_the_rows_and_types_of_the_models(sandbox: Sandbox, clients: Clients, tmp_path: Path):
    users = list(sandbox.state.user_ids)
    destination = dlt.destinations.filesystem(tmp_path.as_uri())
    pipelines = str(tmp_path / "pipelines")
    pipeline = dlt.pipeline("lake", destination=destination, dataset_name="raw", pipelines_dir=pipelines)

    async def read() -> list[Appointment]:
        async with clients() as client:
            return await client.appointments.list(users).collect()

    appointments = anyio.run(read)
    pipeline.run(coaching(users, client=clients), loader_file_format="parquet")

    flat = flat_columns(Appointment)
    table = parquet.read_table(tmp_path / "raw" / "appointments").select([column.name for column in flat])
    assert by_id(table.to_pylist()) == by_id(to_rows(appointments, flat))
    assert {name: table.schema.field(name).type for name in table.schema.names} == {
        field.name: field.type for field in arrow_schema(flat)
    }
    attendees = parquet.read_table(tmp_path / "raw" / "appointments__attendees").to_pylist()
    assert {(row["appointment_id"], row["attendee_id"]) for row in attendees} == {
        (each.id, attendee["id"]) for each in appointments for attendee in to_dict(each)["attendees"]
    }


@pytest.mark.parametrize(
    "user_ids, how, error, text",
    [
        ([], {}, ValueError, "user_ids is empty"),
        ("", {}, ValueError, "id"),
        ([7], {}, ValueError, "id"),
        (None, {}, TypeError, "user_ids are ids"),
        ([{}], {}, ValueError, "id"),
        ("a", {"with_annotations": "no"}, TypeError, "with_annotations is True or False, not str"),
        ("a", {"client": CoachingClient.from_env({"GENESYSCLOUD_ACCESS_TOKEN": "x"})}, TypeError, "function"),
        ("a", {"client": None}, TypeError, "function"),
        ("a", {"lookback": 30}, TypeError, "timedelta"),
        ("a", {"lookback": -DAY}, ValueError, "negative"),
        ("a", {"interval": "2026-11"}, TypeError, "Interval"),
        ("a", {"interval": (NOW, NOW)}, ValueError, "end"),
        ("a", {"statuses": "Complete"}, ValueError, "Complete"),
        ("a", {"statuses": []}, ValueError, "empty"),
        (lambda client: client.users.list(), {"statuses": []}, ValueError, "empty"),
        ("a", {"cursor": "x"}, TypeError, "cursor"),
        ("a", {"stauses": "Completed"}, TypeError, "stauses"),
    ],
)
def test_wrong_arguments_are_refused_at_once(user_ids: Any, how: Any, error: type[Exception], text: str):
    with pytest.raises(error, match=text):
        coaching(user_ids, **how)


async def nobody(_: CoachingClient) -> AsyncIterator[str]:
    for id_ in ():
        yield id_


async def a_list(_: CoachingClient) -> list[str]:
    return ["a"]


async def numbers(_: CoachingClient) -> AsyncIterator[Any]:
    yield 5


@pytest.mark.parametrize(
    "user_ids, text",
    [
        (nobody, "no user"),
        (a_list, "async iterable"),
        (lambda _: ["a"], "async iterable"),
        (numbers, "finds users or their ids, not int"),
    ],
)
def test_a_function_that_finds_no_user_ends_the_run(user_ids: Any, text: str, warehouse: Warehouse, clients: Clients):
    with pytest.raises(PipelineStepFailed, match=text):
        warehouse.pipeline.extract(coaching(user_ids, client=clients))


def test_a_function_may_find_users_as_the_client_lists_them(sandbox: Sandbox, clients: Clients):
    source = coaching(lambda client: client.users.list(state="any"), client=clients)

    assert {row["id"] for row in source} == sandbox.state.appointments.keys()


def test_a_client_that_is_none_ends_the_run(warehouse: Warehouse):
    with pytest.raises(PipelineStepFailed, match="client returns a CoachingClient, not dict"):
        warehouse.pipeline.extract(coaching("a", client=dict))  # type: ignore[arg-type]
