"""Conversations linked to appointments."""

from __future__ import annotations

from typing import Any

import pytest

from coaching_async.sandbox import Sandbox
from tests.sandbox.api import (
    APPOINTMENTS,
    Api,
    led_appointment,
)


def test_a_conversation_is_linked_once_and_the_other_participants_are_notified(
    api: Api, mine: Api, sandbox: Sandbox, me: str
):
    one = led_appointment(api, me)
    told = len(sandbox.state.notifications)
    linked = mine.post(f"{APPOINTMENTS}/{one}/conversations", json={"conversationId": "c/1"})

    assert linked.status_code == 200
    assert linked.json() == {
        "conversation": {"id": "c/1", "selfUri": "/api/v2/conversations/c%2F1"},
        "appointment": {"id": one, "selfUri": f"{APPOINTMENTS}/{one}"},
    }
    shown = api.get(f"{APPOINTMENTS}/{one}").json()
    assert shown["conversations"] == [linked.json()["conversation"]]
    assert shown["modifiedBy"]["id"] == me
    new = list(sandbox.state.notifications.values())[told:]
    assert [(each["user"]["id"], each["actionType"]) for each in new] == [("someone", "Update")]
    again = mine.post(f"{APPOINTMENTS}/{one}/conversations", json={"conversationId": "c/1"})
    assert (again.status_code, again.json()["code"]) == (409, "general.conflict")
    assert mine.post(f"{APPOINTMENTS}/{one}/conversations", json={"conversationId": "d"}).status_code == 200
    assert [conversation["id"] for conversation in api.get(f"{APPOINTMENTS}/{one}").json()["conversations"]] == [
        "c/1",
        "d",
    ]


def test_a_completed_or_missing_appointment_accepts_no_conversation(api: Api, me: str):
    one = f"{APPOINTMENTS}/{led_appointment(api, me)}"
    api.patch(one, json={"status": "Completed"})

    assert api.post(f"{one}/conversations", json={"conversationId": "c"}).status_code == 409
    missing = api.post(f"{APPOINTMENTS}/nothing/conversations", json={"conversationId": "c"})
    assert (missing.status_code, missing.json()["entityName"]) == (404, "appointment")


@pytest.mark.parametrize("body", [{}, {"conversationId": None}, {"conversationId": ["c"]}])
def test_a_conversation_without_an_id_is_refused(api: Api, me: str, body: dict[str, Any]):
    refused = api.post(f"{APPOINTMENTS}/{led_appointment(api, me)}/conversations", json=body)
    assert (refused.status_code, refused.json()["details"][0]["fieldName"]) == (400, "conversationId")
