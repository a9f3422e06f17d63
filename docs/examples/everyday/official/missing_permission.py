"""Report the permission that a token lacks."""

import json

from PureCloudPlatformClientV2 import CoachingApi, CreateCoachingAppointmentRequest
from PureCloudPlatformClientV2.rest import ApiException


def missing_permission(api: CoachingApi, appointment: CreateCoachingAppointmentRequest) -> str:
    """Return the id of the new appointment, or the missing permission and the correlation id for Genesys support."""
    try:
        return api.post_coaching_appointments(appointment).id
    except ApiException as error:
        if error.status != 403:
            raise
        try:
            permission = json.loads(error.body)["messageParams"]["permissions"]
        except (ValueError, LookupError, TypeError):  # a gateway's answer is no JSON, or another
            permission = "coaching:appointment:add"
        return f"403: its token needs {permission} (correlation id {error.headers.get('ININ-Correlation-Id')})"
