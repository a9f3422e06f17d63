"""Counts of appointments."""

from typing import Any

from starlette.responses import Response

from coaching_async.sandbox._auth import access
from coaching_async.sandbox._auth.access import require_permission
from coaching_async.sandbox._state.aggregates import DIMENSIONS, METRICS, OPERATORS, aggregates
from coaching_async.sandbox._wire.references import APPOINTMENTS
from coaching_async.sandbox._wire.responses import JsonResponse
from coaching_async.sandbox._wire.validation import Fields, is_interval, list_of, one_of, read_fields

from .request_context import RequestContext, Routes


def _is_filter(value: Any) -> bool:
    match value:
        case {"type": operator, "clauses": clauses}:
            return one_of(*OPERATORS)(operator) and list_of(_is_clause)(clauses)
        case _:
            return False


def _is_clause(value: Any) -> bool:
    match value:
        case {"type": operator, "predicates": predicates}:
            return one_of(*OPERATORS)(operator) and list_of(_is_predicate)(predicates)
        case _:
            return False


def _is_predicate(value: Any) -> bool:
    match value:
        case {"dimension": dimension, "value": str()}:
            return one_of(*DIMENSIONS)(dimension)
        case _:
            return False


_FIELDS: Fields = {
    "interval": is_interval,
    "metrics": list_of(one_of(*METRICS)),
    "groupBy": list_of(one_of("attendeeId")),
    "filter": _is_filter,
}


async def aggregate_appointments(context: RequestContext) -> Response:
    require_permission(context.caller, access.LIST_APPOINTMENTS)
    query = read_fields(await context.body(), _FIELDS, required=("interval", "filter"))
    return JsonResponse(aggregates(context.state, query))


ROUTES: Routes = {f"{APPOINTMENTS}/aggregates/query": {"POST": aggregate_appointments}}
