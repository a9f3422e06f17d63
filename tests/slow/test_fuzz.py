"""Any response gives a complete model or a CoachingError.

FUZZ_SECONDS is the total duration. FUZZ_SEED repeats a run. The failed case is in the note of its error.
"""

import copy
import json
import os
import random
import time
import types
import typing
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

import attrs
import httpx
import pytest

from coaching_async import (
    AuthError,
    ClientCredentials,
    CoachingClient,
    CoachingError,
    RateLimit,
    ResponseError,
)
from coaching_async._transport.retry_policy import parse_retry_after
from tests.conftest import DATA, VirtualLoop
from tests.resources.test_operations import ROWS
from tests.support.doubles import Service

SECONDS = float(os.environ.get("FUZZ_SECONDS", "300"))
SEED = int(os.environ.get("FUZZ_SEED", time.time_ns()))
SHARE = {"answers": 0.6, "headers": 0.2, "tokens": 0.2}

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(SECONDS + 120)]


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """One backend, because the tests wait for nothing but the virtual clock."""
    return "asyncio", {"loop_factory": VirtualLoop}


def cases(what: str) -> Iterator[random.Random]:
    """Yield the random choices of one case after another, until the time is up."""
    end, number = time.monotonic() + SECONDS * SHARE[what], 0
    while time.monotonic() < end:
        number += 1
        yield random.Random(f"{what} {SEED} {number}")


