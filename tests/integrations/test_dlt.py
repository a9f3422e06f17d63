"""A source of dlt: what is in the warehouse after a run is what the service has."""

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import dlt
import pytest
from dlt.pipeline.exceptions import PipelineStepFailed
from pyarrow import parquet

from coaching_async import (
    Appointment,
    AppointmentUpdate,
    CoachingClient,
    Interval,
    User,
    to_dict,
)
from coaching_async.integrations.dlt import _reading, coaching
from coaching_async.sandbox import Sandbox
from coaching_async.tables import Kind, arrow_schema, columns, to_rows
from tests.support.warehouse import Clients, Warehouse, of_users, surroundings

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = timedelta(days=1)
EVERYTHING = {"with_annotations": True, "with_statuses": True, "with_users": True}


@pytest.fixture(scope="module", autouse=True)
def kept_in_a_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in surroundings(tmp_path_factory.mktemp("dlt")).items():
            patch.setenv(name, value)
        patch.setattr(_reading, "_now", lambda: NOW)
        yield


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(appointments=60, users=4, page_cap=10) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def clients(sandbox: Sandbox) -> Clients:
    return Clients(sandbox)


@pytest.fixture(scope="module")
def users(sandbox: Sandbox) -> list[str]:
    return list(sandbox.state.user_ids)[:3]


@pytest.fixture(scope="module")
def loaded(sandbox: Sandbox, clients: Clients, users: list[str], tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """A warehouse after its first run."""
    warehouse = Warehouse(tmp_path_factory.mktemp("warehouse"))
    warehouse.run(coaching(users, client=clients, **EVERYTHING))
    return warehouse


def collected(clients: Clients, read: Callable[[CoachingClient], AsyncIterator[Any]]) -> list[Any]:
    async def collect() -> list[Any]:
        async with clients() as client:
            return [item async for item in read(client)]

    return anyio.run(collect)


def test_the_first_run_loads_all_appointments_of_the_users_with_all_of_their_fields(
    loaded: Warehouse, sandbox: Sandbox, clients: Clients, users: list[str]
):
    flat = [column for column in columns(Appointment) if column.kind is not Kind.TEXTS]
    expected = to_rows(collected(clients, lambda client: client.appointments.list(users).walk()), flat)

    names = [column.name for column in flat]
    found = loaded.rows(f"select {', '.join(names)} from appointments order by id")

    assert {row["id"] for row in expected} == {row["id"] for row in of_users(sandbox, *users)}
    assert [dict(zip(names, row, strict=True)) for row in found] == sorted(expected, key=lambda row: str(row["id"]))


def test_the_lists_of_an_appointment_are_tables_that_name_it(loaded: Warehouse, sandbox: Sandbox, users: list[str]):
    appointments = of_users(sandbox, *users)
    ids = [row["id"] for row in appointments]

    for table, column, field in (
        ("attendees", "attendee_id", "attendees"),
        ("conversations", "conversation_id", "conversations"),
        ("documents", "document_id", "documents"),
    ):
        expected = [(row["id"], each["id"]) for row in appointments for each in row.get(field, ())]
        assert expected
        assert sorted(loaded.rows(f"select appointment_id, {column} from appointments__{table}")) == sorted(expected)
    links = [(row["id"], link) for row in appointments for link in row.get("externalLinks", ())]
    assert sorted(loaded.rows("select appointment_id, external_link from appointments__external_links")) == sorted(
        links
    )
    notes = [(id_, note["id"], note["text"]) for id_ in ids for note in sandbox.state.annotations.get(id_, {}).values()]
    assert sorted(loaded.rows("select appointment_id, id, text from appointments__annotations")) == sorted(notes)
    history = [(id_, change["status"]) for id_ in ids for change in sandbox.state.statuses[id_]]
    assert sorted(loaded.rows("select appointment_id, status from appointments__statuses")) == sorted(history)


def test_the_users_are_those_that_were_asked_for_and_those_that_appointments_refer_to(
    loaded: Warehouse, sandbox: Sandbox, users: list[str]
):
    found = dict(loaded.rows("select id, name from users"))

    assert found.keys() == set(sandbox.state.user_ids)
    assert all(found[id_] == sandbox.state.users[id_]["name"] for id_ in users)


def test_columns_have_the_types_of_the_models(loaded: Warehouse):
    kinds = {
        Kind.TEXT: "VARCHAR",
        Kind.INTEGER: "BIGINT",
        Kind.NUMBER: "DOUBLE",
        Kind.BOOLEAN: "BOOLEAN",
        Kind.DATE: "DATE",
        Kind.TIMESTAMP: "TIMESTAMP WITH TIME ZONE",
    }
    tables = loaded.tables()

    for table, model in (("appointments", Appointment), ("users", User)):
        flat = [column for column in columns(model) if column.kind is not Kind.TEXTS]
        assert tables[table] == {column.name: kinds[column.kind] for column in flat}
    assert tables["appointments__annotations"]["date_created"] == "TIMESTAMP WITH TIME ZONE"
    assert tables["appointments__statuses"].keys() == {"appointment_id", "status", "created_by_id", "date_created"}
    assert tables["left_out"]["row_count"] == "BIGINT"


def ids_of(sandbox: Sandbox, users: list[str], start: str, end: str) -> list[str]:
    """Return the ids of the appointments of users between two dates."""
    return sorted(row["id"] for row in of_users(sandbox, *users) if start <= row["dateStart"] < end)


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path)


