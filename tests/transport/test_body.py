"""Tests of the codings of a body, and of gzip in several members."""

import gzip
from collections.abc import AsyncIterator, Sequence

import httpx
import pytest

from coaching_async._transport.body import MAX_BODY_SIZE, BodyDecoder, read_body
from coaching_async._transport.messages import BodyError

pytestmark = pytest.mark.anyio

BODY = b'{"id": "1"}'
PACKED = gzip.compress(BODY)


class Chunks(httpx.AsyncByteStream):
    def __init__(self, chunks: Sequence[bytes]) -> None:
        self.chunks = chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            yield chunk


def response(content: bytes, *codings: str) -> httpx.Response:
    headers = [("Content-Encoding", coding) for coding in codings]
    return httpx.Response(200, headers=[*headers, ("Transfer-Encoding", "chunked")], stream=Chunks([content]))


@pytest.mark.parametrize(
    "codings",
    [
        ["gzip"],
        ["x-gzip"],
        ["X-GZip"],
        ["identity, gzip"],
        ["gzip, identity"],
        [" gzip ,"],
        ["", "gzip"],
        ["identity", "gzip"],
    ],
)
async def test_codings_that_mean_gzip(codings: list[str]):
    assert await read_body(response(PACKED, *codings)) == BODY


@pytest.mark.parametrize("codings", [[], [""], ["identity"], ["Identity"], [","], ["identity, identity"], [" "]])
async def test_codings_that_mean_nothing(codings: list[str]):
    assert await read_body(response(BODY, *codings)) == BODY


@pytest.mark.parametrize("coding", ["br", "x-br", "x-identity", "gzip, x-gzip", "deflate", "gzip;q=1", "x-x-gzip"])
async def test_other_codings_are_refused(coding: str):
    assert isinstance(await read_body(response(PACKED, coding)), BodyError)


def decoded(content: bytes, size: int) -> bytes | BodyError:
    decoder = BodyDecoder(is_gzipped=True)
    for start in range(0, len(content), size):
        decoder.feed(content[start : start + size])
    return decoder.finish()


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("padding", [b"", b"\0", b"\0" * 512])
@pytest.mark.parametrize("parts", [[BODY], [BODY[:4], BODY[4:]], [b"", BODY, b""], [bytes([each]) for each in BODY]])
def test_members_of_a_gzip_are_one_body(parts: list[bytes], padding: bytes, size: int):
    assert decoded(b"".join(gzip.compress(part) + padding for part in parts), size) == BODY


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("rest", [b"}", b"\0}", b"{}", b"\x1f}"])
def test_what_follows_a_gzip_and_is_none_is_refused(rest: bytes, size: int):
    assert isinstance(decoded(PACKED + rest, size), BodyError)


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("length", [1, 2, 9, len(PACKED) - 1])
def test_a_member_that_is_cut_is_a_truncated_body(length: int, size: int):
    error = decoded(PACKED + PACKED[:length], size)

    assert isinstance(error, BodyError)
    assert (error.text, error.is_transient) == ("it ends in the middle of its gzip", True)


@pytest.mark.parametrize("members", [1, 2, 3])
def test_the_size_limit_is_one_for_all_members(members: int):
    half = gzip.compress(b" " * (MAX_BODY_SIZE // members))
    assert isinstance(decoded(half * members, 65536), bytes)

    error = decoded(half * members + gzip.compress(b" " * (1 + MAX_BODY_SIZE % members)), 65536)
    assert isinstance(error, BodyError)
    assert "larger than 10 MiB" in error.text


def test_members_without_content_are_not_read_without_end():
    decoder, members = BodyDecoder(is_gzipped=True), gzip.compress(b"") * 50
    for _ in range(MAX_BODY_SIZE // len(members)):
        decoder.feed(members)
    assert decoder.error is None

    decoder.feed(members)
    assert decoder.error is not None
