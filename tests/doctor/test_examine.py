"""The doctor: finds obstacles between a program and the API without changing anything."""

import ast
import json
import math
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from click.testing import CliRunner

from coaching_async import (
    PERMISSIONS,
    AccessToken,
    ClientCredentials,
    ClientMisuse,
    CoachingClient,
    RateLimit,
    RefreshToken,
)
from coaching_async.cli import main
from coaching_async.doctor import Check, Examination, examine
from coaching_async.doctor._operations import OPERATIONS, READS
from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, Client, Fault, Sandbox
from coaching_async.sandbox import OPERATIONS as SANDBOX_OPERATIONS
from tests.support.cli import COMMAND, environment, started
from tests.support.doubles import TOKEN, Service, answer, on
from tests.support.fault_server import Authority, FaultServer, answering, ok, then
from tests.support.ports import free_port

pytestmark = [pytest.mark.anyio, pytest.mark.real_time]

SUBJECT = "authorization/subjects/me"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.lower().endswith("_proxy") or name.startswith("SSL_CERT_"):
            monkeypatch.delenv(name)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(appointments=20, users=3) as sandbox:
        yield sandbox


async def of_sandbox(sandbox: Sandbox, *needs: str, **changes: str) -> dict[str, Check]:
    names = {f"GENESYSCLOUD_{name}": value for name, value in changes.items()}
    return by_name(await examine(environ=environment(sandbox) | names, needs=needs))


def by_name(found: Examination) -> dict[str, Check]:
    checks = {check.name: check for check in found.checks}
    assert len(checks) == len(found.checks)
    assert found.is_healthy == all(check.state != "problem" for check in found.checks)
    return checks


def problems(checks: dict[str, Check]) -> list[str]:
    return [name for name, check in checks.items() if check.state == "problem"]


async def user_of(sandbox: Sandbox) -> str:
    async with CoachingClient(
        RefreshToken(CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN), base_url=sandbox.base_url
    ) as client:
        await client.warmup()
    (token,) = (each for each, issued in sandbox.oauth._issued.items() if issued.caller.user_id)
    return token


def limited(sandbox: Sandbox, *permissions: str) -> dict[str, str]:
    sandbox.oauth.clients["limited"] = Client("its-secret", frozenset(permissions))
    return {"OAUTHCLIENT_ID": "limited", "OAUTHCLIENT_SECRET": "its-secret"}


# A working setup


async def test_a_working_setup_has_no_problems_and_a_check_for_each_operation(sandbox: Sandbox):
    checks = await of_sandbox(sandbox)

    assert list(checks)[:6] == ["environment", "proxy", "connection", "credentials", "clock", "rate limit"]
    assert list(checks)[6:9] == ["channels", "notification topic", "websocket"]
    assert list(checks)[9:] == list(OPERATIONS)
    assert problems(checks) == []
    assert "24 h" in checks["credentials"].sentence
    assert {name for name in list(checks)[:5] if checks[name].state != "ok"} == set()


async def test_the_doctor_only_reads_and_changes_nothing(sandbox: Sandbox, tmp_path: Path):
    sandbox.save(tmp_path / "before")

    await of_sandbox(sandbox)

    sandbox.save(tmp_path / "after")
    assert (tmp_path / "before").read_bytes() == (tmp_path / "after").read_bytes()
    assert [(request.method, request.path) for request in sandbox.requests if request.method != "GET"] == [
        ("POST", "/oauth/token"),
        ("HEAD", "/"),
    ]
    assert len(sandbox.requests) <= 22
    assert [request.query for request in sandbox.requests if "tokens" in request.path] == ["preserveIdleTTL=true"]


def test_every_operation_that_sends_one_kind_of_request_is_examined_and_every_get_is_sent():
    assert set(OPERATIONS) == set(SANDBOX_OPERATIONS)
    assert set(READS) == {name for name, (method, _) in SANDBOX_OPERATIONS.items() if method == "GET"}
    assert set(PERMISSIONS) - set(OPERATIONS) == {"schedule_slots.find"}


# The environment


async def test_variables_are_named_without_their_values(sandbox: Sandbox):
    found = await examine(environ=environment(sandbox))

    assert "GENESYSCLOUD_OAUTHCLIENT_SECRET" in by_name(found)["environment"].sentence
    assert CLIENT_ID not in str(found)
    assert CLIENT_SECRET not in str(found)


