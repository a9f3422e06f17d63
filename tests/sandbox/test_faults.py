"""Faults: each kind, and their control over HTTP."""

from __future__ import annotations

import math
import zlib
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from coaching_async.sandbox import Fault, Sandbox
from coaching_async.sandbox._faults.fault import KINDS
from coaching_async.sandbox._faults.handlers import HANDLERS
from coaching_async.sandbox._faults.registry import Faults
from tests.sandbox.api import APPOINTMENTS, MINIMAL, Api, token_of
from tests.support.doubles import CUT
from tests.support.fault_server import HANG, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FAULTS = "/_sandbox/faults"
REQUESTS = "/_sandbox/requests"


@pytest.fixture
def raw(sandbox: Sandbox) -> Iterator[httpx.Client]:
    """A client with a token, without a check of the responses."""
    headers = {"Authorization": f"Bearer {token_of(sandbox)}"}
    with httpx.Client(base_url=sandbox.base_url, headers=headers, timeout=HANG, trust_env=False) as client:
        yield client


def test_every_kind_has_a_handler():
    assert tuple(HANDLERS) == KINDS


def test_every_kind_is_described():
    assert [kind for kind in KINDS if f"`{kind}`" not in (Fault.__doc__ or "")] == []


# responses


def test_a_dripping_response_is_complete_and_sent_byte_by_byte(sandbox: Sandbox, raw: httpx.Client):
    sandbox.faults.add(Fault("drip", method="POST", delay=0.0001))
    with raw.stream("POST", APPOINTMENTS, json=MINIMAL) as response:
        pieces = list(response.iter_raw())
        assert response.status_code == 201
    assert len(pieces) > 3
    assert len(b"".join(pieces)) == int(response.headers["Content-Length"])
    assert len(sandbox.state.appointments) == 61


def test_a_slowly_dripping_response_can_be_abandoned(sandbox: Sandbox, raw: httpx.Client):
    sandbox.faults.add(Fault("drip", delay=60))
    with pytest.raises(httpx.ReadTimeout):
        raw.get(f"{APPOINTMENTS}/x", timeout=httpx.Timeout(HANG, read=0.05))


def test_a_response_without_a_body_does_not_drip(sandbox: Sandbox, raw: httpx.Client):
    sandbox.faults.add(Fault("drip", method="DELETE", delay=60))
    assert raw.delete(f"{APPOINTMENTS}/{next(iter(sandbox.state.appointments))}").status_code == 204


def test_garbage_is_no_http_and_nothing_is_carried_out(sandbox: Sandbox, raw: httpx.Client):
    sandbox.faults.add(Fault("garbage"))
    with pytest.raises(CUT):
        raw.post(APPOINTMENTS, json=MINIMAL)
    assert len(sandbox.state.appointments) == 60
    assert sandbox.requests[-1].status is None


def test_an_html_page_replaces_the_response(sandbox: Sandbox, raw: httpx.Client):
    sandbox.faults.add(Fault("html"))
    page = raw.post(APPOINTMENTS, json=MINIMAL)
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert page.text.startswith("<!doctype html>")
    assert len(sandbox.state.appointments) == 60


def test_json_of_the_wrong_shape_never_matches_the_contract(sandbox: Sandbox, raw: httpx.Client):
    sandbox.faults.add(Fault("wrong_shape", times=math.inf))
    page = raw.get(APPOINTMENTS, params={"userIds": "x"})
    assert (page.status_code, page.json()["pageSize"]) == (200, 25)
    assert not isinstance(page.json()["entities"], list)
    created = raw.post(APPOINTMENTS, json=MINIMAL)
    assert (created.status_code, created.json()[0]["name"]) == (200, "n")
    assert raw.delete(created.json()[0]["selfUri"]).json() == [{}]
    assert len(sandbox.state.appointments) == 60


