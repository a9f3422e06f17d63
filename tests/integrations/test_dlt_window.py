"""What the runs of a pipeline read together is what a single run would read."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from coaching_async import Interval
from coaching_async.integrations.dlt._window import (
    Coverage,
    Part,
    coverage_from_state,
    coverage_to_state,
    next_reads,
)
from tests.support.effort import examples

DAY = timedelta(days=1)
START = datetime(2026, 1, 1, tzinfo=UTC)
USERS = ("ann", "bob", "eve")


def day(number: int) -> datetime:
    return START + number * DAY


def read(
    coverage: Coverage | None,
    now: int,
    first: int | None = None,
    last: int = 0,
    users: tuple[str, ...] = USERS,
    **how: int,
) -> tuple[list[Part], Coverage]:
    interval = None if first is None else Interval(day(first), day(last))
    lookback = timedelta(days=how.get("lookback", 30))
    parts, after = next_reads(coverage, arguments="a", users=users, interval=interval, lookback=lookback, now=day(now))
    stored = coverage_from_state(coverage_to_state(after))
    assert stored == after
    return list(parts), after


def test_the_first_run_reads_all_or_its_interval():
    assert read(None, 100)[0] == [Part(USERS, None)]
    assert read(None, 100, 10, 40)[0] == [Part(USERS, Interval(day(10), day(40)))]


def test_a_later_run_reads_from_the_lookback_before_the_last_one():
    _, coverage = read(None, 100)
    ((part,), _) = read(coverage, 110)
    assert part.interval is not None
    assert (part.interval.start, part.interval.end > day(3000)) == (day(70), True)
    ((part,), _) = read(coverage, 110, 90, 120)
    assert part.interval == Interval(day(90), day(120))


def test_a_lookback_that_is_too_long_for_the_calendar_reads_all():
    _, coverage = read(None, 100)
    parts, _ = next_reads(coverage, arguments="a", users=USERS, interval=None, lookback=timedelta.max, now=day(110))
    assert parts == [Part(list(USERS), None)]


def test_other_arguments_and_a_state_of_another_version_read_all():
    _, coverage = read(None, 100)
    parts, _ = next_reads(coverage, arguments="b", users=USERS, interval=None, lookback=DAY, now=day(101))
    assert parts == [Part(USERS, None)]
    assert coverage_from_state({**coverage_to_state(coverage), "version": 2}) is None
    assert coverage_from_state({}) is None


def test_a_month_that_follows_the_last_one_is_read_whole_and_one_that_was_read_long_ago_not_at_all():
    _, coverage = read(None, 400, 0, 30)
    parts, coverage = read(coverage, 400, 30, 60)
    assert [part.interval for part in parts] == [Interval(day(30), day(60))]
    _, coverage = read(coverage, 400, 60, 90)
    assert read(coverage, 400, 0, 30)[0] == []
    ((part,), _) = read(coverage, 400)
    assert part.interval is not None
    assert part.interval.start == day(60)


def test_a_run_over_a_time_long_past_does_not_change_what_later_runs_go_on_from():
    _, coverage = read(None, 400, 300, 500)
    parts, after = read(coverage, 401, 0, 100)
    assert [part.interval for part in parts] == [Interval(day(0), day(100))]
    assert after == coverage


def test_a_user_who_is_new_or_was_away_is_read_from_the_beginning():
    _, coverage = read(None, 100, 10, 400, users=("ann",))
    parts, coverage = read(coverage, 101, 50, 400, users=("ann", "bob"))
    assert parts == [Part(["ann"], Interval(day(70), day(400))), Part(["bob"], Interval(day(10), day(400)))]
    _, coverage = read(coverage, 102, 50, 400, users=("bob",))
    parts, _ = read(coverage, 103, 50, 400, users=("ann", "bob"))
    assert Part(["ann"], Interval(day(10), day(400))) in parts


def test_the_state_of_ten_thousand_users_fits_into_a_text_column_and_names_none():
    _, coverage = read(None, 1, users=tuple(f"user-{number}" for number in range(7_000)))
    state = str(coverage_to_state(coverage))
    assert len(state) < 60_000
    assert "user-7" not in state


class Service:
    """Appointments, each of a user at a day, with the number of their last change."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, int], int] = {}

    def of(self, part: Part) -> Mapping[tuple[str, int], int]:
        interval = part.interval
        return {
            (user, at): change
            for (user, at), change in self.rows.items()
            if user in part.users and (interval is None or interval.start <= day(at) < interval.end)
        }


