"""Pydantic schemas of the models, for FastAPI too. Their JSON is that of `to_dict` and `from_dict`."""

import types
from typing import Any, TypeVar, Union, get_args, get_origin

import attrs

from coaching_async.models.types import Interval, OpenEnum, Unset, format_interval

from .codec import from_dict, to_dict
from .names import wire_name

__all__ = ["add_pydantic_schema"]


def add_pydantic_schema(cls: type) -> None:
    """Make pydantic validate, serialize and describe a model, an open enum or an interval.

    Pydantic is imported only when it calls the hook.
    """
    hook = (
        _enum_schema if issubclass(cls, OpenEnum) else _interval_schema if issubclass(cls, Interval) else _model_schema
    )
    cls.__get_pydantic_core_schema__ = classmethod(hook)  # type: ignore[attr-defined]


def _model_schema(cls: Any, source: Any, handler: Any) -> Any:
    from pydantic_core import core_schema as schemas

    from .field_texts import field_texts  # reads source, which is of use here only

    own_ref = _ref(cls, source)

    def schema_of(annotation: Any) -> Any:
        if isinstance(annotation, TypeVar):
            return schema_of(get_args(source)[0]) if get_args(source) else schemas.any_schema()
        if get_origin(annotation) is tuple:
            return schemas.list_schema(schema_of(get_args(annotation)[0]))
        if annotation is cls:
            return schemas.definition_reference_schema(own_ref)
        return handler.generate_schema(annotation)

    fields: tuple[attrs.Attribute[Any], ...] = attrs.fields(attrs.resolve_types(cls))
    texts = field_texts(cls)
    shape = schemas.typed_dict_schema(
        {
            wire_name(field): schemas.typed_dict_field(
                schema_of(_json_type(field.type)),
                required=field.default is attrs.NOTHING,
                metadata=_described(texts.get(field.name)),
            )
            for field in fields
        },
        cls=cls,  # pydantic shows its name and docstring
    )
    return schemas.no_info_wrap_validator_function(
        lambda value, _: value if isinstance(value, cls) else from_dict(source, value),
        shape,
        ref=own_ref,
        serialization=schemas.plain_serializer_function_ser_schema(to_dict),
    )


def _described(text: str | None) -> Any:
    return None if text is None else {"pydantic_js_updates": {"description": text}}


def _enum_schema(cls: Any, source: Any, _: Any) -> Any:
    from pydantic_core import core_schema as schemas

    # The enum is open: the schema says that the service may add values.
    text = schemas.union_schema([schemas.literal_schema([member.value for member in cls]), schemas.str_schema()])
    written = schemas.plain_serializer_function_ser_schema(str, return_schema=text)
    return schemas.no_info_after_validator_function(cls, text, ref=_ref(cls, source), serialization=written)


def _interval_schema(cls: Any, _: Any, __: Any) -> Any:
    from pydantic_core import core_schema as schemas

    return schemas.no_info_wrap_validator_function(
        lambda value, _: value if isinstance(value, cls) else cls.parse(value),
        schemas.str_schema(),
        serialization=schemas.plain_serializer_function_ser_schema(format_interval),
    )


def _json_type(annotation: Any) -> Any:
    """Return a field's type in JSON. Absent fields are left out, so null occurs only in a request that sets it."""
    if get_origin(annotation) not in {Union, types.UnionType}:
        return annotation
    absent = Unset if Unset in get_args(annotation) else types.NoneType
    return Union[tuple(of for of in get_args(annotation) if of is not absent)]  # noqa: UP007 # built at run time


def _ref(cls: Any, source: Any) -> str:
    """Return a reference in pydantic's form; it shows the part before the colon."""
    of = ",".join(argument.__name__ for argument in get_args(source))
    return f"{cls.__module__}.{cls.__qualname__}:{id(cls)}{f'[{of}]' if of else ''}"