def test_an_odd_row_has_its_id_and_nothing_else_as_it_was(sandbox: Sandbox, raw: httpx.Client):
    user = sandbox.state.user_ids[0]
    before = raw.get(APPOINTMENTS, params={"userIds": user}).json()
    sandbox.faults.add(Fault("odd_row", times=3))

    page = raw.get(APPOINTMENTS, params={"userIds": user}).json()

    assert page["entities"][0] == {name: {"unexpected": True} for name in before["entities"][0]} | {
        "id": before["entities"][0]["id"]
    }
    assert page | {"entities": page["entities"][1:]} == before | {"entities": before["entities"][1:]}
    assert raw.get(APPOINTMENTS, params={"userIds": "x"}).json()["entities"] == []
    assert raw.get(f"{APPOINTMENTS}/x").status_code == 404


@pytest.mark.parametrize("size", [1, 2**20, 2**20 + 1, 3 * 2**20 - 1])
def test_a_gzip_bomb_is_small_until_it_is_decompressed(sandbox: Sandbox, raw: httpx.Client, size: int):
    sandbox.faults.add(Fault("gzip_bomb", size=size))
    with raw.stream("GET", APPOINTMENTS) as response:
        packed = b"".join(response.iter_raw())
    assert (response.status_code, response.headers["Content-Encoding"]) == (200, "gzip")
    assert len(packed) < 100 + size / 500
    assert len(zlib.decompress(packed, wbits=31)) == size


def test_a_gzip_bomb_can_be_abandoned(sandbox: Sandbox, raw: httpx.Client):
    sandbox.faults.add(Fault("gzip_bomb", size=2**40))
    with raw.stream("GET", APPOINTMENTS) as response:
        assert next(response.iter_raw())
    assert raw.get(f"{APPOINTMENTS}/x").status_code == 404


def test_a_redirect_has_its_location(sandbox: Sandbox, raw: httpx.Client):
    sandbox.faults.add(Fault("redirect", location="https://elsewhere.example/x"))
    answer = raw.post(APPOINTMENTS, json=MINIMAL)
    assert (answer.status_code, answer.headers["Location"]) == (307, "https://elsewhere.example/x")
    assert len(sandbox.state.appointments) == 60


def test_after_tokens_are_revoked_the_next_request_fails_too(sandbox: Sandbox, api: Api):
    sandbox.faults.add(Fault("revoke"))
    assert [api.get(f"{APPOINTMENTS}/x").status_code for _ in range(2)] == [401, 401]
    api.headers["Authorization"] = f"Bearer {token_of(sandbox)}"
    assert api.get(f"{APPOINTMENTS}/x").status_code == 404


def test_drop_before_comes_before_the_work_and_drop_after_after_it(sandbox: Sandbox, api: Api):
    for kind, done in (("drop_before", 0), ("drop_after", 1)):
        before = len(sandbox.state.appointments)
        sandbox.faults.add(Fault(kind, method="post", path=APPOINTMENTS))
        with pytest.raises(CUT):
            api.post(APPOINTMENTS, json=MINIMAL)
        assert len(sandbox.state.appointments) == before + done
        assert sandbox.requests[-1].status is None


def test_half_a_body_is_sent_after_the_work(sandbox: Sandbox, api: Api):
    sandbox.faults.add(Fault("half_body"))
    with pytest.raises(CUT):
        api.post(APPOINTMENTS, json=MINIMAL)
    assert len(sandbox.state.appointments) == 61
    assert sandbox.requests[-1].status == 201


def test_a_status_fault_replaces_the_work(sandbox: Sandbox, api: Api):
    sandbox.faults.add(Fault("status", method="POST", status=503, retry_after=7))
    refused = api.post(APPOINTMENTS, json=MINIMAL)
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "7")
    assert len(sandbox.state.appointments) == 60
    sandbox.faults.add(Fault("status", status=502, body="<html>"))
    with httpx.Client(base_url=sandbox.base_url) as client:
        gateway = client.get(APPOINTMENTS)
    assert (gateway.text, gateway.headers["Content-Type"]) == ("<html>", "text/html; charset=utf-8")
    sandbox.faults.add(Fault("status", path="/oauth/token", status=400, body={"error": "invalid_request"}))
    assert api.token(grant_type="client_credentials").json() == {"error": "invalid_request"}


def test_a_stalled_request_ends_when_the_client_disconnects(sandbox: Sandbox, api: Api):
    sandbox.faults.add(Fault("stall"))
    with pytest.raises(httpx.ReadTimeout):
        api.get(APPOINTMENTS, timeout=httpx.Timeout(HANG, read=0.05))
    assert api.get(APPOINTMENTS).status_code == 400


