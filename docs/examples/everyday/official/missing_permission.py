"""What to tell somebody whose token lacks a permission."""

import json

from PureCloudPlatformClientV2 import CoachingApi, CreateCoachingAppointmentRequest
from PureCloudPlatformClientV2.rest import ApiException


def missing_permission(api: CoachingApi, appointment: CreateCoachingAppointmentRequest) -> str:
    """The id of the new appointment, or which permission is missing and what to quote to Genesys support."""
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
