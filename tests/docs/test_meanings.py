"""Every field of a public class says what it means: below it in the source, in the reference, and in schemas."""

import enum
import inspect
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import attrs
import pytest
from pydantic import TypeAdapter

from coaching_async import (
    Appointment,
    ChannelEvent,
    CoachingError,
    ErrorBody,
    Notification,
    Page,
    UserReference,
    models,
)
from coaching_async._serialization import field_texts as module
from coaching_async._serialization.field_texts import field_texts, texts_in
from coaching_async._serialization.names import to_camel
from tests.docs.test_facts import BESIDE


def public_classes() -> Iterator[type]:
    for name in ("coaching_async", *(f"coaching_async.{each}" for each in BESIDE)):
        public = import_module(name)
        for each in public.__all__:
            if inspect.isclass(found := getattr(public, each)):
                yield found


def fields_of(cls: Any) -> set[str]:
    if issubclass(cls, CoachingError):
        return set(inspect.get_annotations(cls))
    return {field.name for field in attrs.fields(cls) if not field.name.startswith("_")} if attrs.has(cls) else set()


@pytest.mark.parametrize("cls", [cls for cls in public_classes() if fields_of(cls)], ids=lambda cls: cls.__name__)
def test_every_field_of_a_public_class_has_a_meaning(cls: type):
    texts = texts_in(cls.__init__.__module__)[cls.__name__] if issubclass(cls, CoachingError) else field_texts(cls)

    assert fields_of(cls) - texts.keys() == set()
    assert all(text[0].isupper() and text.endswith(".") for text in texts.values()), texts


def test_a_field_that_was_inherited_has_the_meaning_of_its_base():
    assert field_texts(UserReference)["id"] == "Id of the resource that is referred to."


@pytest.mark.parametrize("name", [name for name in models.__all__ if not issubclass(getattr(models, name), enum.Enum)])
def test_schemas_describe_every_field(name: str):
    cls: Any = getattr(models, name)
    whole = {Page: Page[Appointment], ChannelEvent: ChannelEvent[Notification]}.get(cls, cls)
    schema = TypeAdapter(whole).json_schema()
    schema = schema["$defs"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema

    assert {name: field["description"] for name, field in schema["properties"].items()} == {
        field.metadata.get("wire", to_camel(field.name)): field_texts(cls)[field.name] for field in attrs.fields(cls)
    }


def test_schemas_can_be_made_without_the_source(monkeypatch: pytest.MonkeyPatch):
    def no_source(_: object) -> str:
        raise OSError("could not get source code")

    monkeypatch.setattr(module.inspect, "getsource", no_source)
    module.texts_in.cache_clear()
    try:
        schema = TypeAdapter(ErrorBody).json_schema()
    finally:
        module.texts_in.cache_clear()

    assert "description" not in schema["$defs"]["ErrorBody"]["properties"]["code"]
