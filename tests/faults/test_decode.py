"""Rows 83 to 92: any response body gives a valid model or a clear error, in little memory."""

import gzip
import json
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from typing import Any, Self

import anyio.lowlevel
import httpx
import pytest

from coaching_async import CoachingClient, DecodeError, OutcomeUnknown, from_dict, to_dict
from coaching_async.models import Appointment
from tests.faults.support import APPOINTMENT, NEW, Source, client_to, failing
from tests.support.doubles import Service
from tests.support.fault_server import Behaviour, Conversation, FaultServer, answering, response, then

pytestmark = pytest.mark.anyio

MIB = 2**20
CAP = 10 * MIB
PIECE = 65536

Ask = Callable[[CoachingClient], Awaitable[Any]]


def get(client: CoachingClient) -> Awaitable[Any]:
    return client.appointments.get("1")


def create(client: CoachingClient) -> Awaitable[Any]:
    return client.appointments.create(NEW)


@asynccontextmanager
async def responding(
    content: bytes, *, strict: bool = False, **headers: str
) -> AsyncIterator[tuple[CoachingClient, Service]]:
    """Yield a client of a service in memory whose responses all have this body."""
    named = {"Content-Type": "application/json"} | {name.replace("_", "-"): text for name, text in headers.items()}
    service = Service(lambda _: httpx.Response(200, headers=named, content=content))
    async with service.client(Source(), strict=strict) as client:
        yield client, service
    await service.http.aclose()


async def assert_refused(
    content: bytes, place: str = "", ask: Ask = get, *, strict: bool = False, **headers: str
) -> DecodeError:
    """Assert that a body is refused at once with an error that names the path; after a write, that the write was carried out."""
    async with responding(content, strict=strict, **headers) as (client, service):
        with failing(DecodeError) as caught:
            await ask(client)
        assert len(service.requests) == 1
        assert caught.value.status == 200
        assert place in str(caught.value), str(caught.value)
        assert len(str(caught.value)) < 1000

        with failing(OutcomeUnknown) as unknown:
            await create(client)
        assert len(service.requests) == 2
        assert unknown.value.processed == ("maybe" if caught.value.is_from_gateway else "yes")
    return caught.value


def body(**fields: Any) -> bytes:
    return json.dumps(APPOINTMENT | fields).encode()


# Rows 83 to 90: the content


@pytest.mark.parametrize(
    "content, kind",
    [
        (b'{"id": "1"', "application/json"),
        (b'{"id": "1",}', "application/json"),
        (b"{'id': '1'}", "application/json"),
        (b'{"id": "1"} {"id": "2"}', "application/json"),
        (b'{"id": "1"}x', "application/json"),
        (b'{"id": "1\n"}', "application/json"),
        (b'{"id": "\\x41"}', "application/json"),
        (b"\x00", "application/json"),
        (b'{"id": "1"}\x00', "application/json"),
        (b'{"id": 01}', "application/json"),
        (b"<html><body>Sign in</body></html>", "text/html"),
        (b"<html><body>Sign in</body></html>", "application/json"),
        (b"all is well", "text/plain"),
        (b"id", "text/plain"),
    ],
)
async def test_row_83_a_body_that_is_not_json_is_refused(content: bytes, kind: str):
    is_page = kind != "application/json" or content.startswith(b"<")
    error = await assert_refused(content, "captive portal" if is_page else "no JSON", Content_Type=kind)

    assert error.is_from_gateway is is_page
    assert "Sign in" not in str(error)


@pytest.mark.parametrize(
    "content", ["[]", '"id"', "5", "null", '["id"]', "true", "-0.0", '[["id", "1"]]', '[{"id": "1"}]']
)
async def test_row_84_json_that_is_not_an_object_is_refused(content: str):
    await assert_refused(content.encode(), "expected an object")


async def page(client: CoachingClient) -> Any:
    return await client.appointments.list("u").collect()


@pytest.mark.parametrize(
    "content", ["[]", '"id"', "5", "null", '["entities"]', "{}", '{"status": "ok"}', '{"entities": {}}']
)
async def test_row_84_a_body_that_is_not_a_page_is_refused(content: str):
    await assert_refused(content.encode(), ask=page)