async def test_a_region_is_shown_as_its_hosts():
    found = by_name(await examine(environ={"GENESYSCLOUD_REGION": "no.such.invalid", "GENESYSCLOUD_ACCESS_TOKEN": "t"}))

    assert "api.no.such.invalid" in found["environment"].sentence
    assert "login.no.such.invalid" in found["environment"].sentence


@pytest.mark.parametrize(
    "environ, says",
    [
        ({}, "the environment lacks GENESYSCLOUD_OAUTHCLIENT_ID and GENESYSCLOUD_OAUTHCLIENT_SECRET"),
        ({"GENESYSCLOUD_ACCESS_TOKEN": "t", "GENESYSCLOUD_REGION": "nowhere"}, "unknown region 'nowhere'"),
    ],
)
async def test_an_invalid_environment_is_a_problem_and_no_request_is_sent(environ: dict[str, str], says: str):
    checks = by_name(await examine(environ=environ))

    assert problems(checks) == ["environment"]
    assert says in checks["environment"].sentence
    assert checks["service"].state == "not known"


async def test_a_line_end_at_the_end_of_a_secret_is_reported_and_no_problem(sandbox: Sandbox):
    checks = await of_sandbox(sandbox, OAUTHCLIENT_SECRET=f"{CLIENT_SECRET}\n")

    assert problems(checks) == []
    assert "GENESYSCLOUD_OAUTHCLIENT_SECRET begins or ends with a blank" in checks["environment"].sentence


async def test_a_secret_in_quotes_is_a_problem(sandbox: Sandbox):
    checks = await of_sandbox(sandbox, OAUTHCLIENT_SECRET=f'"{CLIENT_SECRET}"')

    assert problems(checks) == ["environment"]
    assert "GENESYSCLOUD_OAUTHCLIENT_SECRET begins or ends with a quote" in checks["environment"].sentence


