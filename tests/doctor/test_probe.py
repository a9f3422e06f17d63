"""The probe: answers questions that the documentation leaves open, by read requests, without identifying the org."""

import json
import math
import platform
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from coaching_async import AuthError, ClientCredentials, CoachingClient, RefreshToken
from coaching_async.cli import main
from coaching_async.doctor import REQUESTS, Report, probe
from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET, ORG_NAME, REFRESH_TOKEN, Client, Fault, Sandbox
from tests.support.cli import environment
from tests.support.doubles import Service, answer

pytestmark = [pytest.mark.anyio, pytest.mark.real_time]

ME = "11111111-1111-4111-8111-111111111111"
OPEN = [
    "maximum pageSize",
    "maximum number of userIds",
    "page beyond the end",
    "whether interval has to be given, and its longest span",
    "403 or 404 for an appointment of another division",
    "permission for the topic of a user's coaching notifications",
    "scope needed for POST queries",
    "size of the login rate limit",
    "when 202 is chosen",
    "code of a 409",
    "null to clear a field",
]
"""The questions that only the service can answer."""


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(appointments=60, users=3, page_cap=50) as sandbox:
        yield sandbox


async def of_sandbox(sandbox: Sandbox, auth: Any = None, **options: Any) -> Report:
    auth = auth or ClientCredentials(CLIENT_ID, CLIENT_SECRET)
    async with CoachingClient(auth, base_url=sandbox.base_url) as client:
        return await probe(client, **options)


def section(report: Report, question: str) -> str:
    (found,) = re.findall(rf"^## {re.escape(question)}\n\n(.*?)(?:\n\n|\Z)", report.text, re.MULTILINE | re.DOTALL)
    return found.strip()


async def test_every_open_question_has_an_answer_or_a_reason(sandbox: Sandbox):
    report = await of_sandbox(sandbox)

    assert report.is_complete
    assert re.findall("^## (.*)$", report.text, re.MULTILINE) == OPEN
    for question in OPEN[-3:]:
        assert section(report, question) == "- cannot be told without changing something"
    for question in OPEN[6:8]:
        assert section(report, question).startswith("- not asked, because ")


async def test_the_probe_only_reads_and_sends_no_more_requests_than_announced(sandbox: Sandbox, tmp_path: Path):
    sandbox.save(tmp_path / "before")

    await of_sandbox(sandbox, user_ids=[ME], foreign_appointment_id=next(iter(sandbox.state.appointments)))

    sandbox.save(tmp_path / "after")
    assert (tmp_path / "before").read_bytes() == (tmp_path / "after").read_bytes()
    assert [request.path for request in sandbox.requests if request.method != "GET"] == ["/oauth/token"]
    assert len(sandbox.requests) == REQUESTS <= 60


def words_of(sandbox: Sandbox, folder: Path) -> set[str]:
    """Return every text of the sandbox, except short ones and those of the API itself."""
    sandbox.save(folder / "state")
    found: set[str] = set()

    def collect(value: Any) -> None:
        match value:
            case dict():
                for name, each in value.items():
                    collect(each)
                    collect(name if "-" in name else "")  # an id, not the name of a field
            case list():
                for each in value:
                    collect(each)
            case str() if len(value) > 12 or " " in value:
                found.add(value)
            case _:
                pass

    collect(json.loads((folder / "state").read_text()))
    return found


@pytest.mark.parametrize("whose", ["user", "client", "stranger"])
async def test_the_report_does_not_identify_the_org(whose: str, sandbox: Sandbox, tmp_path: Path):
    sandbox.oauth.clients["stranger-id"] = Client("stranger-secret", frozenset())
    auth = {
        "user": RefreshToken(CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN),
        "client": ClientCredentials(CLIENT_ID, CLIENT_SECRET),
        "stranger": ClientCredentials("stranger-id", "stranger-secret"),
    }[whose]
    foreign = next(iter(sandbox.state.appointments))

    report = await of_sandbox(sandbox, auth, user_ids=sandbox.state.user_ids, foreign_appointment_id=foreign)

    words = words_of(sandbox, tmp_path)
    assert {foreign, *sandbox.state.user_ids} < words
    words |= {CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, ORG_NAME, "stranger", *sandbox.oauth._issued}
    words |= {sandbox.base_url.removeprefix("http://"), platform.node(), str(Path.home())}
    assert [word for word in words if word in report.text] == []
    assert not re.search(r"[0-9a-f]{8}-", report.text)


async def test_free_text_of_the_service_is_left_out():
    person = "Erika Mustermann"
    hostile: dict[str, Any] = {
        "entities": [{"id": "v2.users.{id}.wem.coaching.notification", "requiresPermissions": [person, 1]}],
        "authorizedScope": [person, "coaching:readonly", 7],
        "pageSize": person,
        "pageCount": person,
        "code": f"not.{person}",
        "message": person,
    }
    for status in (200, 403):
        report = await probe(Service(lambda request, status=status: answer(hostile, status)).client())

        assert person not in report.text
    well = await probe(Service(lambda request: answer(hostile)).client())
    assert "its coaching scopes: coaching:readonly." in well.text
    assert section(well, OPEN[5]) == "- requires no permission that is told"


# Findings


async def test_the_largest_page_size_is_found(sandbox: Sandbox):
    report = await of_sandbox(sandbox, user_ids=sandbox.state.user_ids)

    assert section(report, OPEN[0]).splitlines() == [
        f"- asked for {size}: 200; told pageSize 50, entities: as many" for size in (100, 200, 500, 1000)
    ]