@pytest.mark.parametrize(
    "length", ["abc", "30", 1.9, 30.0, True, [], {}, [30], 1e300, 10**400], ids=lambda each: repr(each)[:8]
)
async def test_row_85_a_length_of_another_type_is_refused_and_its_path_named(length: Any):
    if length in (30.0, 10**400):
        # a whole number, however it is written, and however long
        async with responding(body(lengthInMinutes=length)) as (client, _):
            assert (await get(client)).length_in_minutes == length
    else:
        await assert_refused(body(lengthInMinutes=length), "$.lengthInMinutes")


JUNK = [None, "an-appointment", 5, True, [], ["id"], {}, {"id": None}, {"id": 5}, {"id": ""}, {"id": ".."}, {"id": "."}]


@pytest.mark.parametrize("junk", JUNK, ids=repr)
@pytest.mark.parametrize("length, at", [(3, 1), (3, 0), (350, 1), (350, 230)])
async def test_row_86_an_invalid_entity_is_left_out_or_refused_and_its_path_named(length: int, at: int, junk: Any):
    entities: list[Any] = [{"id": str(number)} for number in range(length)]
    entities[at] = junk
    whole = {"entities": entities, "pageNumber": 1, "pageSize": length, "pageCount": 1, "total": length}
    content = json.dumps(whole).encode()

    async with responding(content) as (client, service):
        walk = aiter(client.appointments.list("u"))
        assert [item.id async for item in walk] == [str(number) for number in range(length) if number != at]
        assert [(row.page, row.index) for row in walk.report.left_out] == [(1, at)]
        assert len(service.requests) == 1
    await assert_refused(content, f"$.entities[{at}]", ask=page, strict=True)


OF_UTF_8 = '{"id": "é", "name": "😀"}'


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(OF_UTF_8.encode("utf-16"), id="UTF-16"),
        pytest.param(OF_UTF_8.encode("utf-16-le"), id="UTF-16 LE"),
        pytest.param(OF_UTF_8.encode("utf-32"), id="UTF-32"),
        pytest.param('{"id": "é"}'.encode("latin-1"), id="Latin-1"),
        pytest.param(b'{"id": "\xff"}', id="a byte that never is"),
        pytest.param(b'{"id": "\xed\xa0\x80"}', id="half a surrogate pair"),
        pytest.param(b'{"id": "\xc0\xae\xc0\xae"}', id="two dots, overlong"),
        pytest.param(b'{"id": "\xf0\x9f\x98"}', id="three quarters of a character"),
        pytest.param(b"\xef\xbb\xbf\xef\xbb\xbf" + OF_UTF_8.encode(), id="two BOMs"),
        pytest.param(b"\xef\xbb", id="half a BOM"),
        pytest.param(b"\xef\xbb\xbf", id="nothing but a BOM"),
    ],
)
async def test_row_87_bytes_that_are_not_utf_8_are_refused(content: bytes):
    await assert_refused(content, "no JSON")


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"], ids=["without", "with"])
@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=latin-1", "text/plain"])
async def test_row_87_a_bom_and_the_charset_of_the_header_are_ignored(bom: bytes, kind: str):
    async with responding(bom + OF_UTF_8.encode(), Content_Type=kind) as (client, _):
        got = await get(client)

    assert (got.id, got.name) == ("é", "😀")


@pytest.mark.parametrize(
    "moment",
    [
        "garbage",
        "",
        "10000-01-01T00:00:00Z",
        "+10000-01-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "-0001-01-01T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-11-20T25:00:00Z",
        "2026-11-20T00:00:61Z",
        "2026-11-20T00:00:00",
        "2026-11-20",
        "2026-11-20T00:00:00+99:00",
        "2026-11-20T00:00:00Z ",
        "2026-11-20T00:00:00Zjunk",
        1795132800,
        1.5,
        True,
        [],
    ],
    ids=repr,
)
async def test_row_88_an_invalid_date_is_refused_and_its_path_named(moment: Any):
    await assert_refused(body(dateStart=moment), "$.dateStart")