def test_accepted_work_has_no_effect_at_first(sandbox: Sandbox, api: Api):
    one = api.post(APPOINTMENTS, json=MINIMAL).json()["selfUri"]
    sandbox.faults.add(Fault("accepted", delay=math.inf, times=3))
    created = api.post(APPOINTMENTS, json=MINIMAL)
    changed = api.patch(one, json={"name": "m"})
    deleted = api.delete(one)

    assert [answer.status_code for answer in (created, changed, deleted)] == [202, 202, 202]
    assert set(created.json()) == {"id", "selfUri"}
    assert changed.json()["selfUri"] == one
    assert api.get(created.json()["selfUri"]).status_code == 404
    assert api.get(one).json()["name"] == "n"


def test_accepted_work_is_carried_out_after_a_delay(sandbox: Sandbox, api: Api):
    sandbox.faults.add(Fault("accepted", delay=0.01, times=3))
    reference = api.post(APPOINTMENTS, json=MINIMAL)
    one = reference.json()["selfUri"]
    wait_until(lambda: api.get(one).status_code == 200)
    sandbox.faults.clear()
    sandbox.faults.add(Fault("accepted", method="PATCH", delay=0.01), Fault("accepted", method="DELETE", delay=0.01))
    assert api.patch(one, json={"name": "m"}).json() == reference.json()
    wait_until(lambda: api.get(one).json()["name"] == "m")
    assert api.delete(one).status_code == 202
    wait_until(lambda: api.get(one).status_code == 404)
    assert api.patch(one, json={}).status_code == 404


def test_accepted_work_is_validated_first(sandbox: Sandbox, api: Api):
    sandbox.faults.add(Fault("accepted", times=math.inf))
    assert api.post(APPOINTMENTS, json={}).status_code == 400
    assert api.patch(f"{APPOINTMENTS}/x", json={}).status_code == 404


def test_a_fault_skips_the_first_requests_and_applies_a_limited_number_of_times(sandbox: Sandbox, api: Api):
    fault = Fault("status", method="GET", path="pageNumber=2$", after=1, times=2, status=500)
    sandbox.faults.add(fault)
    assert sandbox.faults.pending == (fault,)

    def status(number: int) -> int:
        return api.get(APPOINTMENTS, params={"userIds": "x", "pageNumber": number}).status_code

    assert [status(1), status(2), status(2), status(1), status(2), status(2)] == [200, 200, 500, 200, 500, 200]
    assert sandbox.faults.pending == ()


@pytest.mark.parametrize(
    "arguments",
    [
        {"kind": "explode"},
        {"kind": "status"},
        {"kind": "stall", "status": 500},
        {"kind": "stall", "times": 0},
        {"kind": "stall", "after": -1},
        {"kind": "status", "status": 42},
    ],
)
def test_an_invalid_fault_is_refused(arguments: dict[str, Any]):
    with pytest.raises(ValueError):  # noqa: PT011
        Fault(**arguments)


@pytest.mark.parametrize(
    "make, problem",
    [
        (lambda: Fault("stall", times=None), "times must be a number, not None"),
        (lambda: Fault("stall", times="2"), "times must be a number, not '2'"),
        (lambda: Fault("stall", after=1.5), "after must be a whole number, not 1.5"),
        (lambda: Fault("stall", path=5), "path must be a text, not 5"),
        (lambda: Fault("stall", method=5), "method must be a text, not 5"),
        (lambda: Fault("redirect", location=5), "location must be a text, not 5"),
        (lambda: Fault("status", status="503"), "status must be a whole number, not '503'"),
        (lambda: Fault("status", status=503, retry_after=[]), "retry_after must be a number, not []"),
        (lambda: Fault("drip", delay=None), "delay must be a number, not None"),
        (lambda: Fault("gzip_bomb", size=1e6), "size must be a whole number, not 1000000.0"),
        (lambda: Faults().add("stall"), "add() takes Fault objects, not 'stall'"),
        (lambda: Faults().add([Fault("stall")]), "add() takes Fault objects, not [Fault(kind='stall'"),
    ],
)
def test_a_fault_with_a_value_of_a_wrong_kind_is_refused(make: Callable[[], object], problem: str):
    with pytest.raises(TypeError) as raised:
        make()

    assert problem in str(raised.value)


