"""Every operation and every error of the contract, in one run."""

from __future__ import annotations

import math

import httpx

from coaching_async.sandbox import Fault, Sandbox
from tests.sandbox.api import (
    APPOINTMENTS,
    DOCUMENT,
    MINIMAL,
    NOTIFICATIONS,
    Api,
    documented,
    led_appointment,
)

CHANNELS = "/api/v2/notifications/channels"
SLOTS = "/api/v2/coaching/scheduleslots"
DAY = "2026-12-01T00:00:00.000Z/2026-12-02T00:00:00.000Z"


def test_every_operation_and_every_error_responds_as_in_the_contract(sandbox: Sandbox, api: Api, mine: Api, me: str):
    seen: set[tuple[str, int]] = set()

    def recorded(response: httpx.Response) -> httpx.Response:
        found = documented(response.request.method, response.request.url.path)
        seen.add((found[0] if found else "", response.status_code))
        return response

    created = recorded(api.post(APPOINTMENTS, json={**MINIMAL, "attendeeIds": [me]})).json()
    one = f"{APPOINTMENTS}/{created['id']}"
    recorded(api.get(APPOINTMENTS, params={"userIds": me, "pageSize": 7, "pageNumber": 2}))
    recorded(mine.get(f"{APPOINTMENTS}/me"))
    recorded(api.get(one))
    recorded(api.patch(one, json={"location": "Room 5", "status": "InProgress"}))
    recorded(api.patch(f"{one}/status", json={"status": "Completed"}))
    recorded(api.get(f"{one}/statuses"))
    recorded(api.post(f"{APPOINTMENTS}/{led_appointment(api, me)}/conversations", json={"conversationId": "c"}))
    recorded(
        api.post(f"{APPOINTMENTS}/aggregates/query", json={"interval": DAY, "filter": {"type": "And", "clauses": []}})
    )
    slots = {"attendeeIds": [me], "lengthInMinutes": 30}
    recorded(api.post(f"{SLOTS}/query", json={**slots, "interval": DAY}))
    job = recorded(
        api.post(f"{SLOTS}/jobs", json={**slots, "activityCodeId": "5", "intervals": [DAY], "slotsType": "BestTime"})
    )
    for _ in range(2):
        recorded(api.get(job.json()["selfUri"]))
    note = recorded(api.post(f"{one}/annotations", json={"text": "t", "accessType": "Private"})).json()
    recorded(api.get(f"{one}/annotations"))
    recorded(api.get(f"{one}/annotations/{note['id']}"))
    recorded(api.patch(f"{one}/annotations/{note['id']}", json={"text": "u"}))
    recorded(api.delete(f"{one}/annotations/{note['id']}"))
    told = recorded(mine.get(NOTIFICATIONS, params={"expand": "appointment"})).json()["entities"][0]
    recorded(mine.get(f"{NOTIFICATIONS}/{told['id']}"))
    recorded(mine.patch(f"{NOTIFICATIONS}/{told['id']}", json={"markedAsRead": True}))
    team_id, group_id = next(iter(sandbox.state.teams)), next(iter(sandbox.state.groups))
    recorded(api.get("/api/v2/users"))
    recorded(api.get(f"/api/v2/users/{me}"))
    recorded(mine.get("/api/v2/users/me"))
    recorded(api.post("/api/v2/users/search", json={}))
    recorded(api.get(f"/api/v2/groups/{group_id}/members"))
    recorded(api.get("/api/v2/teams"))
    recorded(api.get(f"/api/v2/teams/{team_id}/members"))
    recorded(api.post("/api/v2/teams/search", json={"query": []}))
    channel = recorded(api.post(CHANNELS)).json()
    recorded(api.get(CHANNELS))
    recorded(api.head(f"{CHANNELS}/{channel['id']}"))
    subscriptions = f"{CHANNELS}/{channel['id']}/subscriptions"
    for method in (api.post, api.put):
        recorded(method(subscriptions, json=[{"id": f"v2.users.{me}.wem.coaching.notification"}]))
    recorded(api.get(subscriptions))
    recorded(api.delete(subscriptions))
    recorded(api.get("/api/v2/notifications/availabletopics", params={"expand": "transports,schema"}))
    recorded(api.patch(one, json={"name": "too late"}))
    recorded(api.delete(one))
    recorded(api.get(one))
    recorded(api.get(APPOINTMENTS))
    recorded(mine.get(APPOINTMENTS, params={"userIds": me}))
    recorded(api.post(APPOINTMENTS, content=b"x", headers={"Content-Type": "text/plain"}))
    recorded(api.post(APPOINTMENTS, json={**MINIMAL, "name": "n" * 512_000}))
    recorded(api.get(APPOINTMENTS, headers={"Authorization": "Bearer stale"}))
    for status in (408, 429, 500, 503, 504):
        sandbox.faults.add(Fault("status", status=status, retry_after=1))
        recorded(api.get(APPOINTMENTS))
    for method, path in (("POST", APPOINTMENTS), ("PATCH", one), ("DELETE", f"{APPOINTMENTS}/x")):
        sandbox.faults.add(Fault("accepted", delay=math.inf))
        path = path.replace("/x", f"/{created['id']}")
        sandbox.state.create(created["id"], {**MINIMAL, "attendeeIds": []}, None)
        recorded(api.request(method, path, json=MINIMAL))
    recorded(api.token(grant_type="client_credentials"))
    recorded(api.token(grant_type="refresh_token", refresh_token="wrong"))
    assert api.put(APPOINTMENTS).status_code == 405
    assert api.get("/api/v2/nothing").status_code == 404

    operations = [each for path in DOCUMENT["paths"].values() for each in path.values() if "operationId" in each]
    for operation in operations:
        for status in (int(each) for each in operation["responses"] if each.startswith("2")):
            if (operation["operationId"], status) != ("deleteCoachingAppointment", 202):
                assert (operation["operationId"], status) in seen
    assert {status for _, status in seen} >= {400, 401, 403, 404, 408, 409, 413, 415, 429, 500, 503, 504}