def test_a_later_run_reads_the_window_alone_and_merges_what_has_changed(tmp_path: Path):
    with Sandbox(appointments=100, users=3, page_cap=10) as sandbox:
        clients, warehouse = Clients(sandbox), Warehouse(tmp_path)
        users = list(sandbox.state.user_ids)
        source = partial(coaching, users, client=clients, lookback=10 * DAY)
        warehouse.run(source())
        window = [row for row in of_users(sandbox, *users) if row["dateStart"] >= (NOW - 10 * DAY).isoformat()]
        changed = next(row["id"] for row in window if row["status"] == "Scheduled" and not row.get("conversations"))

        async def change() -> None:
            async with clients() as client:
                await client.appointments.update(
                    changed,
                    AppointmentUpdate(name="Another name", conversation_ids=["11111111-1111-4111-8111-222222222222"]),
                )

        anyio.run(change)
        before = len(sandbox.requests)
        warehouse.run(source())

        assert 20 < len(window) < 80
        assert len(sandbox.requests) - before <= -(-len(window) // 10) + 1
        assert warehouse.rows(f"select name from appointments where id = '{changed}'") == [("Another name",)]
        assert warehouse.rows("select count(*), count(distinct id) from appointments") == [(100, 100)]
        assert warehouse.rows(
            f"select conversation_id from appointments__conversations where appointment_id = '{changed}'"
        ) == [("11111111-1111-4111-8111-222222222222",)]
        attendees = sum(len(row["attendees"]) for row in sandbox.state.appointments.values())
        assert warehouse.rows("select count(*) from appointments__attendees") == [(attendees,)]


def test_users_who_are_new_are_read_from_the_beginning_and_history_is_loaded_month_by_month(tmp_path: Path):
    with Sandbox(appointments=60, users=4) as sandbox:
        clients, warehouse = Clients(sandbox), Warehouse(tmp_path)
        first, *others = sandbox.state.user_ids

        for month in (*Interval.parse("2026-10/2026-11").months(), Interval.month(2026, 10)):
            before = len(sandbox.requests)
            warehouse.run(coaching(first, client=clients, interval=month, lookback=DAY))
        assert warehouse.column("select id from appointments") == ids_of(sandbox, [first], "2026-10", "2026-12")
        assert sandbox.requests[before:] == []  # October was there

        warehouse.run(coaching([first, others[0]], client=clients, lookback=DAY))
        assert warehouse.column("select id from appointments") == ids_of(sandbox, [first, others[0]], "2026-10", "9")


def test_what_was_deleted_has_an_older_load_and_is_gone_after_a_replacing_run(tmp_path: Path):
    with Sandbox(appointments=30, users=3) as sandbox:
        clients, warehouse = Clients(sandbox), Warehouse(tmp_path)
        source = partial(coaching, lambda client: client.users.list(state="any"), client=clients)
        warehouse.run(source())
        kept, *_, deleted = sorted(sandbox.state.appointments.values(), key=lambda row: row["dateStart"])

        async def delete() -> None:
            async with clients() as client:
                await client.appointments.delete(deleted["id"])
                await client.appointments.delete(kept["id"])  # before the window

        anyio.run(delete)
        warehouse.run(source())

        newest = "select max(_dlt_load_id) from appointments"
        window = (NOW - 30 * DAY).isoformat()
        assert warehouse.column(
            f"select id from appointments where date_start >= '{window}' and _dlt_load_id < ({newest})"
        ) == [deleted["id"]]

        warehouse.run(source(), write_disposition="replace")
        assert warehouse.column("select id from appointments") == sorted(sandbox.state.appointments)
        assert len(sandbox.state.appointments) == 28


def test_tables_exist_where_there_is_nothing_to_load(warehouse: Warehouse):
    with Sandbox(appointments=0, users=1) as sandbox:
        warehouse.run(coaching(sandbox.state.user_ids, client=Clients(sandbox), with_users=True))

    assert warehouse.rows("select count(*) from appointments") == [(0,)]
    assert warehouse.rows("select count(*) from users") == [(1,)]
    assert warehouse.tables()["left_out"]


def test_parquet_files_have_the_rows_and_types_of_the_models(clients: Clients, users: list[str], tmp_path: Path):
    destination = dlt.destinations.filesystem(tmp_path.as_uri())
    pipeline = dlt.pipeline(
        "lake", destination=destination, dataset_name="raw", pipelines_dir=str(tmp_path / "pipelines")
    )

    pipeline.run(coaching(users, client=clients), loader_file_format="parquet")

    flat = [column for column in columns(Appointment) if column.kind is not Kind.TEXTS]
    appointments = collected(clients, lambda client: client.appointments.list(users).walk())
    table = parquet.read_table(tmp_path / "raw" / "appointments").select([column.name for column in flat])
    assert sorted(table.to_pylist(), key=lambda row: row["id"]) == sorted(
        to_rows(appointments, flat), key=lambda row: str(row["id"])
    )
    assert table.schema.field("date_start").type == arrow_schema(flat).field("date_start").type
    attendees = parquet.read_table(tmp_path / "raw" / "appointments__attendees").to_pylist()
    assert {(row["appointment_id"], row["attendee_id"]) for row in attendees} == {
        (appointment.id, attendee["id"])
        for appointment in appointments
        for attendee in to_dict(appointment)["attendees"]
    }


@pytest.mark.parametrize(
    "user_ids, how, error, text",
    [
        ([], {}, ValueError, "user_ids is empty"),
        ("", {}, ValueError, "id"),
        ([7], {}, ValueError, "id"),
        (None, {}, TypeError, "user_ids are ids"),
        ([{}], {}, ValueError, "id"),
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


@pytest.mark.parametrize(
    "user_ids, text", [(nobody, "no user"), (a_list, "async iterable"), (lambda _: ["a"], "async iterable")]
)
def test_a_function_that_finds_no_user_ends_the_run(user_ids: Any, text: str, warehouse: Warehouse, clients: Clients):
    with pytest.raises(PipelineStepFailed, match=text):
        warehouse.pipeline.extract(coaching(user_ids, client=clients))


def test_a_client_that_is_none_ends_the_run(warehouse: Warehouse):
    with pytest.raises(PipelineStepFailed, match="client returns a CoachingClient, not a dict"):
        warehouse.pipeline.extract(coaching("a", client=dict))  # type: ignore[arg-type]
