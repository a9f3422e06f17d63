"""What the lists of appointments select, in the words of the contract: one property per filter, over random states."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import parse_qsl

import httpx
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, Sandbox
from tests.support.effort import examples
from tests.support.fault_server import HANG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

pytestmark = pytest.mark.real_time

Json: TypeAlias = Any
Interval: TypeAlias = tuple[datetime, datetime]

LIST = "/api/v2/coaching/appointments"
PAGE_CAP = 5
ROLES = ("Facilitator", "Attendee", "Creator")
STATUSES = ("Scheduled", "InProgress", "Completed", "InvalidSchedule")


# the reference: an appointment as the tests see it


def start(appointment: Json) -> datetime:
    return datetime.fromisoformat(appointment["dateStart"])


def end(appointment: Json) -> datetime:
    return start(appointment) + timedelta(minutes=appointment["lengthInMinutes"])


def people(appointment: Json) -> dict[str, set[str]]:
    """The roles of the users in an appointment."""
    named = {"Facilitator": [appointment.get("facilitator")], "Creator": [appointment.get("createdBy")]}
    everybody = named | {"Attendee": appointment["attendees"]}
    return {role: {user["id"] for user in users if user} for role, users in everybody.items()}


def concerns(appointment: Json, users: Sequence[str], roles: Sequence[str] = ROLES) -> bool:
    return any(people(appointment)[role] & set(users) for role in roles)


# random states: few people and few moments, so that they often meet

BASE = datetime(2026, 11, 1, tzinfo=UTC)
ME, *_ = USERS = ("11111111-1111-4111-8111-111111111111", "u-1", "u-2", "u-3")

moments = st.integers(0, 24).map(lambda quarters: BASE + timedelta(minutes=15 * quarters))
intervals = st.tuples(moments, moments).map(sorted).filter(lambda ends: ends[0] < ends[1])
users = st.sampled_from(USERS)


def pointer(user: str) -> Json:
    return {"id": user, "selfUri": f"/api/v2/users/{user}"}


def spelled(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@st.composite
def appointments(draw: st.DrawFn) -> Json:
    appointment = {
        "name": "n",
        "dateStart": spelled(draw(moments)),
        "lengthInMinutes": draw(st.sampled_from((15, 30, 60, 120))),
        "status": draw(st.sampled_from(STATUSES)),
        "attendees": [pointer(user) for user in draw(st.lists(users, max_size=2, unique=True))],
    }
    for field in ("facilitator", "createdBy"):
        if user := draw(st.none() | users):
            appointment[field] = pointer(user)
    if appointment["status"] == "Completed":
        appointment["dateCompleted"] = spelled(draw(moments))
    return appointment


@st.composite
def states(draw: st.DrawFn, max_size: int = 10) -> dict[str, Json]:
    drawn = draw(st.lists(appointments(), max_size=max_size))
    ids = draw(st.permutations([f"a-{number}" for number in range(len(drawn))]))
    return {name: {"id": name, **each, "selfUri": f"{LIST}/{name}"} for name, each in zip(ids, drawn, strict=True)}


@st.composite
def spelled_intervals(draw: st.DrawFn) -> tuple[str, Interval]:
    """As documented, without zone and fraction, or as Genesys writes it elsewhere, or with another zone."""
    ends = draw(intervals)
    spellings = (
        lambda moment: moment.replace(tzinfo=None).isoformat(),
        spelled,
        lambda moment: moment.isoformat().replace("+00:00", "Z"),
        lambda moment: (moment + timedelta(hours=2)).isoformat().replace("+00:00", "+02:00"),
    )
    return "/".join(map(draw(st.sampled_from(spellings)), ends)), (ends[0], ends[1])


def some(choices: Sequence[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(choices), min_size=1, max_size=3)


# the service


class Service:
    """A running sandbox with given appointments, and one connection to it for each kind of caller."""

    def __init__(self, sandbox: Sandbox, client: httpx.Client) -> None:
        self.sandbox, self._client = sandbox, client
        self._client_token = self._token(grant_type="client_credentials")
        self._user_token = self._token(grant_type="refresh_token", refresh_token=REFRESH_TOKEN)

    def _token(self, **form: str) -> str:
        answer = self._client.post("/oauth/token", data=form, auth=(CLIENT_ID, CLIENT_SECRET))
        return answer.json()["access_token"]

    def holds(self, state: dict[str, Json]) -> None:
        self.sandbox.state.appointments.clear()
        self.sandbox.state.appointments.update(state)

    def page(self, path: str = LIST, **query: Json) -> Json:
        token = self._user_token if path.endswith("/me") else self._client_token
        answer = self._client.get(path, params=query, headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def list(self, path: str = LIST, **query: Json) -> list[Json]:
        """All that is found, in the order in which it comes."""
        query.setdefault("userIds", list(USERS))
        if path.endswith("/me"):
            del query["userIds"]
        first = self.page(path, **query)
        others = [self.page(path, **query, pageNumber=number) for number in range(2, first["pageCount"] + 1)]
        return [entity for page in (first, *others) for entity in page["entities"]]

    def ids(self, path: str = LIST, **query: Json) -> set[str]:
        found = [each["id"] for each in self.list(path, **query)]
        assert len(found) == len(set(found))
        return set(found)


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with (
        Sandbox(appointments=0, users=1, page_cap=PAGE_CAP) as sandbox,
        httpx.Client(base_url=sandbox.base_url, trust_env=False, verify=False, timeout=HANG) as client,
    ):
        assert sandbox.state.user_ids == (ME,)
        yield Service(sandbox, client)


law = settings(max_examples=examples(100), deadline=None, database=None)


def expected(state: dict[str, Json], wanted: Callable[[Json], bool]) -> set[str]:
    """What a list of all users holds; an appointment without participants is in no list."""
    return {name for name, each in state.items() if concerns(each, USERS) and wanted(each)}


# the properties


@law
@given(states(), some(USERS))
def test_user_ids_select_appointments_of_any_of_the_users(service: Service, state: dict[str, Json], asked: list[str]):
    service.holds(state)

    assert service.ids(userIds=asked) == {name for name, each in state.items() if concerns(each, asked)}


@law
@given(states(), some(USERS), some(ROLES))
def test_relationships_select_appointments_in_which_a_user_has_one_of_the_roles(
    service: Service, state: dict[str, Json], asked: list[str], roles: list[str]
):
    service.holds(state)

    found = service.ids(userIds=asked, relationships=roles)

    assert found == {name for name, each in state.items() if concerns(each, asked, roles)}


@law
@given(states(), spelled_intervals(), st.sampled_from(({}, {"intervalCondition": "StartsIn"})))
def test_an_interval_selects_appointments_that_start_in_it_but_not_at_its_end(
    service: Service, state: dict[str, Json], interval: tuple[str, Interval], condition: Json
):
    service.holds(state)
    text, (since, until) = interval

    found = service.ids(interval=text, **condition)

    assert found == expected(state, lambda each: since <= start(each) < until)


@law
@given(states(), spelled_intervals())
def test_an_overlapping_interval_selects_appointments_that_share_a_moment_with_it(
    service: Service, state: dict[str, Json], interval: tuple[str, Interval]
):
    service.holds(state)
    text, (since, until) = interval

    found = service.ids(interval=text, intervalCondition="Overlaps")

    assert found == expected(state, lambda each: max(start(each), since) < min(end(each), until))


@law
@given(states(), spelled_intervals(), st.sampled_from(({}, {"intervalCondition": "Overlaps"})))
def test_a_completion_interval_selects_appointments_completed_in_it_but_not_at_its_end(
    service: Service, state: dict[str, Json], interval: tuple[str, Interval], condition: Json
):
    service.holds(state)
    text, (since, until) = interval

    found = service.ids(completionInterval=text, **condition)

    assert found == expected(
        state,
        lambda each: "dateCompleted" in each and since <= datetime.fromisoformat(each["dateCompleted"]) < until,
    )


@law
@given(states(), some(STATUSES))
def test_statuses_select_appointments_with_any_of_them(service: Service, state: dict[str, Json], asked: list[str]):
    service.holds(state)

    assert service.ids(statuses=asked) == expected(state, lambda each: each["status"] in asked)


@law
@given(states(), some(USERS))
def test_facilitator_ids_select_appointments_of_any_of_the_facilitators(
    service: Service, state: dict[str, Json], asked: list[str]
):
    service.holds(state)

    assert service.ids(facilitatorIds=asked) == expected(state, lambda each: concerns(each, asked, ["Facilitator"]))


@law
@given(states(), moments)
def test_an_appointment_past_its_end_and_not_completed_is_overdue(
    service: Service, state: dict[str, Json], now: datetime
):
    service.holds(state)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(service.sandbox.state, "clock", lambda: now)
        found = {asked: service.ids(overdue=asked) for asked in ("True", "False", "Any")}
        shown = {each["id"] for each in service.list() if each["isOverdue"]}

    overdue = expected(state, lambda each: each["status"] != "Completed" and end(each) < now)
    everything = expected(state, lambda _: True)
    assert found == {"True": overdue, "False": everything - overdue, "Any": everything}
    assert shown == overdue


@law
@given(states(), st.sampled_from(({}, {"sortOrder": "Asc"}, {"sortOrder": "Desc"})))
def test_sort_order_sorts_by_start_over_all_pages(service: Service, state: dict[str, Json], order: Json):
    service.holds(state)

    found = [start(each) for each in service.list(**order)]

    kept = [start(state[name]) for name in expected(state, lambda _: True)]
    assert found == sorted(kept, reverse=order.get("sortOrder") == "Desc")


ARRAYS = {"userIds": USERS, "facilitatorIds": USERS, "statuses": STATUSES, "relationships": ROLES}


@law
@given(states(), st.fixed_dictionaries({}, optional={name: some(choices) for name, choices in ARRAYS.items()}))
def test_repeated_and_comma_separated_parameters_are_equivalent(service: Service, state: dict[str, Json], query: Json):
    service.holds(state)

    joined = {name: ",".join(values) for name, values in query.items()}
    mixed = {name: [",".join(values[:2]), *values[2:]] for name, values in query.items()}

    assert service.list(**query) == service.list(**joined) == service.list(**mixed)


@st.composite
def queries(draw: st.DrawFn) -> tuple[Json, Callable[[Json, Sequence[str], datetime], bool]]:
    """Some of the filters at once, and what they say together."""
    text, (since, until) = draw(spelled_intervals())
    statuses, facilitators, roles = draw(some(STATUSES)), draw(some(USERS)), draw(some(ROLES))
    overdue = draw(st.sampled_from(("True", "False")))
    filters = {
        "interval": (text, lambda each, *_: since <= start(each) < until),
        "statuses": (statuses, lambda each, *_: each["status"] in statuses),
        "facilitatorIds": (facilitators, lambda each, *_: concerns(each, facilitators, ["Facilitator"])),
        "relationships": (roles, lambda each, asked, _: concerns(each, asked, roles)),
        "overdue": (
            overdue,
            lambda each, _, now: (each["status"] != "Completed" and end(each) < now) is (overdue == "True"),
        ),
    }
    chosen = draw(st.sets(st.sampled_from(sorted(filters)), min_size=1, max_size=3))
    query = {name: filters[name][0] for name in chosen}
    return query, lambda each, asked, now: all(filters[name][1](each, asked, now) for name in chosen)


@law
@given(states(), queries(), some(USERS), moments)
def test_combined_filters_select_the_intersection_for_users_and_for_me(
    service: Service, state: dict[str, Json], query: Any, asked: list[str], now: datetime
):
    service.holds(state)
    filters, wanted = query
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(service.sandbox.state, "clock", lambda: now)
        found = service.ids(userIds=asked, **filters)
        mine = service.ids(f"{LIST}/me", **filters)

    for users_asked, ids in ((asked, found), ([ME], mine)):
        assert ids == {
            name for name, each in state.items() if concerns(each, users_asked) and wanted(each, users_asked, now)
        }


@law
@given(states(), st.integers(1, 2 * PAGE_CAP))
def test_the_pages_form_the_list_and_none_exceeds_the_requested_or_maximum_size(
    service: Service, state: dict[str, Json], asked: int
):
    service.holds(state)
    whole = service.list()
    size = min(asked, PAGE_CAP)
    count = -(-len(whole) // size)

    for number in range(1, count + 3):
        page = service.page(userIds=list(USERS), pageSize=asked, pageNumber=number)

        assert page["entities"] == whole[(number - 1) * size : number * size]
        assert (page["pageNumber"], page["pageSize"]) == (number, size)
        assert (page["total"], page["pageCount"]) == (len(whole), count)
        assert ("nextUri" in page) is (number < count)


@law
@given(states(), st.integers(1, PAGE_CAP))
def test_the_links_of_a_page_lead_through_the_list_and_back(service: Service, state: dict[str, Json], size: int):
    service.holds(state)
    whole = service.list()
    assume(whole)

    first = service.page(userIds=list(USERS), pageSize=size)
    forth = list(follow(service, first, "nextUri"))
    back = list(follow(service, forth[-1], "previousUri"))

    assert [entity for page in forth for entity in page["entities"]] == whole
    assert back == forth[::-1]
    assert {page["firstUri"] for page in forth} == {forth[0]["selfUri"]}
    assert {page["lastUri"] for page in forth} == {forth[-1]["selfUri"]}


def follow(service: Service, page: Json, link: str) -> Iterator[Json]:
    yield page
    for _ in range(page["pageCount"]):  # and no further, wherever the links lead
        if link in page:
            path, _, query = page[link].partition("?")
            page = service.page(path, userIds=list(USERS), **dict(parse_qsl(query)))
            yield page
