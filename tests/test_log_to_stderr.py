"""GENESYSCLOUD_LOG writes the log to standard error, without a line of code."""

import io
import logging
import os
import subprocess
import sys
from collections.abc import Generator

import pytest

from coaching_async import AccessToken, CoachingClient, ConfigurationError
from coaching_async._logging import StderrHandler
from tests.support.doubles import Service, answer
from tests.support.fault_server import HANG

LOGGER = logging.getLogger("coaching_async")
TOKEN = {"GENESYSCLOUD_ACCESS_TOKEN": "t"}


@pytest.fixture(autouse=True)
def _the_logger_is_left_as_it_was() -> Generator[None]:
    level, handlers = LOGGER.level, LOGGER.handlers[:]
    yield
    LOGGER.setLevel(level)
    LOGGER.handlers[:] = handlers


def said(text: str) -> list[str]:
    return [line.split(" ", 2)[2] for line in text.splitlines()]


@pytest.mark.anyio
async def test_every_client_logs_what_it_does_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setenv("GENESYSCLOUD_LOG", " Debug\n")
    service = Service([answer({"id": "a"})] * 2)
    service.client(), service.client()  # each of them reads the variable

    async with service.client() as client:
        await client.appointments.get("an-id")

    lines = said(capsys.readouterr().err)
    assert lines[0] == "DEBUG coaching_async: appointments.get"
    assert len([line for line in lines if "request 1 sent" in line]) == 1
    assert not any("an-id" in line for line in lines)


@pytest.mark.parametrize("level, shown", [("info", "WI"), ("warning", "W"), ("error", ""), ("debug", "WID")])
def test_a_level_leaves_out_what_is_below_it(level: str, shown: str, capsys: pytest.CaptureFixture[str]):
    CoachingClient.from_env({**TOKEN, "GENESYSCLOUD_LOG": level})

    for name in ("warning", "info", "debug"):
        getattr(LOGGER, name)("happened")

    assert "".join(line[0] for line in said(capsys.readouterr().err)) == shown


@pytest.mark.parametrize("value", ["debgu", "true", "1"])
def test_a_wrong_level_is_refused_and_names_the_variable(value: str, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(ConfigurationError, match=r"GENESYSCLOUD_LOG .* choose one of debug, info, warning, error"):
        CoachingClient.from_env({**TOKEN, "GENESYSCLOUD_LOG": value})
    monkeypatch.setenv("GENESYSCLOUD_LOG", value)
    with pytest.raises(ConfigurationError, match="GENESYSCLOUD_LOG"):
        CoachingClient(AccessToken("t"))


def test_without_the_variable_no_handler_is_added():
    before = LOGGER.handlers[:]

    CoachingClient.from_env({**TOKEN, "GENESYSCLOUD_LOG": ""})

    assert LOGGER.handlers == before


@pytest.mark.parametrize("where", ["coaching_async", "root"])
def test_what_the_program_writes_to_the_terminal_itself_is_not_written_twice(
    where: str, capsys: pytest.CaptureFixture[str]
):
    own, to_file = logging.StreamHandler(sys.stderr), logging.StreamHandler(file := io.StringIO())
    own.setLevel(logging.WARNING)
    logger = logging.getLogger(where)
    CoachingClient.from_env({**TOKEN, "GENESYSCLOUD_LOG": "debug"})
    logger.addHandler(own), logger.addHandler(to_file)
    try:
        LOGGER.warning("above")
        LOGGER.debug("below the level of the program's handler")
    finally:
        logger.removeHandler(own), logger.removeHandler(to_file)

    written = capsys.readouterr().err
    assert (written.count("above"), written.count("below")) == (1, 1)
    assert file.getvalue().count("\n") == 2


def test_a_closed_standard_error_stops_no_program(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(logging, "raiseExceptions", False)
    (closed := io.StringIO()).close()
    monkeypatch.setattr(sys, "stderr", closed)

    StderrHandler().emit(logging.LogRecord("coaching_async", 10, "", 1, "m", None, None))


def test_python_dash_m_is_the_command_which_says_which_variable_is_wrong():
    environ = os.environ | {**TOKEN, "GENESYSCLOUD_LOG": "debgu"}

    ran = subprocess.run(
        [sys.executable, "-m", "coaching_async", "doctor"],
        check=False, capture_output=True, text=True, timeout=HANG, env=environ,
    )  # fmt: skip

    assert ran.stderr.splitlines() == [
        "coaching-async: GENESYSCLOUD_LOG is no level of the log: choose one of debug, info, warning, error; did you mean debug?"
    ]