@pytest.mark.parametrize(
    "kind, problem",
    [(503, 'not 503; did you mean Fault("status", status=503)?'), (None, "not None"), ("stal", "did you mean stall?")],
)
def test_a_kind_that_there_is_not_is_refused_with_the_one_that_was_meant(kind: Any, problem: str):
    with pytest.raises(ValueError, match="kind must be one of") as raised:
        Fault(kind)

    assert str(raised.value).endswith(problem)


# list changes


def read(api: Api, sandbox: Sandbox, disturbance: str, **query: Any) -> list[str]:
    """Read pages of five; the list changes before the second page."""
    sandbox.faults.add(Fault(disturbance, path="pageNumber=2"))
    return api.ids(pageSize=5, **query)


@pytest.fixture(params=["Asc", "Desc"])
def query(request: pytest.FixtureRequest, sandbox: Sandbox) -> dict[str, Any]:
    interval = "2026-10-10T00:00:00Z/2027-01-20T00:00:00Z"
    return {"userIds": sandbox.state.user_ids[:2], "sortOrder": request.param, "interval": interval}


def test_an_insert_makes_a_reader_of_pages_see_one_item_twice(api: Api, sandbox: Sandbox, query: dict[str, Any]):
    before = api.ids(**query)
    assert read(api, sandbox, "insert", **query) == [*before[:5], before[4], *before[5:]]
    new, *rest = api.ids(**query)
    assert rest == before
    assert api.get(f"{APPOINTMENTS}/{new}").json()["selfUri"].endswith(new)
    status = api.get(f"{APPOINTMENTS}/{new}").json()["status"]
    assert [entity["status"] for entity in api.get(f"{APPOINTMENTS}/{new}/statuses").json()["entities"]] == [status]


def test_a_delete_makes_a_reader_of_pages_miss_one_item(api: Api, sandbox: Sandbox, query: dict[str, Any]):
    before = api.ids(**query)
    assert read(api, sandbox, "delete", **query) == [*before[:5], *before[6:]]
    assert api.ids(**query) == before[1:]
    assert api.get(f"{APPOINTMENTS}/{before[0]}").status_code == 404


def test_a_reorder_makes_a_reader_of_pages_see_one_item_twice_and_miss_one(
    api: Api, sandbox: Sandbox, query: dict[str, Any]
):
    before = api.ids(**query)
    seen = read(api, sandbox, "reorder", **query)
    assert (len(seen), set(before) - set(seen)) == (len(before), {before[5]})
    after = api.ids(**query)
    assert sorted(after) == sorted(before)
    assert before[0] in after[-2:]


def test_a_list_change_affects_only_a_list_that_the_caller_may_read(sandbox: Sandbox, mine: Api, me: str):
    whole = mine.ids(f"{APPOINTMENTS}/me")
    sandbox.faults.add(Fault("delete", times=3))
    assert mine.get(APPOINTMENTS, params={"userIds": me}).status_code == 403
    assert mine.get(f"{APPOINTMENTS}/{whole[0]}").status_code == 200
    assert mine.ids(f"{APPOINTMENTS}/me", pageSize=100) == whole[1:]
    assert sandbox.faults.pending == ()
    assert len(sandbox.state.appointments) == 59


@pytest.mark.parametrize("disturbance", ["insert", "delete", "reorder"])
def test_an_empty_list_does_not_change(sandbox: Sandbox, api: Api, disturbance: str):
    sandbox.faults.add(Fault(disturbance))
    assert api.ids(userIds="nobody") == []
    assert len(sandbox.state.appointments) == 60


@pytest.mark.parametrize(
    "first", ["a/b", "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff", "A" * 32]
)
def test_an_insert_chooses_an_id_before_or_after_any_other(start_sandbox: Callable[..., Sandbox], first: str):
    sandbox = start_sandbox(appointments=0)
    with Api(sandbox, token_of(sandbox)) as api:
        sandbox.state.create(first, {**MINIMAL}, None)
        for order in ("Asc", "Asc", "Desc", "Desc"):
            before = api.ids(userIds="someone", sortOrder=order)
            sandbox.faults.add(Fault("insert"))
            assert api.ids(userIds="someone", sortOrder=order)[1:] == before