async def test_a_proxy_is_shown_without_its_password(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://somebody:hunter2@proxy.invalid:3128")

    found = await examine(environ=environment(sandbox))

    assert by_name(found)["proxy"] == Check(
        "proxy", "ok", f"HTTPS_PROXY is proxy.invalid:3128; {sandbox.base_url[7:]} is asked without it"
    )
    assert "hunter2" not in str(found)


@pytest.mark.parametrize("url", ["http://u:{}#x@h:80", "http://u:x@{}/x@h", "u:@{}?x@h", "http://{}:1/@h"])
async def test_a_proxy_with_an_unquoted_password_is_not_shown(
    url: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HTTPS_PROXY", url.format("12345"))

    assert "12345" not in by_name(await examine(environ=environment(sandbox)))["proxy"].sentence


@pytest.mark.parametrize(
    "name, value",
    [("ALL_PROXY", "ftp://u:hunter2@h"), ("ALL_PROXY", "http://u:hunter2/@h"), ("SSL_CERT_FILE", "/no/such/file")],
)
async def test_a_proxy_or_a_certificate_that_cannot_be_used_is_a_problem(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(name, value)

    found = await examine(environ={"GENESYSCLOUD_REGION": "no.such.invalid", "GENESYSCLOUD_ACCESS_TOKEN": "t"})

    assert problems(by_name(found)) == ["proxy"]
    assert "hunter2" not in str(found)


async def test_a_proxy_that_refuses_is_a_problem_of_the_proxy(monkeypatch: pytest.MonkeyPatch):
    with FaultServer(then(answering(status=403))) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url.replace("//", "//somebody:hunter2@"))

        found = await examine(environ={"GENESYSCLOUD_REGION": "no.such.invalid", "GENESYSCLOUD_ACCESS_TOKEN": "t"})

    checks = by_name(found)
    assert problems(checks) == ["proxy"]
    assert f"the proxy 127.0.0.1:{proxy.port} opens no connection: 403" in checks["proxy"].sentence
    assert "hunter2" not in str(found)


async def test_entries_of_no_proxy_that_mean_nothing_are_no_problem(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("no_proxy", "[::1],fd00::/8,[")
    monkeypatch.setenv("all_proxy", "socks://127.0.0.1:7891/")

    checks = await of_sandbox(sandbox)

    assert problems(checks) == []
    assert checks["proxy"].sentence == f"all_proxy is 127.0.0.1:7891; {sandbox.base_url[7:]} is asked without it"


async def test_certificates_that_other_programs_look_at_are_told_apart(monkeypatch: pytest.MonkeyPatch):
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/company.pem")
    with FaultServer(ok(), tls=Authority().server()) as server:
        region = f"https://localhost:{server.port}"
        checks = by_name(await examine(environ={"GENESYSCLOUD_REGION": region, "GENESYSCLOUD_ACCESS_TOKEN": "t"}))

    assert checks["proxy"].sentence == (
        "none is set; REQUESTS_CA_BUNDLE is not looked at: let SSL_CERT_FILE name the certificates"
    )


# The network


@pytest.mark.parametrize("region, host", [("no.such.invalid", "login.no.such.invalid"), ("http://127.0.0.1:{}", "127")])
async def test_a_host_that_cannot_be_reached_is_named(region: str, host: str, sandbox: Sandbox):
    checks = await of_sandbox(sandbox, REGION=region.format(free_port()))

    assert problems(checks) == ["connection"]
    assert checks["connection"].sentence.startswith(f"the login host {host}")
    assert checks["service"].state == "not known"
    assert "credentials" not in checks


async def test_an_unreachable_api_host_is_distinguished_from_the_login_host(sandbox: Sandbox):
    sandbox.faults.add(Fault("drop_before", "HEAD", times=math.inf))

    checks = await of_sandbox(sandbox)

    assert problems(checks) == ["connection"]
    assert checks["connection"].sentence.startswith("the API host 127.0.0.1")


async def test_advice_on_a_refused_certificate_names_what_may_intercept_the_connection():
    with FaultServer(ok(), tls=Authority().server()) as server:
        checks = by_name(
            await examine(
                environ={
                    "GENESYSCLOUD_REGION": f"https://localhost:{server.port}",
                    "GENESYSCLOUD_ACCESS_TOKEN": "t",
                }
            )
        )

    assert problems(checks) == ["connection"]
    assert "SSL_CERT_FILE" in (checks["connection"].advice or "")


async def test_a_network_that_fails_midway_is_a_problem_and_checks_without_a_response_are_unknown(sandbox: Sandbox):
    sandbox.faults.add(Fault("drop_before", "GET", times=math.inf, after=1))

    checks = await of_sandbox(sandbox)

    assert problems(checks) == ["connection"]
    assert "18 of the reads" in checks["connection"].sentence
    assert checks["clock"].state == "ok"
    assert {check.state for name, check in checks.items() if name in OPERATIONS} == {"not known"}


@pytest.mark.parametrize(
    "elsewhere", [answer(status=302, Location="https://portal.test/"), answer(status=404), answer(status=403)]
)
async def test_a_host_that_responds_unlike_the_api_is_a_problem_and_its_token_check_is_unknown(
    elsewhere: httpx.Response,
):
    service = Service(lambda request: httpx.Response(elsewhere.status_code, headers=elsewhere.headers))

    checks = by_name(await examine(service.client()))

    assert problems(checks) == ["connection"]
    assert str(elsewhere.status_code) in checks["connection"].sentence
    assert checks["credentials"].state == "not known"


def test_a_read_that_got_no_permit_in_time_is_reported(anyio_backend: Any):
    async def impatient() -> dict[str, Check]:
        entities, unknown = answer({"entities": []}), answer({"code": "not.found"}, 404)
        service = Service(lambda request: unknown if SUBJECT in request.url.path else entities)
        return by_name(await examine(service.client(rate_limit=RateLimit(9, per=60))))

    checks = anyio.run(impatient, **on(anyio_backend[0]))

    late = {name for name, check in checks.items() if "not answered in time" in check.sentence}
    changing = {name for name, check in checks.items() if "nothing may be changed" in check.sentence}
    assert late
    assert late < {*READS, "channels", "notification topic"}
    assert changing.isdisjoint(READS)
    assert "appointments.create" in changing


# The token


async def test_a_wrong_secret_is_a_problem_of_the_credentials(sandbox: Sandbox):
    checks = await of_sandbox(sandbox, OAUTHCLIENT_SECRET="wrong-secret")

    assert problems(checks) == ["credentials"]
    assert "400 invalid_client" in checks["credentials"].sentence
    assert "wrong-secret" not in str(checks)


@pytest.mark.parametrize(
    "status, body, says",
    [
        (400, {"error": "invalid_request", "description": "rate limit exceeded; wait"}, "Wait a minute"),
        (503, None, "out of order"),
    ],
)
async def test_advice_depends_on_why_there_is_no_token(status: int, body: Any, says: str, sandbox: Sandbox):
    sandbox.faults.add(Fault("status", path="/oauth", status=status, body=body, retry_after=99, times=math.inf))

    checks = await of_sandbox(sandbox)

    assert problems(checks) == ["credentials"]
    assert says in (checks["credentials"].advice or "")


@pytest.mark.parametrize(
    "portal",
    [(200, "<html>Please accept the terms"), (302, ""), (401, ""), (403, "<html>Blocked"), (404, "no such page")],
)
async def test_a_captive_portal_before_the_login_host_is_no_problem_of_the_credentials(portal: tuple[int, str]):
    service = Service(lambda _: httpx.Response(portal[0], html=portal[1]))

    checks = by_name(await examine(service.client(ClientCredentials("id", "secret"))))

    assert problems(checks) == ["connection"]
    assert f"{portal[0]} from a gateway, proxy or captive portal before" in checks["connection"].sentence
    assert "secret" not in str(checks)


async def test_a_refused_token_is_a_problem_of_the_credentials(sandbox: Sandbox):
    checks = await of_sandbox(sandbox, ACCESS_TOKEN="an-old-token")

    assert problems(checks) == ["credentials"]
    assert checks["connection"].state == "ok"
    assert "401" in checks["credentials"].sentence
    assert "wins over" in checks["environment"].sentence
    assert "an-old-token" not in str(checks)


# The clock and the rate limit


def at_once(**headers: str) -> Callable[[httpx.Request], httpx.Response]:
    return lambda request: answer({"entities": []}, **headers)


@pytest.mark.parametrize("off, says", [(-300, "ahead of"), (300, "behind")])
async def test_a_clock_that_is_wrong_by_minutes_is_a_problem(off: int, says: str):
    service = Service(at_once(Date=format_datetime(datetime.now(UTC) + timedelta(seconds=off), usegmt=True)))

    checks = by_name(await examine(service.client()))

    assert checks["clock"].state == "problem"
    assert says in checks["clock"].sentence
    assert "NTP" in (checks["clock"].advice or "")


@pytest.mark.parametrize("headers", [{}, {"Date": "yesterday"}, {"Date": f"Fri, 20 Nov 2026 14:00:00 +{10**20}"}])
async def test_without_a_valid_date_header_the_clock_is_unknown(headers: dict[str, str]):
    assert by_name(await examine(Service(at_once(**headers)).client()))["clock"].state == "not known"


@pytest.mark.parametrize(
    "value, state", [(150, "problem"), (300, "ok"), (600, "ok"), ("150", "not known"), (True, "not known")]
)
async def test_an_org_with_a_lower_rate_limit_than_the_client_is_a_problem(value: object, state: str):
    others: list[Any] = [{"key": "another", "value": 1}, {"key": ["odd"], "value": 1}]
    limits = {"entities": [{"key": "token.rate.per.minute", "value": value}, *others]}
    service = Service(lambda request: answer(limits if "limits" in request.url.path else {"entities": []}))

    check = by_name(await examine(service.client()))["rate limit"]

    assert check.state == state
    assert ("RateLimit(150, per=60)" in (check.advice or "")) is (state == "problem")


async def test_429s_show_that_another_program_uses_the_token():
    with Sandbox(appointments=1, users=1, rate_limit=4) as sandbox:
        checks = await of_sandbox(sandbox)

    assert "rate limit" in problems(checks)
    assert "429" in checks["rate limit"].sentence


# The permissions


async def test_a_missing_permission_is_reported_with_the_operations_that_need_it(sandbox: Sandbox):
    some = limited(sandbox, "coaching:appointment:view", "coaching:annotation:add")

    checks = await of_sandbox(sandbox, **some)

    assert problems(checks) == []
    assert checks["appointments.aggregate"].state == "ok"
    assert checks["annotations.create"].sentence == (
        "its roles grant coaching:annotation:add, and not coaching:privateAnnotation:add"
    )
    for operation, (permission, *_) in PERMISSIONS.items():
        if operation in checks and checks[operation].state == "not allowed":
            assert permission in checks[operation].sentence
    assert checks["appointments.delete"].sentence == "it needs coaching:appointment:delete"


async def test_a_needed_operation_that_the_token_may_not_call_is_a_problem(sandbox: Sandbox):
    some = limited(sandbox, "coaching:appointment:view")

    checks = await of_sandbox(sandbox, "appointments.list", "appointments.create", "notifications.list", **some)

    assert problems(checks) == ["appointments.create", "notifications.list"]
    assert "role" in (checks["appointments.create"].advice or "")
    assert "with_auth" in (checks["notifications.list"].advice or "")


async def test_a_user_needs_no_permission_for_some_operations_and_a_client_cannot_call_those_of_a_user(
    sandbox: Sandbox,
):
    user, client = await of_sandbox(sandbox, ACCESS_TOKEN=await user_of(sandbox)), await of_sandbox(sandbox)

    for operation in ("appointments.list_mine", "notifications.list", "notifications.mark_read"):
        assert (user[operation].state, client[operation].state) == ("ok", "not allowed")
    assert "unless the user has a part in the appointment" in user["appointments.update"].sentence
    assert "unless" not in user["appointments.create"].sentence


async def test_without_the_roles_writes_are_unknown_and_reads_are_judged_by_their_responses(sandbox: Sandbox):
    sandbox.faults.add(Fault("status", path=SUBJECT, status=403))

    checks = await of_sandbox(sandbox)

    assert checks["appointments.list"].state == "ok"
    assert checks["appointments.get"].state == checks["appointments.create"].state == "not known"
    assert "nothing may be changed to find out" in checks["appointments.create"].sentence


async def test_a_403_overrides_the_permissions_of_the_roles(sandbox: Sandbox):
    sandbox.faults.add(Fault("status", path="/appointments$", status=403))

    checks = await of_sandbox(sandbox, "appointments.list")

    assert problems(checks) == ["appointments.list"]
    assert "coaching:appointment:view" in checks["appointments.list"].sentence
    assert "scopes" in (checks["appointments.list"].advice or "")


@pytest.mark.parametrize(
    "policy, state",
    [
        ({"domain": "coaching", "entityName": "*", "actions": ["*"]}, "ok"),
        ({"domain": "*", "entityName": "appointment", "actions": ["add"]}, "ok"),
        ({"domain": "COACHING", "entityName": "APPOINTMENT", "actions": ["ADD"]}, "ok"),
        ({"domain": "coaching", "entityName": "appointment", "actions": ["view"]}, "not allowed"),
        ({"domain": "coaching", "entityName": "appointment", "actions": "add"}, "not allowed"),
        ("none", "not allowed"),
    ],
)
async def test_a_role_may_grant_wildcards_and_a_malformed_policy_grants_nothing(policy: object, state: str):
    subject = {"grants": [{"role": {"policies": [policy]}}, None, {"role": 1}]}
    service = Service(lambda request: answer(subject if SUBJECT in request.url.path else {"entities": []}))

    assert by_name(await examine(service.client()))["appointments.create"].state == state


# Calls of `examine`


async def test_every_block_of_the_doctors_page_runs(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch):
    for name, value in environment(sandbox).items():
        monkeypatch.setenv(name, value)
    page = Path(__file__).parents[2] / "docs" / "doctor.md"
    blocks = re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    async with CoachingClient.from_env() as client:
        names = {"client": client}
        for block in blocks:
            await eval(compile(block, str(page), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)


async def test_a_given_client_is_examined_as_it_is_and_stays_open(sandbox: Sandbox):
    async with CoachingClient(AccessToken(await user_of(sandbox)), base_url=sandbox.base_url) as client:
        checks = by_name(await examine(client))

        assert "environment" not in checks
        assert checks["appointments.list_mine"].state == "ok"
        assert await client.appointments.list_mine().total() >= 0


async def test_a_closed_client_and_an_unknown_operation_are_refused(sandbox: Sandbox):
    client = CoachingClient(AccessToken("t"), base_url=sandbox.base_url)
    await client.aclose()

    with pytest.raises(ClientMisuse):
        await examine(client)
    with pytest.raises(ValueError, match=r"'appointments.lst' is no operation: choose one of"):
        await examine(environ=environment(sandbox), needs=["appointments.lst"])
    assert sandbox.requests == []


@pytest.mark.anyio
async def test_needs_may_be_a_single_operation(sandbox: Sandbox):
    assert (await examine(environ=environment(sandbox), needs="appointments.list")).is_healthy


async def silence(_: httpx.Request) -> httpx.Response:
    await anyio.sleep_forever()
    raise AssertionError


async def slow(request: httpx.Request) -> httpx.Response:
    return answer() if request.method == "HEAD" or "tokens" in request.url.path else await silence(request)


@pytest.mark.parametrize("service", [silence, slow])
def test_a_silent_host_takes_less_than_a_minute(service: Any, anyio_backend: Any):
    async def patient() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(service)) as http:
            client = CoachingClient(
                AccessToken(TOKEN),
                base_url="https://api.test",
                http_client=http,
                max_concurrency=1,
            )
            began = anyio.current_time()
            assert problems(by_name(await examine(client))) == ["connection"]
            assert anyio.current_time() - began < 60

    anyio.run(patient, **on(anyio_backend[0]))


# The command


def test_the_command_prints_a_line_for_each_check_and_fails_if_there_is_a_problem(sandbox: Sandbox):
    shown = CliRunner().invoke(main, ["doctor"], env=environment(sandbox))
    assert (shown.exit_code, shown.stderr) == (0, "")
    assert len(shown.stdout.splitlines()) == 9 + len(OPERATIONS)
    assert "ok          credentials: the token is accepted; it lives 24 h\n" in shown.stdout

    options = ["doctor", "--json", "--operation", "notifications.list"]
    told = CliRunner().invoke(main, options, env=environment(sandbox))
    assert (told.exit_code, told.stderr) == (1, "")
    assert [each["name"] for each in json.loads(told.stdout) if each["state"] == "problem"] == ["notifications.list"]


@pytest.mark.parametrize("options", [[], ["--probe"]])
def test_an_interrupted_doctor_reports_that_nothing_was_changed(
    options: list[str], sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name, value in environment(sandbox).items():
        monkeypatch.setenv(name, value)
    sandbox.faults.add(Fault("stall", path="/api/v2/tokens/me"))

    with started("doctor", *options, cwd=tmp_path) as process:
        while not any("tokens" in arrival.path for arrival in sandbox.requests):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        said, errors = process.communicate()

    assert (process.returncode, said) == (130, "")
    assert errors.splitlines()[-1] == "coaching-async: interrupted; nothing was changed"
    assert len(errors.splitlines()) == 1 + len(options)


@pytest.mark.parametrize("options", [[], ["--json"], ["--probe"]])
def test_an_output_that_cannot_be_written_is_reported_in_one_line(options: list[str], sandbox: Sandbox, tmp_path: Path):
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(
            [*COMMAND, "doctor", *options],
            env=os.environ | environment(sandbox),
            check=False,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )

    assert ran.returncode == 2
    assert ran.stderr.splitlines()[-1] == "coaching-async: cannot write to the output: No space left on device"


def test_characters_that_the_encoding_of_the_output_lacks_are_replaced(sandbox: Sandbox):
    ran = subprocess.run(
        [*COMMAND, "doctor"],
        env=os.environ
        | environment(sandbox)
        | {"GENESYSCLOUD_OAUTHCLIENT_SECRET": "wrong", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
        check=False,
        capture_output=True,
        text=True,
    )

    assert (ran.returncode, ran.stderr) == (1, "")
    assert ran.stdout.splitlines()[-1].startswith("not known   service: ")


@pytest.mark.parametrize(
    "options, says",
    [
        (["--operation", "nonsense"], "'nonsense' is no operation"),
        (["--user-id", "1"], "go with --probe"),
        (["--probe", "--json"], "go with --probe"),
        (["--probe", "--user-id", "a,b"], "an id has letters, digits and dashes only"),
    ],
)
def test_invalid_options_are_refused(options: list[str], says: str, sandbox: Sandbox):
    refused = CliRunner().invoke(main, ["doctor", *options], env=environment(sandbox))

    assert (refused.exit_code, refused.stdout) == (2, "")
    assert says in refused.stderr.splitlines()[-1]
    assert sandbox.requests == []
