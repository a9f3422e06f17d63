"""Exports in shards on a cluster of Dask, whose workers are processes, and of which one is killed."""

import asyncio
import inspect
import math
import random
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from distributed import Client

from coaching_async import AccessToken, AppointmentFilters, CoachingClient, Forbidden, Interval
from coaching_async.export import ExportBusy, Exported, export
from coaching_async.integrations.dask import ExportOptions, _export_shard, _shards, export_shards
from coaching_async.sandbox import Fault, Sandbox
from tests.support.export import contents, ids
from tests.support.shards import Fleet, a_fleet, sharing

pytestmark = pytest.mark.real_time

APPOINTMENTS = 100

EXPORTED = Exported(1, 1, None, 0)

WEEK = Interval.parse("2026-W48")


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    # One worker, because the start of its process takes most of the time; tests/slow has four.
    with a_fleet(Sandbox(appointments=APPOINTMENTS, users=8), workers=1, shards=4) as fleet:
        yield fleet


def test_shards_have_each_appointment_once_with_one_token_and_ask_nothing_again(fleet: Fleet, tmp_path: Path):
    folder, start = tmp_path / "shards", len(fleet.sandbox.requests)
    folder.mkdir()

    first = fleet.export(folder, client=sharing(tmp_path))

    fleet.assert_exact(folder)
    assert sum(each.items for each in first) == APPOINTMENTS
    requests = fleet.sandbox.requests[start:]
    assert [each.status for each in requests if each.path == "/oauth/token"] == [200]
    assert {each.status for each in requests} == {200}
    before, asked = contents(folder), len(fleet.sandbox.requests)
    assert [each.items for each in fleet.export(folder)] == [each.items for each in first]
    assert (contents(folder), len(fleet.sandbox.requests)) == (before, asked)


def test_a_worker_that_is_killed_costs_no_appointment_and_doubles_none(fleet: Fleet, tmp_path: Path):
    before = len(fleet.sandbox.requests)
    futures = fleet.submit(fleet.dask, tmp_path)
    fleet.wait_for_requests(before + 8)

    fleet.kill_worker(random.Random(1))

    fleet.dask.gather(futures)
    fleet.assert_exact(tmp_path)


def test_the_error_of_a_shard_is_raised_and_the_same_call_begins_anew(fleet: Fleet, tmp_path: Path):
    fleet.sandbox.faults.add(Fault("status", path="pageNumber=2$", status=403, times=math.inf))
    with pytest.raises(Forbidden, match="its token needs coaching:appointment:view") as raised:
        fleet.export(tmp_path, retries=0)
    fleet.sandbox.faults.clear()

    fleet.export(tmp_path)

    fleet.assert_exact(tmp_path)
    assert raised.value.status == 403  # its traceback has been holding the futures of the first call


def test_a_shard_that_fails_is_tried_again_and_continues_after_its_last_page(fleet: Fleet, tmp_path: Path):
    fleet.sandbox.faults.add(Fault("status", path="pageNumber=3$", status=403))
    before = len(fleet.sandbox.requests)

    (done,) = fleet.export(tmp_path, intervals=[fleet.whole()], page_size=40, retries=1)

    assert (done.items, done.resumed_from) == (APPOINTMENTS, 80)
    asked = [request.query for request in fleet.sandbox.requests[before:] if "pageNumber=1" in request.query]
    assert len(asked) == 1