CHANGE = st.tuples(st.sampled_from(USERS), st.integers(-10, 60))


@settings(max_examples=examples(400))
@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.lists(CHANGE, max_size=4), st.sets(st.sampled_from(USERS), min_size=1)),
        min_size=1,
        max_size=8,
    )
)
def test_after_each_run_the_warehouse_has_each_change_within_the_lookback(
    runs: list[tuple[int, list[tuple[str, int]], set[str]]],
):
    service, warehouse, coverage, now = Service(), dict[tuple[str, int], int](), None, 0
    for number, (days, changes, users) in enumerate(runs):
        now += days
        for user, ahead in changes:
            service.rows[user, now + ahead] = number
        parts, coverage = read(coverage, now, users=tuple(sorted(users)), lookback=10)
        for part in parts:
            warehouse.update(service.of(part))
        everything = service.of(Part(tuple(users), None))
        assert everything.items() <= warehouse.items()


INTERVALS = st.none() | st.tuples(st.integers(-40, 40), st.integers(1, 40))


@settings(max_examples=examples(600))
@given(
    st.lists(
        st.tuples(
            st.integers(0, 20), st.lists(CHANGE, max_size=4), st.sets(st.sampled_from(USERS), min_size=1), INTERVALS
        ),
        min_size=1,
        max_size=8,
    )
)
def test_a_run_without_interval_goes_on_from_all_intervals_that_runs_have_read_before(
    runs: list[tuple[int, list[tuple[str, int]], set[str], tuple[int, int] | None]],
):
    service, warehouse, coverage, now, first = Service(), dict[tuple[str, int], int](), None, 100, 0
    for number, (days, changes, users, chosen) in enumerate(runs):
        now += days
        for user, ahead in changes:
            service.rows[user, now + ahead] = number
        start, end = (None, 0) if chosen is None else (now + chosen[0], now + sum(chosen))
        first = (start or 0) if coverage is None else first
        parts, coverage = read(coverage, now, start, end, users=tuple(sorted(users)), lookback=10)
        for part in parts:
            warehouse.update(service.of(part))
        expected = service.of(Part(tuple(users), Interval(day(start or first), day(end or 1000))))
        if start is None:
            assert expected.items() <= warehouse.items()
        else:
            assert expected.keys() <= warehouse.keys()


def test_requests_have_whole_seconds_and_clocks_that_are_turned_back_lose_nothing():
    berlin = ZoneInfo("Europe/Berlin")
    begin, end = (datetime(2026, 10, 25, 2, 30, tzinfo=berlin, fold=fold) for fold in (0, 1))
    moment = day(400).replace(microsecond=5)
    _, coverage = next_reads(None, arguments="a", users=USERS, interval=Interval(begin, end), lookback=DAY, now=moment)
    parts, _ = next_reads(coverage, arguments="a", users=USERS, interval=None, lookback=timedelta(0), now=moment)
    assert parts[0].interval is not None
    assert parts[0].interval.start == end.astimezone(UTC)
    parts, after = next_reads(None, arguments="a", users=USERS, interval=None, lookback=DAY, now=moment)
    parts, _ = next_reads(after, arguments="a", users=USERS, interval=None, lookback=DAY, now=moment)
    assert parts[0].interval is not None
    assert (parts[0].interval.start.microsecond, parts[0].interval.end.microsecond) == (0, 0)
