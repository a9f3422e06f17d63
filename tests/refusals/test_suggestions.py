"""Misspelled names are answered with the name that was meant, wherever one of a few is expected."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from coaching_async import AccessToken, CoachingClient, ConfigurationError
from coaching_async._refusals.suggestions import choices, suggestion
from coaching_async.export import export
from coaching_async.sandbox import Fault, Sandbox
from coaching_async.testing import fails, loses_answer, never_answers, route

CLIENT = CoachingClient(AccessToken("t"), region="eu-west-1")


@pytest.mark.parametrize("word", ["in progress", "IN_PROGRESS", "inprogress", "InProgres"])
def test_case_blanks_and_punctuation_do_not_count(word: str):
    assert suggestion(word, ["Scheduled", "InProgress"]) == "did you mean InProgress?"


def test_nothing_is_suggested_for_a_word_that_is_near_to_none():
    assert suggestion("x", ["Scheduled", "InProgress"]) == ""
    assert choices("x", ["Asc", "Desc"]) == "choose one of Asc, Desc"


@pytest.mark.parametrize(
    "call, meant",
    [
        (lambda: CoachingClient(AccessToken("t"), region="eu-wst-1"), "eu-west-1"),
        (lambda: CoachingClient.from_env({"GENESYSCLOUD_ACCESS_TOKEN": "t", "GENESYSCLOUD_REGION": "us-est-1"}), "us-east-1"),
        (lambda: CoachingClient.from_env({"GENESYSCLOUD_ACCESS_TOKEN": "t", "GENESYSCLOUD_LOG": "debgu"}), "debug"),
        (lambda: CLIENT.appointments.list("u", statuses="Complete"), "Completed"),
        (lambda: CLIENT.appointments.list("u", statuses=["in progress"]), "InProgress"),
        (lambda: CLIENT.appointments.list("u", sort_order="desc"), "Desc"),
        (lambda: CLIENT.appointments.list("u", sort_order="ascending"), "Asc"),
        (lambda: CLIENT.appointments.list("u", relationships="Creators"), "Creator"),
        (lambda: CLIENT.appointments.list("u", consistency="verfy"), "verify"),  # type: ignore[arg-type]
        (lambda: CLIENT.users.list(state="activ"), "active"),
        (lambda: asyncio.run(export(CLIENT, "u", "x.jsonl", form="parqet")), "parquet"),
        (lambda: asyncio.run(export(CLIENT, "u", "x.csv", columns=["facilitater_id"])), "facilitator_id"),
        (lambda: asyncio.run(CLIENT.request("PACTH", "/api/v2/users")), "PATCH"),
        (lambda: Fault("sttus"), "status"),
        (lambda: Fault("stall", method="PACTH"), "PATCH"),
        (lambda: Fault("stall", operation="appointments.updte"), "appointments.update"),
        (lambda: Fault("stall", operation="appointment.update"), "appointments.update"),
        (lambda: Fault("stall", path="/appointments/{appointmentId}/statu"), "/appointments/{appointmentId}/status"),
        (lambda: Fault("stall", path="/api/v2/coaching/appointmnts"), "/api/v2/coaching/appointments"),
        (lambda: route("appointments.updte"), "appointments.update"),  # type: ignore[arg-type]
        (lambda: fails(Sandbox(), "appointments.updte"), "appointments.update"),  # type: ignore[arg-type]
        (lambda: loses_answer(Sandbox(), "annotations.crate"), "annotations.create"),  # type: ignore[arg-type]
        (lambda: never_answers(Sandbox(), "users.searhc"), "users.search"),  # type: ignore[arg-type]
    ],
)  # fmt: skip
def test_a_misspelled_name_is_refused_with_the_one_that_was_meant(
    call: Callable[[], object], meant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)

    with pytest.raises((ValueError, ConfigurationError)) as caught:
        call()

    assert f"did you mean {meant}?" in str(caught.value)
    assert list(tmp_path.iterdir()) == []
