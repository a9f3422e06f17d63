"""The paths of the API's collections, and references (`id` and `selfUri`) to resources in them."""

from functools import lru_cache
from urllib.parse import quote

from .formats import JsonObject

COACHING = "/api/v2/coaching"
APPOINTMENTS = f"{COACHING}/appointments"
NOTIFICATIONS = f"{COACHING}/notifications"
SLOTS = f"{COACHING}/scheduleslots"
JOBS = f"{SLOTS}/jobs"
CHANNELS = "/api/v2/notifications/channels"
AVAILABLE_TOPICS = "/api/v2/notifications/availabletopics"
USERS = "/api/v2/users"
TEAMS = "/api/v2/teams"
GROUPS = "/api/v2/groups"


def reference(collection: str, entity_id: str) -> JsonObject:
    # A JSON string may hold lone surrogates, which UTF-8 cannot encode.
    return {"id": entity_id, "selfUri": f"{collection}/{quote(entity_id, safe='', errors='replace')}"}


# Appointments, histories and notifications hold the same references: sharing one object saves a third of the memory.
@lru_cache(maxsize=2**12)
def user_reference(user_id: str) -> JsonObject:
    return reference(USERS, user_id)


def team_reference(team_id: str) -> JsonObject:
    return reference(TEAMS, team_id)


def group_reference(group_id: str) -> JsonObject:
    return reference(GROUPS, group_id)


def division_reference(division_id: str) -> JsonObject:
    return reference("/api/v2/authorization/divisions", division_id)


def conversation_reference(conversation_id: str) -> JsonObject:
    return reference("/api/v2/conversations", conversation_id)


def document_reference(document_id: str) -> JsonObject:
    return reference("/api/v2/contentmanagement/documents", document_id)


@lru_cache(maxsize=2**12)
def appointment_reference(appointment_id: str) -> JsonObject:
    return reference(APPOINTMENTS, appointment_id)


def schedule_reference(schedule_id: str, business_unit_id: str, week: str) -> JsonObject:
    unit = reference("/api/v2/workforcemanagement/businessunits", business_unit_id)
    schedule = reference(f"{unit['selfUri']}/weeks/{week}/schedules", schedule_id)
    return {"id": schedule_id, "businessUnit": unit, "weekDate": week, "selfUri": schedule["selfUri"]}