@contextmanager
def noting(*facts: object) -> Iterator[None]:
    """Add the case to the notes of an error."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"FUZZ_SEED={SEED}: {', '.join(repr(fact)[:2_000] for fact in facts)}")
        raise


# Mutations

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 1.5, 1e308, -0.0, 2**31, 10**30),
    *("", ".", "..", " ", "x", "Ünïcödé", "\ud800", "\x00", "a" * 5_000, "9999-12-31T23:59:59-14:00"),
    *("0001-01-01T00:00:00+14:00", "2026-11-20T14:00:00", "2026-11-20", "2026-W47-5", "24:00", "2026-02-30T00:00Z"),
    *("2026-11-01T00:00Z/2026-10-01T00:00Z", "/", "Paused", "completed"),
    *([], {}, [[]], {"id": ""}, {"id": None}, [None], {"": {}}, {"entities": []}),
)
TWINS: dict[type, tuple[Callable[[Any], Any], ...]] = {
    bool: (int, str),
    int: (bool, float, str),
    float: (int, str),
    str: (list, str.swapcase, lambda text: [text]),
}
"""What a value may be mistaken for."""
RAW = (
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"1" * 5_000,
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b'"\\ud800"',
    b"[" * 100_000,
    b"\x00",
)


def places(tree: Any) -> list[tuple[Any, Any]]:
    """Return each container in a JSON value with each of its keys or indexes."""
    if not isinstance(tree, dict | list):
        return []
    keys = list(tree) if isinstance(tree, dict) else range(len(tree))
    return [place for key in keys for place in [(tree, key), *places(tree[key])]]


def changed(tree: Any, choices: random.Random) -> Any:
    """Return the JSON with a few values deleted or replaced."""
    root = [copy.deepcopy(tree)]
    for _ in range(choices.choice([1, 1, 1, 2, 3, 8])):
        everywhere = places(root)
        if len(everywhere) > 2_000:
            break
        around, key = choices.choice(everywhere)
        match choices.randrange(8):
            case 0 if around is not root:
                del around[key]
                if not root[0]:
                    break
            case 1:
                donor, its_key = choices.choice(everywhere)
                around[key] = copy.deepcopy(donor[its_key])
            case 2:
                for _ in range(choices.choice([1, 10, 50])):
                    around[key] = choices.choice([{"id": around[key]}, [around[key]]])
            case 3 if isinstance(around, list) and around is not root:
                around.extend(copy.deepcopy(around[key : key + 1]) * choices.choice([1, 250]))
            case 4 if isinstance(around, dict):
                around[choices.choice([str(key).lower(), f"{key}s", "id", "status", "entities"])] = around.pop(key)
            case 5 | 6:
                around[key] = choices.choice(TWINS.get(type(around[key]), (repr,)))(around[key])
            case _:
                around[key] = copy.deepcopy(choices.choice(VALUES))
    return root[0]


def spoiled(content: bytes, choices: random.Random) -> bytes:
    """Return the bytes with a few places corrupted."""
    for _ in range(choices.choice([1, 1, 2, 5])):
        start = choices.randrange(len(content) + 1)
        stop = min(len(content), start + choices.choice([1, 1, 2, 10, 100]))
        match choices.randrange(6):
            case 0:
                content = content[:start]
            case 1:
                content = content[:start] + content[stop:]
            case 2:
                content = content[:start] + choices.choice(RAW) + content[stop:]
            case 3:
                content = content[:stop] + content[start:]
            case 4:
                content = content[:start] + choices.randbytes(stop - start) + content[stop:]
            case _:
                text = content.decode("utf-8", "replace")
                content = choices.choice([content, content, text.encode("utf-16"), b"\xef\xbb\xbf" + content])
    return content


def mutated(tree: Any, choices: random.Random) -> bytes:
    content = json.dumps(changed(tree, choices) if choices.random() < 0.7 else tree).encode()
    return spoiled(content, choices) if choices.random() < 0.4 else content


# Models


def fits(value: object, kind: Any) -> bool:
    """Return whether a value, with all that it contains, has the annotated type."""
    origin, inside = typing.get_origin(kind), typing.get_args(kind)
    if isinstance(kind, typing.TypeVar):
        return is_whole(value)
    if origin in {types.UnionType, typing.Union}:
        return any(fits(value, each) for each in inside)
    if origin is tuple:
        return type(value) is tuple and all(fits(each, inside[0]) for each in value)
    if origin in {dict, Mapping} or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return isinstance(value, Mapping) and all(
            fits(key, inside[0]) and fits(each, inside[1]) for key, each in value.items()
        )
    if attrs.has(origin or kind):
        return isinstance(value, origin or kind) and is_whole(value)
    if kind in {int, float, bool, datetime, date}:
        return type(value) is kind and (kind is not datetime or value.utcoffset() is not None)
    return value is None if kind is type(None) else isinstance(value, kind)


def is_whole(model: object) -> bool:
    hints = typing.get_type_hints(type(model))
    if not attrs.has(type(model)) or getattr(model, "id", "an id") in {"", ".", ".."}:
        return False
    return all(fits(getattr(model, field.name), hints[field.name]) for field in attrs.fields(type(model)))


# Properties


def client_of(service: Service, **options: Any) -> CoachingClient:
    return service.client(rate_limit=RateLimit(10**9), timeout=1e6, **options)


def examples() -> Mapping[str, Any]:
    return {file.stem: json.loads(file.read_text()) for file in (DATA / "examples").glob("*.json")}


async def test_a_response_gives_a_complete_model_or_a_coaching_error(show: Callable[[str], None]):
    bodies, came = examples(), Counter[str]()
    errors = [name for name in bodies if name.startswith("error")]
    asked = [row for row in ROWS.values() if row.answer]
    answer = [httpx.Response(200)]

    def served(request: httpx.Request) -> httpx.Response:
        return httpx.Response(answer[0].status_code, headers=answer[0].headers, content=answer[0].content)

    service = Service(served)
    client = client_of(service)
    for choices in cases("answers"):
        row = choices.choice(asked)
        name = row.answer if choices.random() < 0.85 else choices.choice([*bodies])
        status = row.status
        if choices.random() < 0.15:
            name, status = (
                choices.choice(errors),
                choices.choice([400, 401, 403, 404, 409, 429, 500, 503, 304, 201, 202]),
            )
        headers = {"Retry-After": header(choices), "Date": header(choices), "ININ-Correlation-Id": header(choices)}
        content = mutated(bodies[name], choices)
        with noting(row.http, status, headers, content):
            answer[0] = httpx.Response(status, headers=headers if choices.random() < 0.2 else {}, content=content)
            try:
                given = await row.call(client)
            except CoachingError as error:
                came[type(error).__name__] += 1
                str(error)
            else:
                came["a model"] += 1
                assert all(is_whole(each) for each in (given if isinstance(given, list | tuple) else [given])), given
        service.requests.clear()
    show(f"{came.total()} answers, FUZZ_SEED={SEED}: {', '.join(f'{n} {what}' for what, n in came.most_common())}")


PIECES = (
    *("Mon", "Tue,", "23", "99", "Nov", "Foo", "2026", "0", "-1", "99999", "12:00:00", "25:61:61", "12", ":", ",", "-"),
    *("GMT", "+0000", "-9999", "+99999999", "EST", "(", ")", '"', "\\", "@", "<", ";", "\t", " ", "1e9", "٣", "²", "½"),
    *("0x10", "1_000", "NaN", "inf", "1" * 400, "1" * 5_000, "\u2003", "\x1f", "\x00", "é", "Z", "T"),
)


def header(choices: random.Random) -> str:
    """Return a plausible text of characters that a header can have."""
    return text(choices).encode("ascii", "ignore").decode().translate(dict.fromkeys([*range(32), 127]))


def text(choices: random.Random) -> str:
    match choices.randrange(4):
        case 0:
            return "".join(choices.choices(PIECES, k=choices.randrange(8)))
        case 1:
            return " ".join(choices.choices(PIECES, k=choices.randrange(8)))
        case 2:
            return "".join(
                chr(choices.randrange(1, choices.choice([128, 0x3000]))) for _ in range(choices.randrange(40))
            )
        case _:
            characters = [*"Mon, 23 Nov 2026 12:00:30 GMT"]
            for _ in range(choices.randrange(1, 4)):
                place = choices.randrange(len(characters))
                characters[place : place + choices.randrange(3)] = choices.choice(PIECES)
            return "".join(characters)


def test_any_retry_after_is_seconds_or_none(show: Callable[[str], None]):
    came = Counter[str]()
    for choices in cases("headers"):
        value, date_ = text(choices), choices.choice([None, "Mon, 23 Nov 2026 12:00:00 GMT", text(choices)])
        with noting(value, date_):
            seconds = parse_retry_after(value, date_)
            assert seconds is None or (type(seconds) is float and seconds >= 0)
        came["nothing" if seconds is None else "seconds"] += 1
    show(f"{came.total()} headers, FUZZ_SEED={SEED}: {', '.join(f'{n} {what}' for what, n in came.most_common())}")


SECRET = "c4n4ry-secret"
TOKEN = "c4n4ry-token"


async def test_a_token_response_gives_a_token_or_an_error_that_does_not_show_it(show: Callable[[str], None]):
    bodies, came = examples(), Counter[str]()
    granted = {"access_token": TOKEN, "token_type": "bearer", "expires_in": 86_399}
    documents = [granted, granted, bodies["token"] | granted, bodies["oauth_error_400"]]
    answer = [httpx.Response(200)]

    def served(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/oauth/token":
            return httpx.Response(answer[0].status_code, content=answer[0].content)
        return httpx.Response(200, content=b'{"id": "an-appointment"}')

    service = Service(served)
    for choices in cases("tokens"):
        document = choices.choice(documents)
        status = choices.choice([200, 200, 200, 201, 204, 302, 400, 401, 403, 429, 500, 503])
        content = mutated(document, choices)
        with noting(status, content):
            answer[0] = httpx.Response(status, content=content)
            client = client_of(service, auth=ClientCredentials("an-id", SECRET))
            try:
                given = await client.appointments.get("an-appointment")
            except (AuthError, ResponseError) as error:
                came[type(error).__name__] += 1
                said = f"{error} {error!r} {vars(error)}"
                assert SECRET not in said
                assert TOKEN not in said
            else:
                came["a token"] += 1
                assert given.id == "an-appointment"
        service.requests.clear()
    show(f"{came.total()} tokens, FUZZ_SEED={SEED}: {', '.join(f'{n} {what}' for what, n in came.most_common())}")
