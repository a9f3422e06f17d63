"""An async client for the Genesys Cloud Coaching API."""

from ._appointments import AppointmentFilters
from ._client import CoachingClient
from ._errors import (
    AuthError,
    BadRequest,
    ClientMisuse,
    CoachingError,
    ConfigurationError,
    Conflict,
    DeadlineExceeded,
    DecodeError,
    Forbidden,
    NotFound,
    OutcomeUnknown,
    Processed,
    RateLimited,
    ResponseError,
    ServerError,
    TransportError,
    Unauthorized,
)
from ._events import (
    CallFinished,
    CallStarted,
    Event,
    RequestAnswered,
    RequestFailed,
    RequestSent,
    RetryScheduled,
    Stats,
    TokenIssued,
)
from ._listing import (
    Listing,
    PageWalk,
    Walk,
)
from ._pipeline import TokenSource
from ._rate import RateLimit
from ._retry import RetryPolicy
from ._tokens import (
    AccessToken,
    ClientCredentials,
)
from ._types import (
    UNSET,
    Interval,
    OpenEnum,
    Unset,
)
from ._wire import (
    from_dict,
    to_dict,
)
from .models import (
    AccessType,
    Annotation,
    Appointment,
    AppointmentCreate,
    AppointmentReference,
    AppointmentStatus,
    AppointmentUpdate,
    BusinessUnitReference,
    ConversationReference,
    DocumentReference,
    ErrorDetail,
    IntervalCondition,
    Notification,
    NotificationAction,
    Page,
    Relationship,
    SortOrder,
    StatusChange,
    UserReference,
    WfmScheduleReference,
)

__all__ = [
    "UNSET",
    "AccessToken",
    "AccessType",
    "Annotation",
    "Appointment",
    "AppointmentCreate",
    "AppointmentFilters",
    "AppointmentReference",
    "AppointmentStatus",
    "AppointmentUpdate",
    "AuthError",
    "BadRequest",
    "BusinessUnitReference",
    "CallFinished",
    "CallStarted",
    "ClientCredentials",
    "ClientMisuse",
    "CoachingClient",
    "CoachingError",
    "ConfigurationError",
    "Conflict",
    "ConversationReference",
    "DeadlineExceeded",
    "DecodeError",
    "DocumentReference",
    "ErrorDetail",
    "Event",
    "Forbidden",
    "Interval",
    "IntervalCondition",
    "Listing",
    "NotFound",
    "Notification",
    "NotificationAction",
    "OpenEnum",
    "OutcomeUnknown",
    "Page",
    "PageWalk",
    "Processed",
    "RateLimit",
    "RateLimited",
    "Relationship",
    "RequestAnswered",
    "RequestFailed",
    "RequestSent",
    "ResponseError",
    "RetryPolicy",
    "RetryScheduled",
    "ServerError",
    "SortOrder",
    "Stats",
    "StatusChange",
    "TokenIssued",
    "TokenSource",
    "TransportError",
    "Unauthorized",
    "Unset",
    "UserReference",
    "Walk",
    "WfmScheduleReference",
    "from_dict",
    "to_dict",
]

# Users see and pickle the names under which they import them.
for _name in __all__:
    if isinstance(_value := globals()[_name], type):
        _value.__module__ = __name__