@pytest.mark.parametrize("unknown", ["Paused", "completed", "", "COMPLETED", "outdated_sdk_version", "mro", "é\n"])
async def test_row_89_an_unknown_status_is_kept_verbatim(unknown: str):
    async with responding(body(status=unknown)) as (client, _):
        got = await get(client)

    assert got.status == unknown
    assert not got.status.is_known
    assert to_dict(got)["status"] == unknown
    assert from_dict(Appointment, to_dict(got)) == got


DEEP = 200_000


@pytest.mark.real_time  # because a thread parses large bodies
@pytest.mark.parametrize("where", ["alone", "in a field", "in a field that nobody knows"])
@pytest.mark.parametrize("opening, closing", [("[", "]"), ('{"a":', "}")], ids=["lists", "objects"])
async def test_row_90_nested_too_deep_is_refused(opening: str, closing: str, where: str):
    deep = opening * DEEP + "1" + closing * DEEP
    name = {"in a field": "attendees", "in a field that nobody knows": "news"}.get(where)

    await assert_refused((deep if name is None else f'{{"id": "1", "{name}": {deep}}}').encode(), "nested too deep")


@pytest.mark.parametrize("field", ["lengthInMinutes", "news"])
async def test_row_90_a_number_of_five_thousand_digits_is_refused(field: str):
    error = await assert_refused(f'{{"id": "1", "{field}": {"9" * 5000}}}'.encode())

    assert "99999" not in str(error)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("field", ["lengthInMinutes", "news", "name"])
async def test_row_90_nan_and_infinity_are_refused(field: str, number: str):
    await assert_refused(f'{{"id": "1", "{field}": {number}}}'.encode(), "no JSON")


@pytest.mark.parametrize(
    "content",
    [
        '{"id": "1", "id": "2"}',
        '{"id": "1", "name": "a", "name": "b"}',
        '{"id": "1", "facilitator": {"id": "a", "id": "b"}}',
        '{"id": "1", "news": 1, "news": 2}',
    ],
    ids=["the id", "a field", "within", "a field that nobody knows"],
)
async def test_row_90_of_a_repeated_name_the_last_value_counts(content: str):
    async with responding(content.encode()) as (client, _):
        got = await get(client)

    assert to_dict(got) == {name: value for name, value in json.loads(content).items() if name != "news"}


# Rows 91 and 92: the size


class Flow(httpx.AsyncByteStream):
    """A body in pieces, that records how much of it was read and whether it was closed.

    Like a body from the network it lets other tasks run before each piece, unless it is `eager`.
    """

    def __init__(self, *pieces: bytes | Iterator[bytes], eager: bool = False) -> None:
        self._pieces = (piece for each in pieces for piece in ([each] if isinstance(each, bytes) else each))
        self._eager = eager
        self.taken, self.closed = 0, False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if not self._eager:
            await anyio.lowlevel.checkpoint()
        for piece in self._pieces:
            self.taken += len(piece)
            return piece
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self.closed = True


