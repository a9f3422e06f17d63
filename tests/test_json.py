"""JSON, and long texts of it read in pieces."""

import json
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from coaching_async import _json
from coaching_async._json import LONG, MOST, PIECE, parse, parse_json, parse_object

from .conftest import VirtualLoop

pytestmark = pytest.mark.anyio

fast = pytest.mark.skipif(_json.orjson is None, reason="the extra `fast` is not there")

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner, max_size=5),
    max_leaves=20,
)
TEXTS = st.builds(
    lambda value, indent, spaces, ascii_: json.dumps(value, indent=indent, separators=spaces, ensure_ascii=ascii_),
    VALUES,
    st.sampled_from([None, 0, 3]),
    st.sampled_from([None, (",", ":")]),
    st.booleans(),
)


@st.composite
def broken(draw: st.DrawFn) -> str:
    """A text in which something was put in the place of something."""
    text = draw(TEXTS)
    start = draw(st.integers(0, len(text)))
    end = draw(st.integers(start, min(len(text), start + 3)))
    return (
        text[:start]
        + draw(st.text(st.sampled_from('{}[]",:\\ 0123456789.eE+-truefalsnNaI\n\t'), max_size=3))
        + text[end:]
    )


def read(text: str) -> Any:
    try:
        value = parse_json(text.encode())
    except ValueError:
        return ValueError
    return repr(value)  # 1 and 1.0 and True are equal


async def read_in_pieces(text: str) -> Any:
    try:
        value = await parse(text.encode())
    except ValueError:
        return ValueError
    return repr(value)


def test_in_pieces_of_any_length_a_text_means_what_it_means_at_a_stretch(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_json, "LONG", 0)

    @settings(max_examples=400, deadline=None)
    @given(text=TEXTS | broken(), piece=st.integers(1, 40))
    @example(text="[1.5e+5]", piece=5)
    @example(text='{"a": 1, "b": {"a": 2}, "a": 3}', piece=7)
    @example(text="[1, NaN]", piece=3)
    @example(text='{"a" 1}', piece=2)
    @example(text="[1] 2", piece=2)
    def law(text: str, piece: int) -> None:
        monkeypatch.setattr(_json, "PIECE", piece)
        options = {"loop_factory": VirtualLoop}
        assert anyio.run(read_in_pieces, text, backend="asyncio", backend_options=options) == read(text)

    law()


def told(content: bytes) -> str:
    try:
        return repr(parse_json(content))
    except ValueError as error:
        return str(error)


@fast
def test_with_orjson_a_text_means_what_it_means_without(monkeypatch: pytest.MonkeyPatch):
    orjson = _json.orjson

    @settings(max_examples=1000, deadline=None)
    @given(content=st.one_of((TEXTS | broken()).map(str.encode), st.binary()))
    @example(content=b"null")
    @example(content=b'{"a":1,"a":2}')
    @example(content=b'{"a":{"b":1,"b":1}}')
    @example(content=b'{"a":1,"\\u0061":2}')
    @example(content=b"[18446744073709551615,18446744073709551616,-9223372036854775809,-0,-0.0]")
    @example(content=b"[1e5,1E5,1e400,1e-400,0.1,1.10,123456789012345678901234567890.0]")
    @example(content=b"[NaN]")
    @example(content=b'"\\ud800"')
    @example(content=b'"\xed\xa0\x80"')
    @example(content=b'"\x7f\xe2\x80\xa8\\u0000\\/"')
    @example(content=b"\xef\xbb\xbf[]")
    @example(content=b"[]\n")
    @example(content=b"")
    @example(content=b"[" * 300 + b"]" * 300)
    @example(content=b"[" * 100_000 + b"]" * 100_000)
    def law(content: bytes) -> None:
        monkeypatch.setattr(_json, "orjson", orjson)
        with_orjson = told(content)
        monkeypatch.setattr(_json, "orjson", None)
        assert with_orjson == told(content)

    law()


@fast
def test_what_the_service_writes_is_read_by_orjson_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_json, "DECODER", None)

    assert parse_json('{"entities":[{"id":"1","name":"Zoë","lengthInMinutes":30}],"total":1}'.encode())["total"] == 1


def long_text(pieces: int) -> bytes:
    entity = {"id": "an-id", "name": "x" * 100, "attendees": [{"id": "1"}, {"id": "2"}]}
    return json.dumps({"entities": [entity] * (pieces * PIECE // len(json.dumps(entity)) + 1), "total": 1}).encode()


async def test_while_a_long_text_is_read_others_have_their_turn():
    turns, content = 0, long_text(20)

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(count)
        value = await parse(content)
        tasks.cancel_scope.cancel()

    assert value == json.loads(content)
    assert turns >= 20 - 1


async def test_who_reads_a_long_text_can_be_cancelled():
    with anyio.CancelScope() as scope:

        async def give_up() -> None:
            for _ in range(3):
                await anyio.lowlevel.checkpoint()
            scope.cancel()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(give_up)
            await parse(long_text(20))
            pytest.fail("read to its end")

    assert scope.cancelled_caught


@pytest.mark.parametrize(
    "content, problem",
    [
        (b"[" * LONG + b"]" * LONG, "nested too deep"),
        (b"[" * 60 + b"1," * LONG + b"1" + b"]" * 60, "nested too deep"),
        (b"[" * (LONG // 2) + b" " * LONG, "nested too deep"),
        (b"[" + b'"\xff",' * LONG + b"1]", "not UTF-8"),
        (b"[" + b"1," * LONG + b"]", "Expecting value"),
        (b"[" + b"1" * LONG + b"]", "Exceeds the limit"),
        (b"[" + b"[]," * MOST + b"1]", "more than 262,144 objects"),
        (b'{"a": ' + b"1," * LONG + b"1}", "has to be text"),
    ],
)
async def test_what_is_wrong_with_a_long_text_is_told_without_quoting_it(content: bytes, problem: str):
    with pytest.raises(ValueError, match=problem) as caught:
        await parse(content)

    assert len(str(caught.value)) < 200


async def test_a_long_text_may_begin_with_a_byte_order_mark():
    assert await parse(b"\xef\xbb\xbf" + long_text(5)) == json.loads(long_text(5))


def test_what_only_adds_to_a_status_is_not_looked_at_where_it_is_very_long():
    assert parse_object(b'{"a": 1}') == {"a": 1}
    assert parse_object(b'{"a": "%s"}' % (b" " * LONG)) == {}