def test_a_call_that_is_interrupted_can_be_made_again_at_once(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    before = len(fleet.sandbox.requests)

    def interrupted(_: object) -> None:
        fleet.wait_for_requests(before + 8)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fleet.dask, "gather", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fleet.export(tmp_path)

    fleet.export(tmp_path)  # waits for the shards that are still at work

    fleet.assert_exact(tmp_path)


def test_a_shard_waits_for_another_task_that_is_at_work_on_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    attempts = iter([ExportBusy("at work"), ExportBusy("has just ended"), EXPORTED])

    async def export_(*_: object, **__: object) -> Exported:
        if isinstance(attempt := next(attempts), ExportBusy):
            raise attempt
        return attempt

    monkeypatch.setattr(f"{_shards.__module__}.export", export_)
    monkeypatch.setattr(f"{_shards.__module__}.BUSY_PAUSE", 0.0)
    (shard,) = _shards("user", tmp_path, [WEEK], lambda: CoachingClient(AccessToken("a")), "jsonl", {})

    assert _export_shard(shard) == EXPORTED


def test_an_asynchronous_client_waits_for_futures(fleet: Fleet, tmp_path: Path):
    async def run() -> list[Exported]:
        async with Client(fleet.dask.scheduler.address, asynchronous=True) as dask:
            with pytest.raises(TypeError, match=r"await dask\.gather"):
                export_shards(dask, fleet.sandbox.state.user_ids, tmp_path, intervals=[fleet.whole()])
            return await dask.gather(fleet.submit(dask, tmp_path))

    done = asyncio.run(run())

    assert sum(each.items for each in done) == APPOINTMENTS
    fleet.assert_exact(tmp_path)


def test_shards_have_the_form_the_columns_and_the_filters_of_an_export(fleet: Fleet, tmp_path: Path):
    november, december = Interval.parse("2026-11/2026-12", tz=ZoneInfo("Europe/Berlin")).months()
    state = fleet.sandbox.state

    done = fleet.export(
        tmp_path,
        intervals=iter([december, november]),
        form="csv",
        columns=(name for name in ("id", "name")),
        statuses=(status for status in ("Completed",)),
        relationships={"Attendee"},
    )

    names = ["20261031T230000Z-20261130T230000Z.csv", "20261130T230000Z-20261231T230000Z.csv"]
    assert sorted(path.name for path in tmp_path.glob("*.csv")) == names
    completed = {
        id_
        for id_, each in state.appointments.items()
        if each["status"] == "Completed" and "2026-10-31T23:00" <= each["dateStart"] < "2026-12-31T23:00"
    }
    assert {id_ for name in names for id_ in ids(tmp_path / name)} == completed
    assert [each.items for each in done] == [len(ids(tmp_path / name)) for name in reversed(names)]


@pytest.mark.parametrize(
    "how, error, says",
    [
        ({"intervals": []}, ValueError, "intervals is empty"),
        ({"intervals": [WEEK, Interval.parse("2026-11-29/2026-12-01")]}, ValueError, "two intervals overlap"),
        ({"intervals": WEEK.split(2) + WEEK.split(2)}, ValueError, "two intervals overlap"),
        ({"intervals": ["2026-W48"]}, TypeError, "each of intervals is an Interval, not str"),
        ({"interval": WEEK}, TypeError, "the shards have their interval from intervals"),
        ({"interval_condition": "Overlaps"}, TypeError, "the shards have their interval_condition"),
        ({"resume": True}, TypeError, "no such option of an export: resume"),
        ({"form": "xls"}, ValueError, "form 'xls' does not exist: choose one of"),
        ({"columns": ["nonsense"]}, ValueError, "nonsense"),
        ({"statuses": "nonsense"}, ValueError, "no AppointmentStatus"),
        ({"page_size": 0}, ValueError, "page_size"),
        ({"names": "no"}, TypeError, "names is True or False, not str"),
        ({"with_annotations": 1}, TypeError, "with_annotations is True or False, not int"),
        ({"intervals": WEEK}, TypeError, "intervals is a list of Interval objects, or another iterable, not Interval"),
        ({"retries": -1}, ValueError, "retries is a whole number, at least 0, not -1"),
        ({"retries": True}, ValueError, "retries is a whole number, at least 0, not bool"),
        (
            {"client": partial(CoachingClient, AccessToken("a"))},
            TypeError,
            r"sent to the workers: .* \(a Secret is not pickled",
        ),
        ({"client": partial(CoachingClient, Lock())}, TypeError, r"sent to the workers: .*from_env \(cannot pickle"),
        ({"folder": None}, TypeError, "folder is a str or a pathlib.Path, not None"),
        ({"client": 1}, TypeError, "client is a plain function"),
        ({"client": CoachingClient(AccessToken("a"))}, TypeError, "client is a plain function"),
    ],
    ids=str,
)
def test_what_no_shard_can_do_is_refused_before_one_is_submitted(
    how: dict[str, Any], error: type[Exception], says: str, fleet: Fleet, tmp_path: Path
):
    with pytest.raises(error, match=says):
        fleet.export(**{"folder": tmp_path, **how})
    with pytest.raises(TypeError, match=r"a distributed\.Client is needed, not LocalCluster"):
        fleet.submit(fleet.cluster, tmp_path)


def test_what_dask_shows_of_a_shard_has_no_ids(fleet: Fleet, tmp_path: Path):
    users = ["a-user-whom-nobody-shall-know"]
    shards = _shards(users, tmp_path, WEEK.split(2), lambda: users, "jsonl", {"facilitator_ids": users})

    assert "20261123T000000Z-20261126T120000Z.jsonl" in repr(shards[0])
    assert users[0] not in repr(shards)


def test_the_options_of_shards_are_those_of_an_export():
    of_an_export = {
        name for name, each in inspect.signature(export).parameters.items() if each.kind is each.KEYWORD_ONLY
    }
    filters = AppointmentFilters.__optional_keys__

    assert ExportOptions.__optional_keys__ - filters == of_an_export - filters - {"form", "resume", "on_progress"}


def test_the_names_of_files_are_the_times_of_their_shards(tmp_path: Path):
    start = datetime(2, 1, 1, 1, tzinfo=timezone(timedelta(hours=2)))
    interval = Interval(start, start + timedelta(microseconds=1_999))

    (shard,) = _shards("user", str(tmp_path), [interval], CoachingClient.from_env, "xlsx", {})

    assert shard.path == tmp_path / "00011231T230000Z-00011231T230000.001Z.xlsx"