@asynccontextmanager
async def flowing(*flows: Flow, **headers: str) -> AsyncIterator[tuple[CoachingClient, Service]]:
    """Yield a client of a service in memory that responds with one flow after another."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    answers = iter(flows)
    service = Service(lambda _: httpx.Response(200, headers=named, stream=next(answers)))
    async with service.client(Source()) as client:
        yield client, service
    await service.http.aclose()


@contextmanager
def little_memory(most: int = 40 * MIB) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= most, f"{peak / MIB:.1f} MiB"


CHUNKED = {"Transfer_Encoding": "chunked"}
ZIPPED = CHUNKED | {"Content_Encoding": "gzip"}


def spaces(count: int) -> Iterator[bytes]:
    """Yield `count` bytes of whitespace, which JSON ignores."""
    while count > 0:
        yield b" " * min(PIECE, count)
        count -= PIECE


def pieces(data: bytes, size: int = PIECE) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


@cache
def bomb(size: int = 256 * MIB) -> bytes:
    """Return a gzip of a valid object with `size` bytes of whitespace. It is a thousandth of that size, and made in little memory."""
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    packed = [packer.compress(b'{"id": "1"'), *(packer.compress(space) for space in spaces(size))]
    return b"".join([*packed, packer.compress(b"}"), packer.flush()])


@pytest.fixture(scope="module", autouse=True)
def the_bomb_is_built_before_memory_is_measured() -> None:
    assert len(bomb()) < MIB
    assert zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(bomb(), 16).startswith(b'{"id": "1"  ')


async def test_row_91_a_compression_bomb_is_refused_in_little_memory():
    async with flowing(Flow(bomb()), Flow(pieces(bomb(), 100)), **ZIPPED) as (client, service):
        with little_memory():
            with failing(DecodeError, "larger than 10 MiB"):
                await get(client)
            with failing(OutcomeUnknown, "larger than 10 MiB") as caught:
                await create(client)
    assert caught.value.processed == "yes"
    assert len(service.requests) == 2


@pytest.mark.real_time
async def test_row_91_over_a_socket_a_compression_bomb_is_refused_in_little_memory():
    packed = bomb()
    with FaultServer(then(*[answering(packed, Content_Encoding="gzip")] * 9)) as server:
        async with client_to(server.url) as client:
            with little_memory(), failing(DecodeError, "larger than 10 MiB"):
                await get(client)
            server.wait_until(lambda: server.open == 0)  # the rest of the body is not read
        assert len(server.requests) == 1


@pytest.mark.parametrize("encoding", ["br", "zstd", "deflate", "compress", "gzip, gzip", "gzip, br", "nonsense"])
async def test_row_91_an_encoding_that_was_not_accepted_is_refused_unread(encoding: str):
    flow = Flow(zlib.compress(body()), spaces(64 * MIB))
    async with flowing(flow, **CHUNKED, Content_Encoding=encoding) as (client, service):
        with failing(DecodeError, "encoding that was not asked for"):
            await get(client)

    assert flow.closed
    assert flow.taken == 0
    assert len(service.requests) == 1
    assert service.requests[0].headers["Accept-Encoding"] == "gzip"


PACKED = gzip.compress(body(), mtime=0)
AT = len(PACKED) - 8
BROKEN = {
    "no gzip at all": body(),
    "a wrong first byte": b"\x00" + PACKED[1:],
    "a method that is none": PACKED[:2] + b"\x09" + PACKED[3:],
    "a wrong checksum": PACKED[:AT] + bytes([PACKED[AT] ^ 1]) + PACKED[AT + 1 :],
    "a wrong length": PACKED[:-1] + bytes([PACKED[-1] ^ 1]),
    "a wrong byte within": PACKED[:10] + b"\xff\xff\xff" + PACKED[13:],
}
CUT = {f"{length} of {len(PACKED)} bytes": PACKED[:length] for length in (1, 9, 10, 15, AT, AT + 4, len(PACKED) - 1)}


@pytest.mark.parametrize("size", [1, PIECE], ids=["byte by byte", "at once"])
@pytest.mark.parametrize("packed", [*BROKEN, *CUT])
async def test_row_91_a_corrupt_gzip_is_requested_once_more_and_refused(packed: str, size: int):
    content = (BROKEN | CUT)[packed]
    flows = [Flow(pieces(content, size)) for _ in range(3)]
    async with flowing(*flows, **ZIPPED) as (client, service):
        with failing(DecodeError, "gzip"):
            await get(client)
        assert len(service.requests) == 2

        with failing(OutcomeUnknown, "gzip") as caught:
            await create(client)
        assert caught.value.processed == "yes"
        assert len(service.requests) == 3
    assert all(flow.closed for flow in flows)


@pytest.mark.parametrize("size", [1, PIECE], ids=["byte by byte", "at once"])
@pytest.mark.parametrize("packed", [*BROKEN, *CUT])
async def test_row_91_a_valid_second_response_counts(packed: str, size: int):
    content = (BROKEN | CUT)[packed]
    async with flowing(Flow(pieces(content, size)), Flow(pieces(PACKED, size)), **ZIPPED) as (client, service):
        assert (await get(client)).id == APPOINTMENT["id"]
    assert len(service.requests) == 2


@pytest.mark.real_time
@pytest.mark.parametrize("packed", [*BROKEN, *CUT])
async def test_row_91_over_a_socket_a_corrupt_gzip_is_refused(packed: str):
    content = (BROKEN | CUT)[packed]
    with FaultServer(then(*[answering(content, Content_Encoding="gzip")] * 9)) as server:
        async with client_to(server.url) as client:
            with failing(DecodeError, "gzip"):
                await get(client)
        assert len(server.requests) == 2


async def test_row_91_data_after_the_end_of_a_gzip_counts_towards_the_maximum_size():
    flows = [
        Flow(PACKED, spaces(64 * MIB)) for _ in range(2)
    ]  # too large is refused at once, broken is asked for again
    async with flowing(*flows, **ZIPPED) as (client, service):
        with little_memory(), failing(DecodeError):
            await get(client)

    for flow in flows[: len(service.requests)]:
        assert flow.taken <= CAP + 2 * PIECE
        assert flow.closed


@pytest.mark.parametrize("rest", [b"}", gzip.compress(b"}"), b"\x1f\x8b"], ids=["plain", "a member", "half a member"])
async def test_row_91_half_an_object_is_refused_with_any_data_after_its_gzip(rest: bytes):
    async with flowing(*[Flow(gzip.compress(b'{"id": "1"'), rest) for _ in range(2)], **ZIPPED) as (client, _):
        try:
            got = await get(client)
        except DecodeError:
            return
    assert got.id == "1"  # a decoder that reads the second member has the whole object


# Row 92

FILL = CAP - len(b'{"id": "1"}')


@pytest.mark.real_time
@pytest.mark.parametrize("headers", [CHUNKED, {"Content_Length": str(CAP)}, {}], ids=["chunked", "length", "neither"])
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
async def test_row_92_ten_mebibytes_are_read_and_one_byte_more_is_not(headers: dict[str, str], encoding: str):
    def flow(extra: int) -> Flow:
        if encoding == "gzip":
            return Flow(bomb(FILL + extra))
        return Flow(b'{"id": "1"', spaces(FILL + extra), b"}")

    zipped = {"Content_Encoding": encoding}
    if encoding == "gzip" and "Content_Length" in headers:
        headers = {"Content_Length": str(len(bomb(FILL)))}
    async with flowing(flow(0), flow(1), **headers, **zipped) as (client, _):
        with little_memory():
            assert (await get(client)).id == "1"
            with failing(DecodeError, "larger than 10 MiB"):
                await get(client)


async def test_row_92_one_byte_more_by_the_header_alone_is_not_read():
    flow = Flow(b'{"id": "1"', spaces(FILL + 1), b"}")
    async with flowing(flow, Content_Length=str(CAP + 1)) as (client, _):
        with failing(DecodeError, "larger than 10 MiB"):
            await get(client)

    assert flow.taken == 0
    assert flow.closed


@pytest.mark.parametrize("length", ["67108864", "9" * 19, "9" * 400, "9" * 5000], ids=len)
async def test_row_92_64_mebibytes_with_a_content_length_are_refused_unread(length: str):
    flow = Flow(spaces(64 * MIB))
    async with flowing(flow, Content_Length=length) as (client, service):
        with little_memory(MIB), failing(DecodeError, "larger than 10 MiB"):
            await get(client)

    assert flow.taken == 0
    assert flow.closed
    assert len(service.requests) == 1


@pytest.mark.parametrize("headers", [CHUNKED, {}], ids=["chunked", "until it closes"])
async def test_row_92_of_64_mebibytes_without_a_content_length_at_most_the_maximum_size_is_read(
    headers: dict[str, str],
):
    flow = Flow(spaces(64 * MIB))
    async with flowing(flow, **headers) as (client, service):
        with little_memory(), failing(DecodeError, "larger than 10 MiB"):
            await get(client)

    assert flow.taken <= CAP + PIECE
    assert flow.closed
    assert len(service.requests) == 1


async def test_row_92_a_transport_that_never_yields_to_the_event_loop_takes_little_memory_too():
    flow = Flow(spaces(64 * MIB), eager=True)
    async with flowing(flow, **CHUNKED) as (client, _):
        with little_memory(), failing(DecodeError, "larger than 10 MiB"):
            await get(client)

    assert flow.closed


class Pouring:
    """Sends 64 MiB, counts the bytes, and records whether the peer closed the connection."""

    def __init__(self, framing: str, packed: bytes = b"") -> None:
        self.framing, self.packed = framing, packed
        self.poured, self.cut_off = 0, False

    def __call__(self, conversation: Conversation) -> None:
        conversation.request()
        conversation._socket.setsockopt(1, 7, PIECE)  # SOL_SOCKET, SO_SNDBUF: the rest waits here, not in the kernel
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        head += {"length": b"Content-Length: %d\r\n" % (64 * MIB), "chunked": b"Transfer-Encoding: chunked\r\n"}.get(
            self.framing, b""
        )
        if self.packed:
            head += b"Content-Encoding: gzip\r\n"
        try:
            conversation.send(head + b"\r\n")
            if self.packed:
                self._pour(conversation, self.packed)
            while self.poured < 64 * MIB:
                self._pour(conversation, b" " * PIECE)
        except OSError:
            self.cut_off = True

    def _pour(self, conversation: Conversation, piece: bytes) -> None:
        conversation.send(b"%x\r\n%b\r\n" % (len(piece), piece) if self.framing == "chunked" else piece)
        self.poured += len(piece)


KERNEL = 8 * MIB
"""The size of the socket buffers of both sides. The client's grows automatically, up to 6 MiB."""


