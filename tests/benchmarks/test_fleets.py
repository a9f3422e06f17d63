"""The benchmarks of fleets; no test depends on a measured time."""

from datetime import UTC, datetime, timedelta

import pytest

from benchmarks import fleet_call
from benchmarks.fleets import FAILED, MEASURES, MOST, REFUSED, USED, Plan, Sharing, counted, run
from benchmarks.processes import serving
from coaching_async import RateLimit

START = datetime(2026, 11, 23, 9, tzinfo=UTC)


def request(
    second: float, status: int | None = 200, path: str = "/api/v2/coaching/appointments/1"
) -> dict[str, object]:
    at = (START + timedelta(seconds=second)).isoformat(timespec="milliseconds")
    return {"method": "GET", "path": path, "query": "", "at": at, "status": status}


def test_what_the_service_counted_is_told_by_its_log():
    log = [
        request(0.0, path="/oauth/token"),
        request(1.0),  # the first window begins
        request(1.9, status=429),
        request(10.0),
        request(10.999, status=None),
        request(11.0),  # the second window
        request(20.5),
        request(21.0),  # the third one, which is not whole
    ]
    assert counted(log, RateLimit(4, per=10.0), windows=2) == {REFUSED: 1, MOST: 3, USED: 50.0}


@pytest.mark.real_time
def test_the_processes_of_a_fleet_report_what_they_did():
    found = run(Plan(RateLimit(20, per=0.4), windows=2, bulks=range(1), callers=range(2)), Sharing("file"))
    assert set(found) == set(MEASURES)
    assert found[FAILED] == 0


@pytest.mark.real_time
def test_a_direct_call_with_a_shared_state_is_measured():
    with serving(items=1) as service:
        assert set(fleet_call.by("file", service, calls=2)) == {fleet_call.WALL, fleet_call.CPU}
