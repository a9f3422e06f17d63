"""JSON: the same values with and without orjson, and large bodies, which a worker thread parses."""

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from coaching_async import Appointment, AppointmentAggregates, Page
from coaching_async._serialization import json as _json
from coaching_async._serialization.codec import decode
from coaching_async._serialization.json import (
    LARGE_BODY,
    MAX_VALUES,
    parse_json,
    parse_object,
    parse_with_orjson,
)
from coaching_async._transport.body import parse_body
from tests.support.effort import examples

fast = pytest.mark.skipif(_json.orjson is None, reason="the extra `fast` is not there")

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner, max_size=5),
    max_leaves=20,
)


def texts_of(values: st.SearchStrategy[Any]) -> st.SearchStrategy[str]:
    return st.builds(
        lambda value, indent, spaces, ascii_: json.dumps(value, indent=indent, separators=spaces, ensure_ascii=ascii_),
        values,
        st.sampled_from([None, 0, 3]),
        st.sampled_from([None, (",", ":")]),
        st.booleans(),
    )


@st.composite
def broken(draw: st.DrawFn, texts: st.SearchStrategy[str]) -> str:
    """Return a text with a part of it replaced."""
    text = draw(texts)
    start = draw(st.integers(0, len(text)))
    end = draw(st.integers(start, min(len(text), start + 3)))
    return (
        text[:start]
        + draw(st.text(st.sampled_from('{}[]",:\\ 0123456789.eE+-truefalsnNaI\n\t'), max_size=3))
        + text[end:]
    )


def in_64_bits(value: Any) -> Any:
    """Return a value with long integers as floats, as orjson reads them."""
    match value:
        case list():
            return [in_64_bits(each) for each in value]
        case dict():
            return {name: in_64_bits(each) for name, each in value.items()}
        case int() if not -(2**63) <= value < 2**64:
            return float(value)
        case _:
            return value


@fast
@settings(max_examples=examples(500), deadline=None)
@given(content=st.one_of((texts_of(VALUES) | broken(texts_of(VALUES))).map(str.encode), st.binary()))
@example(content=b'{"a":1,"a":2}')
@example(content=b'{"a":{"b":1,"b":1}}')
@example(content=b'{"a":1,"\\u0061":2}')
@example(content=b"[18446744073709551615,18446744073709551616,-9223372036854775809,-0,-0.0]")
@example(content=b"[1e5,1E5,1e400,1e-400,0.1,1.10,123456789012345678901234567890.0]")
@example(content=b"[NaN]")
@example(content=b'"\\ud800"')
@example(content=b'"\xed\xa0\x80"')
@example(content=b'"\x7f\xe2\x80\xa8\\u0000\\/"')
@example(content=b"[" * 300 + b"]" * 300)
def test_orjson_and_the_standard_library_agree_except_on_integers_beyond_64_bits(content: bytes):
    value = parse_with_orjson(content)

    if value is not None:
        assert repr(value) == repr(in_64_bits(parse_json(content)))  # 1 and 1.0 and True are equal


def told(cls: Any, content: bytes) -> str:
    try:
        return repr(decode(cls, content))
    except ValueError as error:
        return str(error)


FIELDS = ("id", "lengthInMinutes", "name", "dateStart", "isOverdue", "attendees", "status", "entities", "total", "news")
OBJECTS = st.dictionaries(
    st.sampled_from(FIELDS),
    st.sampled_from(["1", "2026-11-20T14:00:00Z", 2**64, -(2**63) - 1, 10**400, 0.5, True, [], [{"id": "1"}], [5]])
    | VALUES,
)
BODIES = texts_of(OBJECTS | st.builds(lambda each: {"entities": [each]}, OBJECTS))


@fast
def test_a_body_decodes_to_the_same_value_with_and_without_orjson(monkeypatch: pytest.MonkeyPatch):
    orjson = _json.orjson

    @settings(max_examples=examples(500), deadline=None)
    @given(
        cls=st.sampled_from([Appointment, Page[Appointment], AppointmentAggregates]),
        content=st.one_of((BODIES | broken(BODIES)).map(str.encode), st.binary()),
    )
    @example(cls=Appointment, content=b"null")
    @example(cls=Appointment, content=b'{"id":"1","id":"2"}')
    @example(cls=Appointment, content=b'{"id":"1","lengthInMinutes":18446744073709551616}')
    @example(cls=Appointment, content=b'{"id":"1","lengthInMinutes":1e400}')
    @example(cls=Appointment, content=b'{"id":"1","news":NaN}')
    @example(cls=Appointment, content=b'{"id":"1","news":1e400}')
    @example(cls=Appointment, content=b'{"id":"1","name":"\\ud800"}')
    @example(cls=Appointment, content=b'{"id":"\xed\xa0\x80"}')
    @example(cls=Appointment, content=b'\xef\xbb\xbf{"id":"1"}')
    @example(cls=Appointment, content=b'{"id":"1"}\n')
    @example(cls=Appointment, content=b"")
    @example(cls=Appointment, content=b'{"id":"1","news":' + b"[" * 300 + b"]" * 300 + b"}")
    @example(cls=Appointment, content=b'{"id":"1","news":' + b"[" * 100_000 + b"]" * 100_000 + b"}")
    def law(cls: Any, content: bytes) -> None:
        monkeypatch.setattr(_json, "orjson", orjson)
        with_orjson = told(cls, content)
        monkeypatch.setattr(_json, "orjson", None)
        assert with_orjson == told(cls, content)

    law()


@fast
def test_if_orjson_parses_a_body_the_standard_library_does_not(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_json, "DECODER", None)

    assert decode(Page[Appointment], '{"entities": [{"id": "1", "name": "Zoë"}]}'.encode()).entities[0].name == "Zoë"


def test_the_last_of_two_members_with_one_name_counts():
    assert parse_json(b'{"a": 1, "b": {"c": 1, "c": 2}, "a": 3}') == {"a": 3, "b": {"c": 2}}


@pytest.mark.anyio
@pytest.mark.real_time
@pytest.mark.parametrize(
    "content, problem",
    [
        (b"[" * LARGE_BODY + b"]" * LARGE_BODY, "nested too deep"),
        (b"[" + b'"\xff",' * (LARGE_BODY // 4) + b"1]", "not UTF-8"),
        (
            b"[" + b"1," * LARGE_BODY + b"]",
            "Expecting value|Illegal trailing comma",
        ),  # before Python 3.13, and since then
        (b"[" + b"1" * LARGE_BODY + b"]", "Exceeds the limit"),
        (b"[" + b"[]," * (MAX_VALUES // 2) + b"1]", "more than 524,288 values"),
        (b"[" + b"1," * MAX_VALUES + b"1]", "more than 524,288 values"),
        (b'{"a": ' + b"1," * LARGE_BODY + b"1}", "Expecting property name"),
    ],
)
async def test_an_error_in_a_large_body_does_not_quote_it(content: bytes, problem: str):
    with pytest.raises(ValueError, match=problem) as caught:
        await parse_body(parse_json, content)

    assert len(str(caught.value)) < 200


@pytest.mark.anyio
@pytest.mark.real_time
async def test_a_large_body_may_begin_with_a_byte_order_mark():
    assert await parse_body(parse_json, b"\xef\xbb\xbf" + b" " * LARGE_BODY + b"[5]") == [5]


def test_a_large_error_body_is_not_parsed():
    assert parse_object(b'{"a": 1}') == {"a": 1}
    assert parse_object(b'{"a": "%s"}' % (b" " * LARGE_BODY)) == {}
