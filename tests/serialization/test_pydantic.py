"""Models in pydantic and FastAPI: their JSON is the API's, and their schema describes it."""

import json
from typing import Any, get_origin

import attrs
import pytest
from attrs import NOTHING
from jsonschema import Draft202012Validator
from pydantic import BaseModel, TypeAdapter

import coaching_async
from coaching_async import (
    Annotation,
    Appointment,
    AppointmentCreate,
    AppointmentStatus,
    AppointmentUpdate,
    ChannelEvent,
    ErrorBody,
    Interval,
    Notification,
    Page,
    to_dict,
)
from coaching_async._serialization.names import to_camel
from coaching_async.testing import build
from tests.testing_kit.test_build_and_faults import HOLDING, MODELS

WHOLE = [{Page: Page[Appointment], ChannelEvent: ChannelEvent[Notification]}.get(each, each) for each in MODELS]


@pytest.mark.parametrize("model", WHOLE, ids=lambda model: (get_origin(model) or model).__name__)
def test_every_model_is_serialized_validated_and_described(model: Any):
    origin = get_origin(model) or model
    built = build(origin, **HOLDING.get(origin, {}))
    adapter: TypeAdapter[Any] = TypeAdapter(model)
    written = json.loads(adapter.dump_json(built))

    assert written == json.loads(json.dumps(to_dict(built)))
    assert adapter.validate_json(json.dumps(written)) == built
    assert adapter.validate_python(built) is built
    for mode in ("validation", "serialization"):
        schema = adapter.json_schema(mode=mode)
        own = schema["$defs"][origin.__name__] if "$ref" in schema else schema
        closed = own | {"additionalProperties": False, "$defs": schema.get("$defs", {})}
        Draft202012Validator(closed).validate(written)
        assert own.get("required", []) == [
            to_camel(each.name) for each in attrs.fields(origin) if each.default is NOTHING
        ]


def test_pydantic_models_may_have_fields_of_our_models():
    class Answer(BaseModel):
        newest: Appointment | None = None
        notes: list[Annotation] = []
        status: AppointmentStatus = AppointmentStatus.COMPLETED
        during: Interval | None = None

    answer = Answer(
        newest=build(Appointment),
        notes=[build(Annotation)],
        status=AppointmentStatus("Tomorrow"),
        during=Interval.month(2026, 11),
    )
    written = json.loads(answer.model_dump_json())

    assert written == {
        "newest": to_dict(build(Appointment)),
        "notes": [to_dict(build(Annotation))],
        "status": "Tomorrow",
        "during": "2026-11-01T00:00:00.000Z/2026-12-01T00:00:00.000Z",
    }
    assert Answer.model_validate(written) == answer


def test_an_enum_is_described_as_open():
    for mode in ("validation", "serialization"):
        known, any_other = TypeAdapter(AppointmentStatus).json_schema(mode=mode)["anyOf"]

        assert known["enum"] == list(AppointmentStatus)
        assert any_other == {"type": "string"}


def test_an_absent_field_is_not_null_except_in_a_request_that_clears_it():
    read = TypeAdapter(Appointment).json_schema()["properties"]["description"]
    change = TypeAdapter(AppointmentUpdate).json_schema()["properties"]["description"]

    assert read["type"] == "string"
    assert change["anyOf"] == [{"type": "string"}, {"type": "null"}]
    assert TypeAdapter(AppointmentUpdate).validate_python({"description": None}) == AppointmentUpdate(description=None)


def test_error_details_may_be_nested():
    nested = ErrorBody(message="outer", errors=(ErrorBody(message="inner"),))
    adapter = TypeAdapter(ErrorBody)

    assert adapter.validate_json(adapter.dump_json(nested)) == nested
    assert adapter.json_schema()["$defs"]["ErrorBody"]["properties"]["errors"]["items"] == {"$ref": "#/$defs/ErrorBody"}


@pytest.mark.parametrize(
    "change, problem",
    [
        ({"lengthInMinutes": "30"}, r"\$.lengthInMinutes"),
        ({"lengthInMinutes": 0}, "AppointmentCreate"),
        ({"dateStart": "2026-11-20T10:00:00"}, r"\$.dateStart"),
        ({"attendeeIds": 7}, r"\$.attendeeIds"),
    ],
)
def test_an_invalid_body_is_rejected_with_its_place_and_without_its_value(change: dict[str, Any], problem: str):
    body = to_dict(build(AppointmentCreate)) | change

    with pytest.raises(ValueError, match=problem):
        TypeAdapter(AppointmentCreate).validate_python(body)


def test_only_pydantic_itself_imports_pydantic():
    assert not hasattr(coaching_async.RetryPolicy, "__get_pydantic_core_schema__")
    assert not hasattr(coaching_async.AccessToken, "__get_pydantic_core_schema__")
