"""Annotations of appointments, and the notifications that changes cause."""

from __future__ import annotations

from coaching_async.sandbox import Sandbox
from tests.sandbox.api import (
    APPOINTMENTS,
    NOTIFICATIONS,
    Api,
    led_appointment,
)


def test_an_annotation_is_created_edited_and_deleted(api: Api, me: str):
    notes = f"{APPOINTMENTS}/{led_appointment(api, me)}/annotations"
    note = api.post(notes, json={"text": "t", "accessType": "Public"}).json()
    edited = api.patch(note["selfUri"], json={**note, "text": "u", "accessType": "Private"}).json()
    assert (edited["text"], edited["accessType"]) == ("u", "Public")
    assert api.get(note["selfUri"]).json() == edited
    assert len(api.ids(notes)) == 2
    assert api.delete(note["selfUri"]).status_code == 204
    assert api.get(note["selfUri"]).json()["entityName"] == "annotation"
    assert note["id"] not in api.ids(notes)
    assert api.post(notes, json={"text": "t", "accessType": "Secret"}).status_code == 400
    assert api.patch(note["selfUri"], json={}).status_code == 404


def test_all_participants_but_the_author_of_a_change_are_notified(sandbox: Sandbox, api: Api, mine: Api, me: str):
    def told(user: str) -> list[tuple[str, str]]:
        new = list(sandbox.state.notifications.values())[before:]
        return [(each["actionType"], each["relationship"]) for each in new if each["user"]["id"] == user]

    before = len(sandbox.state.notifications)
    one = f"{APPOINTMENTS}/{led_appointment(api, me)}"
    mine.patch(one, json={"name": "m", "status": "InProgress"})
    note = mine.post(f"{one}/annotations", json={"text": "t", "accessType": "Public"}).json()
    mine.patch(note["selfUri"], json={"text": "u"})
    mine.delete(note["selfUri"])
    api.delete(one)
    assert told(me) == [("Create", "Facilitator"), ("AnnotationAdded", "Facilitator"), ("Delete", "Facilitator")]
    assert told("someone") == [
        (action, "Attendee")
        for action in (
            "Create",
            "AnnotationAdded",
            "Update",
            "StatusChange",
            "AnnotationAdded",
            "AnnotationEdited",
            "AnnotationDeleted",
            "Delete",
        )
    ]


def test_a_notification_has_a_reference_or_if_requested_the_whole_appointment(mine: Api):
    stub = mine.get(NOTIFICATIONS).json()["entities"][0]
    assert set(stub["appointment"]) == {"id", "selfUri"}
    whole = mine.get(stub["selfUri"], params={"expand": "appointment"}).json()
    assert whole["appointment"] == mine.get(stub["appointment"]["selfUri"]).json()
    assert mine.get(NOTIFICATIONS, params={"expand": "all"}).status_code == 400


def test_only_its_owner_may_mark_a_notification_as_read(sandbox: Sandbox, api: Api, mine: Api, me: str):
    own = mine.get(NOTIFICATIONS).json()["entities"][0]
    assert mine.patch(own["selfUri"], json={"markedAsRead": True}).json()["markedAsRead"] is True
    assert mine.get(own["selfUri"]).json()["markedAsRead"] is True
    assert mine.patch(own["selfUri"], json={"markedAsRead": "yes"}).status_code == 400
    other = next(
        notification for notification in sandbox.state.notifications.values() if notification["user"]["id"] != me
    )
    assert mine.patch(other["selfUri"], json={"markedAsRead": True}).status_code == 403
    assert mine.get(other["selfUri"]).json()["messageParams"] == {"permissions": "coaching:notification:view"}
    assert api.get(other["selfUri"]).status_code == 200
    assert api.patch(other["selfUri"], json={"markedAsRead": True}).json()["code"] == "not.a.user"