def refusing(what: Callable[[httpx.QueryParams], bool]) -> Service:
    def answered(request: httpx.Request) -> httpx.Response:
        if what(request.url.params):
            return answer({"code": "invalid.query.param.value", "message": "no"}, 400)
        return answer({"entities": [{"id": "x"}], "pageSize": 25, "pageCount": 1})

    return Service(answered)


async def test_a_refused_page_size_or_list_of_ids_is_reported_with_status_and_code():
    pages = await probe(refusing(lambda query: int(query.get("pageSize", 1)) > 200).client())
    users = await probe(refusing(lambda query: len(query.get_list("userIds")) > 100).client())

    assert "- asked for 500: 400 invalid.query.param.value" in section(pages, OPEN[0])
    assert section(users, OPEN[1]).splitlines()[-2:] == [
        "- 200 made-up ids: 400 invalid.query.param.value",
        "- more were not asked for",
    ]


async def test_the_refusal_of_made_up_ids_is_reported():
    def answered(request: httpx.Request) -> httpx.Response:
        return answer({"code": "not.found"}, 404) if "userIds" in request.url.params else answer({})

    report = await probe(Service(answered).client())

    assert section(report, OPEN[1]) == "- 1 made-up id: 404 not.found\n- so made-up ids tell nothing"


async def test_pages_beyond_the_end_are_requested(sandbox: Sandbox):
    assert "no entities" in section(await of_sandbox(sandbox, user_ids=[ME]), OPEN[2])
    assert "the list is empty" in section(await of_sandbox(sandbox), OPEN[2])


async def test_intervals_end_now_and_grow_longer(sandbox: Sandbox):
    await of_sandbox(sandbox)

    asked = [
        httpx.QueryParams(request.query)["interval"] for request in sandbox.requests if "interval=" in request.query
    ]
    spans = [[datetime.fromisoformat(end) for end in each.split("/")] for each in asked]
    assert [(end - start).days for start, end in spans] == [31, 366, 3660]
    assert all(abs((datetime.now(UTC) - end).total_seconds()) < 60 for _, end in spans)


async def test_a_foreign_appointment_is_requested_if_its_id_is_given(sandbox: Sandbox):
    foreign = next(iter(sandbox.state.appointments))
    sandbox.faults.add(Fault("status", path=f"/{foreign}$", status=403))

    without, given = await of_sandbox(sandbox), await of_sandbox(sandbox, foreign_appointment_id=foreign)

    assert "no id of a foreign appointment was given" in section(without, OPEN[4])
    assert (
        section(given, OPEN[4]) == "- an id of nothing: 404 not.found\n- an id of another division: 403 not.authorized"
    )


async def test_the_permissions_of_the_notification_topic_are_read_from_the_list_of_topics():
    topic = {
        "id": "v2.users.{id}.wem.coaching.notification",
        "requiresPermissions": ["coaching:notification:view"],
        "requiresCurrentUserOrPermission": True,
    }
    topics = [{"id": "v2.users.{id}.presence"}, topic]
    service = Service(lambda request: answer({"entities": topics if "topics" in request.url.path else []}))

    assert section(await probe(service.client()), OPEN[5]) == (
        "- requires coaching:notification:view\n- requiresCurrentUserOrPermission: true"
    )


async def test_with_a_users_token_the_users_own_lists_are_requested(sandbox: Sandbox):
    report = await of_sandbox(sandbox, RefreshToken(CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN))

    assert "with the token of a user" in report.text
    assert any(request.path.endswith("/me") and "pageSize=1000" in request.query for request in sandbox.requests)


# Failures


async def test_without_a_token_there_is_an_error_and_no_report(sandbox: Sandbox):
    with pytest.raises(AuthError):
        await of_sandbox(sandbox, ClientCredentials(CLIENT_ID, "wrong"))


async def test_a_network_that_fails_midway_is_in_the_report(sandbox: Sandbox):
    sandbox.faults.add(Fault("drop_before", "GET", path="pageNumber=", times=math.inf))

    report = await of_sandbox(sandbox)

    assert not report.is_complete
    assert section(report, OPEN[2]) == "- no answer (TransportError)"
    assert "fell silent before" in section(report, OPEN[3])
    assert section(report, OPEN[8]) == "- cannot be told without changing something"


@pytest.mark.parametrize("user_ids", [["a,b"], [""], ["x"] * 51])
async def test_invalid_ids_are_refused_before_anything_is_sent(user_ids: list[str], sandbox: Sandbox):
    with pytest.raises(ValueError, match=r"an id has|are enough"):
        await of_sandbox(sandbox, user_ids=user_ids)
    for foreign in ("../me", ""):
        with pytest.raises(ValueError, match="an id has"):
            await of_sandbox(sandbox, foreign_appointment_id=foreign)
    assert sandbox.requests == []


def test_the_command_writes_the_report_and_announces_its_number_of_requests(sandbox: Sandbox, tmp_path: Path):
    run = CliRunner().invoke

    written = run(main, ["doctor", "--probe", "--out", f"{tmp_path}/report.md"], env=environment(sandbox))
    shown = run(main, ["doctor", "--probe", "--user-id", ME, "--out", "-"], env=environment(sandbox))
    nowhere = run(main, ["doctor", "--probe", "--out", f"{tmp_path}/no/report.md"], env=environment(sandbox))

    assert (written.exit_code, written.stdout) == (0, "")
    assert written.stderr == f"asking up to {REQUESTS} times, without changing anything\n"
    assert (tmp_path / "report.md").read_text().startswith("# What the Coaching API does")
    assert (shown.exit_code, shown.stdout.count("## ")) == (0, len(OPEN))
    assert (nowhere.exit_code, nowhere.stdout.count("## ")) == (2, len(OPEN))
    assert nowhere.stderr.splitlines()[-1].endswith("report.md: No such file or directory")