# over HTTP


def test_faults_are_added_and_cleared_without_a_token(sandbox: Sandbox, api: Api):
    one = httpx.post(f"{sandbox.base_url}{FAULTS}", json={"kind": "status", "status": 503, "retry_after": 7})
    assert (one.status_code, one.json()[0]["retry_after"]) == (201, 7)
    assert api.get(APPOINTMENTS).headers["Retry-After"] == "7"
    several = [{"kind": "drip", "delay": 0.5, "times": None}, {"kind": "redirect", "location": "/x", "after": 2}]
    assert httpx.post(f"{sandbox.base_url}{FAULTS}", json=several).status_code == 201
    expected = (Fault("drip", delay=0.5, times=math.inf), Fault("redirect", location="/x", after=2))
    assert sandbox.faults.pending == expected
    assert httpx.delete(f"{sandbox.base_url}{FAULTS}").status_code == 204
    assert sandbox.faults.pending == ()


@pytest.mark.parametrize(
    "body, complaint",
    [
        ("{", "not JSON"),
        ("1", "JSON object"),
        ('[{"kind": "stall"}, []]', "JSON object"),
        ("{}", "kind is missing"),
        ('{"kind": null}', "kind must be a string, not null"),
        ('{"kind": "explode"}', "kind must be one of"),
        ('{"kind": "stall", "when": 1}', "no when"),
        ('{"kind": "stall", "times": "twice"}', 'times must be a number, not "twice"'),
        ('{"kind": "stall", "times": 0}', "times"),
        ('{"kind": "stall", "times": Infinity}', "not JSON"),
        ('{"kind": "stall", "after": true}', "after must be a whole number, not true"),
        ('{"kind": "stall", "path": "("}', "path must be a regular expression"),
        ('{"kind": "status"}', "status belongs to"),
        ('{"kind": "redirect"}', "location belongs to"),
        ('{"kind": "html", "location": "/"}', "location belongs to"),
        ('{"kind": "gzip_bomb", "size": 0}', "size"),
    ],
)
def test_an_invalid_list_of_faults_is_refused_as_a_whole_with_a_reason(sandbox: Sandbox, body: str, complaint: str):
    refused = httpx.post(f"{sandbox.base_url}{FAULTS}", content=body)
    assert (refused.status_code, refused.json()["code"]) == (400, "bad.request")
    assert complaint in refused.json()["message"]
    assert sandbox.faults.pending == ()


def test_the_recorded_requests_can_be_read_without_being_recorded(sandbox: Sandbox):
    httpx.get(f"{sandbox.base_url}{APPOINTMENTS}?userIds=x")
    for _ in range(2):
        arrived = httpx.get(f"{sandbox.base_url}{REQUESTS}").json()
    assert [{**each, "at": None} for each in arrived] == [
        {"method": "GET", "path": APPOINTMENTS, "query": "userIds=x", "status": 401, "at": None}
    ]
    assert arrived[0]["at"].endswith("Z")


def test_control_requests_ignore_faults_and_limits(start_sandbox: Callable[..., Sandbox]):
    sandbox = start_sandbox(appointments=1, rate_limit=1, login_rate_limit=1, latency=60)
    sandbox.faults.add(Fault("stall", times=math.inf))
    for _ in range(3):
        assert httpx.get(f"{sandbox.base_url}{REQUESTS}").json() == []
    assert httpx.put(f"{sandbox.base_url}{FAULTS}").headers["Allow"] == "DELETE, GET, POST"


def test_only_the_newest_requests_are_kept(start_sandbox: Callable[..., Sandbox]):
    sandbox = start_sandbox(appointments=1, requests_kept=2)
    sandbox.faults.add(Fault("stall", path="1"))
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(f"{sandbox.base_url}/1", timeout=httpx.Timeout(HANG, read=0.05))
    wait_until(lambda: len(sandbox.requests) == 1)
    for number in (2, 3, 4):
        httpx.get(f"{sandbox.base_url}/{number}")
    assert [request.path for request in sandbox.requests] == ["/3", "/4"]
