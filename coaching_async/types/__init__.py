"""Types of arguments and results, for annotations of functions of your own.

A name that ends in `Like` is what a method takes: a member of an enum or its text, for example, or an id as a `str` or a `UUID`.
A text that is known at run time only is no `Literal` for a type checker. Make a member of it: `AppointmentStatus(text)`. A method
refuses one that it does not know.
"""

from coaching_async._auth.grants import Grant, OnRotated
from coaching_async._auth.secret import Secret
from coaching_async._bulk.runner import Items, OnProgress
from coaching_async._channels.catch_up import Start
from coaching_async._channels.reports import GapReason
from coaching_async._channels.streams import ListenerState
from coaching_async._events import Emit
from coaching_async._pagination.listing import Consistency
from coaching_async._resources.annotations import Annotations
from coaching_async._resources.appointments import Appointments
from coaching_async._resources.creation.create_many import OnCreate
from coaching_async._resources.creation.results import CreateStatus
from coaching_async._resources.notifications import Notifications
from coaching_async._resources.requests import Query
from coaching_async._resources.schedule_slots import ScheduleSlots
from coaching_async._resources.teams import Teams
from coaching_async._resources.topics import Topics
from coaching_async._resources.users import ListedStateLike, Users
from coaching_async._transport.http_client import HttpResponse
from coaching_async._transport.retry_policy import Fault
from coaching_async.models.aggregates import (
    AggregateDimensionLike,
    AggregateFilterTypeLike,
    AggregateGroupByLike,
    AppointmentMetricLike,
)
from coaching_async.models.annotations import AccessTypeLike
from coaching_async.models.appointments import (
    AppointmentStatusLike,
    IntervalConditionLike,
    RelationshipLike,
    SettableStatusLike,
    SortOrderLike,
)
from coaching_async.models.coercion import IdLike, IdsLike, IntervalLike, OneOrMany
from coaching_async.models.schedule_slots import SlotsTypeLike
from coaching_async.models.users import UserStateLike

__all__ = [
    "AccessTypeLike",
    "AggregateDimensionLike",
    "AggregateFilterTypeLike",
    "AggregateGroupByLike",
    "Annotations",
    "AppointmentMetricLike",
    "AppointmentStatusLike",
    "Appointments",
    "Consistency",
    "CreateStatus",
    "Emit",
    "Fault",
    "GapReason",
    "Grant",
    "HttpResponse",
    "IdLike",
    "IdsLike",
    "IntervalConditionLike",
    "IntervalLike",
    "Items",
    "ListedStateLike",
    "ListenerState",
    "Notifications",
    "OnCreate",
    "OnProgress",
    "OnRotated",
    "OneOrMany",
    "Query",
    "RelationshipLike",
    "ScheduleSlots",
    "Secret",
    "SettableStatusLike",
    "SlotsTypeLike",
    "SortOrderLike",
    "Start",
    "Teams",
    "Topics",
    "UserStateLike",
    "Users",
]