async def far_less_is_read(pouring: Pouring, most: int, ask: Ask = get, kind: type[Exception] = DecodeError) -> None:
    good: Behaviour = then(answering(APPOINTMENT))
    with FaultServer(pouring, good) as server:
        async with client_to(server.url) as client:
            with little_memory(), failing(kind, "larger than 10 MiB"):
                await ask(client)
            server.wait_until(lambda: pouring.cut_off)
            assert pouring.poured <= most, f"{pouring.poured / MIB:.1f} MiB"

            assert (await get(client)).id == APPOINTMENT["id"]
        assert (len(server.requests), server.accepted) == (2, 2)


@pytest.mark.real_time
@pytest.mark.parametrize("framing, most", [("length", 0), ("chunked", CAP), ("until it closes", CAP)])
@pytest.mark.parametrize("ask, kind", [(get, DecodeError), (create, OutcomeUnknown)], ids=["GET", "POST"])
async def test_row_92_over_a_socket_a_body_that_is_too_large_closes_the_connection(
    framing: str, most: int, ask: Ask, kind: type[Exception]
):
    await far_less_is_read(Pouring(framing), most + KERNEL, ask, kind)


@pytest.mark.real_time
@pytest.mark.parametrize("framing", ["chunked", "until it closes"])
async def test_row_92_over_a_socket_data_after_the_end_of_a_gzip_is_not_read_without_end(framing: str):
    pourings = [Pouring(framing, PACKED) for _ in range(2)]  # too large is refused at once, broken is asked for again
    with FaultServer(*pourings) as server:
        async with client_to(server.url) as client:
            with little_memory(), failing(DecodeError):
                await get(client)
            for pouring in pourings[: len(server.requests)]:
                server.wait_until(lambda pouring=pouring: pouring.cut_off)
                assert pouring.poured <= CAP + KERNEL, f"{pouring.poured / MIB:.1f} MiB"
        assert len(server.requests) <= 2


@pytest.mark.real_time
async def test_row_92_an_error_response_that_is_too_large_keeps_its_error_class():
    def behave(conversation: Conversation) -> None:
        while conversation.request() is not None:
            conversation.send(response(b"", 404, Content_Length=str(64 * MIB), ININ_Correlation_Id="c"))

    with FaultServer(behave) as server:
        async with client_to(server.url) as client:
            with failing(Exception, "404") as caught:
                await get(client)
        assert type(caught.value).__name__ == "NotFound"
        assert len(server.requests) == 1
