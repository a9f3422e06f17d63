"""Access: tokens, the permissions of clients and users, and what a relationship allows."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from coaching_async.sandbox import CLIENT_ID, Sandbox, UserGrant
from tests.sandbox.api import (
    APPOINTMENTS,
    MINIMAL,
    NOTIFICATIONS,
    Api,
    first,
    foreign,
    led_appointment,
    only_attends,
    token_of,
)
from tests.sandbox.operations.requests import AGGREGATES, COUNT, JOB, JOBS, SEARCH, SLOTS

if TYPE_CHECKING:
    from collections.abc import Callable


def test_a_missing_expired_or_revoked_token_is_refused(start_sandbox: Callable[..., Sandbox]):
    sandbox = start_sandbox(appointments=1, token_life=60)
    with Api(sandbox) as nobody:
        assert nobody.get(f"{APPOINTMENTS}/me").json()["code"] == "authentication.required"
    with Api(sandbox, token_of(sandbox)) as api:
        assert api.get(APPOINTMENTS, params={"userIds": "x"}).status_code == 200
        sandbox.oauth.revoke_all()
        assert api.get(APPOINTMENTS, params={"userIds": "x"}).json()["code"] == "bad.credentials"
    with Api(sandbox, token_of(sandbox)) as api:
        sandbox.oauth.now = lambda: time.monotonic() + 60
        assert api.get(APPOINTMENTS, params={"userIds": "x"}).json()["code"] == "bad.credentials"


def test_me_is_the_user_of_the_token(sandbox: Sandbox, api: Api, mine: Api, me: str):
    assert mine.ids(f"{APPOINTMENTS}/me") == api.ids(userIds=me)
    assert api.get(f"{APPOINTMENTS}/me").json()["code"] == "not.a.user"
    assert api.get(NOTIFICATIONS).json()["code"] == "not.a.user"


def test_a_user_may_do_what_the_relationship_allows(sandbox: Sandbox, api: Api, mine: Api, me: str):
    led, attended = led_appointment(api, me), first(sandbox, only_attends(me))
    for appointment_id, edit in ((led, 200), (attended, 403), (first(sandbox, foreign(me)), 403)):
        one = f"{APPOINTMENTS}/{appointment_id}"
        view = 403 if appointment_id not in (led, attended) else 200
        assert mine.get(one).status_code == view
        assert mine.get(f"{one}/statuses").status_code == view
        assert mine.patch(one, json={}).status_code == edit
        assert mine.delete(one).status_code == 403
        assert mine.patch(f"{one}/status", json={"status": "Scheduled"}).status_code == view
    assert mine.get(APPOINTMENTS, params={"userIds": me}).status_code == 403
    refused = mine.post(APPOINTMENTS, json=MINIMAL).json()
    assert (refused["code"], refused["messageParams"]) == (
        "missing.any.permissions",
        {"permissions": "coaching:appointment:add"},
    )


def test_private_annotations_are_visible_to_facilitators_only(sandbox: Sandbox, api: Api, mine: Api, me: str):
    led = led_appointment(api, me)
    attended = api.post(APPOINTMENTS, json={**MINIMAL, "attendeeIds": [me]}).json()["id"]
    for appointment_id, private in ((led, True), (attended, False)):
        notes = f"{APPOINTMENTS}/{appointment_id}/annotations"
        public = mine.post(notes, json={"text": "t", "accessType": "Public"})
        hidden = api.post(notes, json={"text": "t", "accessType": "Private"}).json()
        assert public.status_code == 201
        assert (hidden["id"] in mine.ids(notes)) is private
        assert mine.get(hidden["selfUri"]).status_code == (200 if private else 403)
        assert mine.post(notes, json={"text": "t", "accessType": "Private"}).status_code == (201 if private else 403)
        assert mine.patch(public.json()["selfUri"], json={"text": "u"}).status_code == (200 if private else 403)
        assert mine.delete(hidden["selfUri"]).status_code == (204 if private else 403)
    assert mine.get(f"{APPOINTMENTS}/{first(sandbox, foreign(me))}/annotations").status_code == 403


def test_clients_and_users_with_other_permissions_can_be_added(sandbox: Sandbox, me: str):
    sandbox.oauth.refresh_tokens["hr"] = UserGrant(CLIENT_ID, me, frozenset({"coaching:appointment:add"}))
    with Api(sandbox, token_of(sandbox, grant_type="refresh_token", refresh_token="hr")) as api:
        created = api.post(APPOINTMENTS, json=MINIMAL).json()
        assert created["createdBy"]["id"] == me
        assert api.delete(created["selfUri"]).status_code == 204


def test_a_facilitator_or_either_permission_may_link_a_conversation(sandbox: Sandbox, api: Api, mine: Api, me: str):
    def status(caller: Api, appointment_id: str, conversation: str) -> int:
        path = f"{APPOINTMENTS}/{appointment_id}/conversations"
        return caller.post(path, json={"conversationId": conversation}).status_code

    led, attended, other = (
        led_appointment(api, me),
        first(sandbox, only_attends(me)),
        api.post(APPOINTMENTS, json=MINIMAL).json()["id"],
    )
    assert [status(mine, each, "c") for each in (led, attended, other)] == [200, 403, 403]
    for permission, expected in (
        ("coaching:appointment:edit", 200),
        ("coaching:appointmentConversation:add", 200),
        ("coaching:appointment:view", 403),
    ):
        with Api(sandbox, user_token(sandbox, permission)) as permitted:
            assert status(permitted, other, permission) == expected


def user_token(sandbox: Sandbox, *permissions: str) -> str:
    """Return a token of the first user with these permissions."""
    sandbox.oauth.refresh_tokens["some"] = UserGrant(CLIENT_ID, sandbox.state.user_ids[0], frozenset(permissions))
    return token_of(sandbox, grant_type="refresh_token", refresh_token="some")


@pytest.mark.parametrize(
    "method, path, body, permission",
    [
        ("POST", AGGREGATES, COUNT, "coaching:appointment:view"),
        ("POST", SLOTS, SEARCH, "coaching:scheduleSlot:view"),
        ("POST", JOBS, JOB, "coaching:scheduleSlotJob:add"),
        ("GET", f"{JOBS}/there", None, "coaching:scheduleSlotJob:view"),
    ],
)
def test_each_operation_requires_its_permission(sandbox: Sandbox, method: str, path: str, body: Any, permission: str):
    sandbox.state.add_job({"id": "there", "results": [], "reads": 0, "selfUri": f"{JOBS}/there"})
    others = sandbox.oauth.clients[CLIENT_ID].permissions - {permission}
    with Api(sandbox, user_token(sandbox, permission)) as permitted:
        assert permitted.request(method, path, json=body).status_code < 300
    with Api(sandbox, user_token(sandbox, *others)) as lacking:
        refused = lacking.request(method, path, json=body)
        assert (refused.status_code, refused.json()["messageParams"]) == (403, {"permissions": permission})
