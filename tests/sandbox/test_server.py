"""The server of the sandbox: start and stop, options, recorded requests, rate limit."""

from __future__ import annotations

import math
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from typing import TYPE_CHECKING

import anyio
import httpx
import pytest

from coaching_async.sandbox import Fault, Sandbox
from tests.sandbox.api import (
    APPOINTMENTS,
    BASIC,
    MINIMAL,
    Api,
    token_of,
)
from tests.support.doubles import CUT
from tests.support.fault_server import HANG, wait_until
from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_the_sandbox_serves_async_code_on_both_backends_and_leaves_nothing(anyio_backend: str):
    async with Sandbox(appointments=4) as sandbox, httpx.AsyncClient(base_url=sandbox.base_url) as client:
        form = {"grant_type": "client_credentials"}
        answers: list[int] = []

        async def ask() -> None:
            answers.append((await client.post("/oauth/token", data=form, auth=BASIC)).status_code)

        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(ask)
    assert answers == [200] * 10
    assert not any(thread.name == "coaching-sandbox" for thread in threading.enumerate())


def test_leaving_frees_the_port_at_once_and_the_sandbox_can_be_entered_again():
    port = free_port()
    with Sandbox(appointments=1, port=port) as sandbox, httpx.Client() as client:
        client.get(sandbox.base_url)
    for _ in range(2):
        with Sandbox(port=port) as again:
            assert again.base_url == f"http://127.0.0.1:{port}" == again.login_url
    with pytest.raises(RuntimeError):
        again.base_url  # noqa: B018


def test_a_port_in_use_is_an_os_error_that_names_it():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=str(port)), Sandbox(port=port):
            pass


def test_entering_twice_is_refused(sandbox: Sandbox):
    with pytest.raises(RuntimeError), sandbox:
        pass


def test_leaving_does_not_wait_for_open_requests():
    cut_off: list[str] = []

    def ask(url: str) -> None:
        with pytest.raises(CUT):
            httpx.get(url, timeout=HANG)
        cut_off.append(url)

    with Sandbox(appointments=1, latency=60) as sandbox:
        sandbox.faults.add(Fault("stall", path="stalled"))
        urls = [f"{sandbox.base_url}/stalled", f"{sandbox.base_url}/api/v2/late"]
        threads = [threading.Thread(target=ask, args=[url]) for url in urls]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(sandbox.requests) == 2)
    for thread in threads:
        thread.join()
    assert sorted(cut_off) == sorted(urls)
    assert [arrival.status for arrival in sandbox.requests] == [None, None]


def test_an_interrupt_stops_the_sandbox_without_other_output():
    program = """
        import time
        import httpx
        from coaching_async.sandbox import Sandbox
        with Sandbox() as sandbox:
            httpx.get(sandbox.base_url)
            print("up", flush=True)
            while True:  # and no import, in which Python may swallow an interrupt
                time.sleep(0.1)  # a signal right before a sleep does not end it
    """
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(program)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        os.kill(process.pid, signal.SIGINT)
        out, errors = process.communicate(timeout=HANG)
    assert out == ""
    assert errors.strip().splitlines()[-1] == "KeyboardInterrupt"
    assert "Exception" not in errors


@pytest.mark.parametrize(
    "option",
    [
        {"appointments": -1},
        {"users": 0},
        {"page_cap": 0},
        {"rate_limit": 0},
        {"login_rate_limit": 0},
        {"requests_kept": 0},
        {"rate_window": 0},
        {"rate_window": math.nan},
        {"token_life": 0},
        {"latency": -0.1},
        {"port": 65536},
    ],
)
def test_an_option_out_of_range_is_named(option: dict[str, float]):
    with pytest.raises(ValueError, match=next(iter(option))):
        Sandbox(**option)  # type: ignore[arg-type]


def test_responses_are_delayed_by_the_latency(start_sandbox: Callable[..., Sandbox]):
    with Api(start_sandbox(appointments=1, latency=0.05)) as api:
        started = time.monotonic()
        api.get(APPOINTMENTS)
        assert time.monotonic() - started >= 0.05


def test_requests_are_recorded_with_their_status(sandbox: Sandbox, api: Api):
    api.get(f"{APPOINTMENTS}/a%2Fb?x=1")
    arrival = sandbox.requests[-1]
    assert (arrival.method, arrival.path, arrival.query) == ("GET", f"{APPOINTMENTS}/a%2Fb", "x=1")
    assert arrival.status == 404
    assert arrival.at.tzinfo is not None


def test_above_the_rate_limit_nothing_is_carried_out_until_the_window_has_passed(start_sandbox: Callable[..., Sandbox]):
    sandbox = start_sandbox(appointments=0, rate_limit=2, rate_window=42.5)
    with Api(sandbox, token_of(sandbox)) as api, Api(sandbox, token_of(sandbox)) as other:
        assert [api.post(APPOINTMENTS, json=MINIMAL).status_code for _ in range(4)] == [201, 201, 429, 429]
        refused = api.post(APPOINTMENTS, json=MINIMAL)
        assert 0 < int(refused.headers["Retry-After"]) <= 43
        assert "seconds" in refused.json()["message"]
        assert refused.json()["limit"]["value"] == 2
        assert len(sandbox.state.appointments) == 2
        assert other.post(APPOINTMENTS, json=MINIMAL).status_code == 201
        assert sandbox._service.rate_limit is not None
        sandbox._service.rate_limit.now = lambda: time.monotonic() + 42.5
        assert api.post(APPOINTMENTS, json=MINIMAL).status_code == 201


def test_an_encoded_id_is_one_path_segment(api: Api, sandbox: Sandbox):
    sandbox.state.create("a/b?c", {**MINIMAL}, None)
    assert api.get(f"{APPOINTMENTS}/a%2Fb%3Fc").json()["id"] == "a/b?c"
    assert api.get(f"{APPOINTMENTS}/x%2Fstatuses").json()["entityId"] == "x/statuses"
    assert api.get(f"{APPOINTMENTS}/%6De").json()["entityId"] == "me"
    assert "entityId" not in api.get(f"{APPOINTMENTS}/a/b").json()


def test_an_unknown_method_is_refused_with_the_allowed_ones(api: Api):
    assert api.put(f"{APPOINTMENTS}/x").headers["Allow"] == "DELETE, GET, PATCH"
    assert api.get("/oauth/token").status_code == 405


def test_a_bug_in_the_sandbox_is_a_500_that_is_logged(sandbox: Sandbox, api: Api, caplog: pytest.LogCaptureFixture):
    broken, appointment = next(iter(sandbox.state.appointments.items()))
    appointment.clear()
    assert api.get(f"{APPOINTMENTS}/{broken}").json()["code"] == "internal.server.error"
    assert "KeyError" in caplog.text
