"""The stream of events in the standard library's logging."""

import logging
import signal
from weakref import WeakSet

import anyio
import httpcore
import httpx
import pytest
from httpcore._trace import Trace

from coaching_async._transport.httpcore_hooks import HttpcoreTrace
from tests.support.doubles import Service, answer, request_of

pytestmark = pytest.mark.anyio


async def test_every_event_is_logged_at_debug_and_a_retry_at_info(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG, "coaching_async")

    async with Service([answer(status=503), answer({"id": "1"}, ININ_Correlation_Id="c-1")]).client() as client:
        await client.appointments.get("an-id")

    said = [(record.levelname, record.getMessage()) for record in caplog.records if record.name == "coaching_async"]
    assert [level for level, _ in said] == ["DEBUG", "DEBUG", "DEBUG", "INFO", "DEBUG", "DEBUG", "DEBUG"]
    assert said[0][1] == "appointments.get"
    assert said[3][1].startswith("appointments.get: 503 at request 1, next one in ")
    assert "answered 200" in said[5][1]
    assert "correlation id c-1" in said[5][1]
    assert "appointments.get: done after " in said[6][1]
    assert not [text for _, text in said if "an-id" in text]


async def test_a_failed_request_is_logged_with_the_class_of_its_error(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG, "coaching_async")

    async with Service([httpx.ReadError("cut")]).client() as client:
        with pytest.raises(Exception, match="cut"):
            await client.annotations.update("1", "2", "t")

    said = [record.getMessage() for record in caplog.records if record.name == "coaching_async"]
    assert any("annotations.update: request 1 failed after " in text and "ReadError" in text for text in said)
    assert any("annotations.update: OutcomeUnknown after " in text for text in said)


async def test_a_write_that_is_cancelled_in_flight_is_the_only_warning(
    caplog: pytest.LogCaptureFixture,
):
    service = Service([answer({"id": "1"})])

    async def never(_: httpx.Request) -> httpx.Response:
        await anyio.sleep_forever()
        raise AssertionError

    service.http._transport.handle_async_request = never  # type: ignore[method-assign]
    async with service.client() as client:
        for call in (client.appointments.get, client.appointments.delete):
            with anyio.move_on_after(1):
                await call("1")
        with pytest.raises(Exception, match="no answer within 2 s"):
            await client.with_options(timeout=2).appointments.set_status("1", "Completed")

    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert warnings[0].startswith("appointments.delete was cancelled in flight and may have been carried out")


async def test_no_record_is_made_when_its_level_is_disabled(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.WARNING, "coaching_async")

    async with Service([answer({"id": "1"})]).client() as client:
        await client.appointments.get("1")

    assert not caplog.records


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_ctrl_c_is_raised_unchanged_and_an_interrupted_write_is_a_warning(
    backend: str, caplog: pytest.LogCaptureFixture
):
    async def interrupting(_: httpx.Request) -> httpx.Response:
        signal.raise_signal(signal.SIGINT)
        await anyio.sleep_forever()
        raise AssertionError

    async def main() -> None:
        service = Service([])
        service.http._transport.handle_async_request = interrupting  # type: ignore[method-assign]
        async with service.client() as client:
            await client.appointments.set_status("1", "Completed")

    with pytest.raises(KeyboardInterrupt):
        anyio.run(main, backend=backend)

    assert [record.levelname for record in caplog.records if record.name == "coaching_async"] == ["WARNING"]


async def test_an_exception_of_a_log_handler_changes_no_call():
    def spoil(_: logging.LogRecord) -> bool:
        raise ValueError("handler")

    logger = logging.getLogger("coaching_async")
    logger.addFilter(spoil)
    logger.setLevel(logging.DEBUG)
    try:
        async with Service([answer({"id": "1"})]).client() as client:
            assert (await client.appointments.get("1")).id == "1"
    finally:
        logger.removeFilter(spoil)
        logger.setLevel(logging.NOTSET)


async def test_the_password_of_a_socks_proxy_is_not_logged_and_still_reaches_the_proxy(
    caplog: pytest.LogCaptureFixture,
):
    caplog.set_level(logging.DEBUG, "httpcore")
    request = httpcore.Request("GET", "https://api.test/", extensions={"trace": HttpcoreTrace(request_of(), WeakSet())})

    for auth in ((b"user", b"hunter2"), None):
        given = {"host": "api.test", "auth": auth}
        async with Trace("setup_socks5_connection", logging.getLogger("httpcore.socks"), request, given):
            assert given["auth"] == auth

    assert "setup_socks5_connection.started host='api.test' auth=" in caplog.text
    assert "hunter2" not in caplog.text
