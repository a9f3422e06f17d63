"""Who reads a list or a stream in another way than `async for` is told what to write; nothing else takes notice of that."""

import asyncio
import copy
import inspect
import pydoc
from abc import ABC
from collections.abc import (
    AsyncIterable,
    Awaitable,
    Callable,
    Collection,
    Container,
    Iterable,
    Iterator,
    Reversible,
    Sequence,
    Sized,
)
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, Generic, TypeVar

import jinja2
import pytest

from coaching_async import AccessToken, CoachingClient, Listing
from tests.support.doubles import Service, answer

T = TypeVar("T")
CLIENT = CoachingClient(AccessToken("t"), region="eu-west-1")
LISTING = CLIENT.appointments.list("u")
READ_ASYNC: dict[str, Any] = {
    "a listing": LISTING,
    "items of the platform": CLIENT.items("/api/v2/routing/queues"),
    "a walk": aiter(LISTING),
    "a walk over pages": LISTING.pages(),
    "a stream": LISTING.stream(),
    "a bulk stream": CLIENT.bulk_stream(CLIENT.appointments.get, ["a"]),
    "a watch": CLIENT.notifications.watch(),
    "a listener": CLIENT.notifications.listen(),
    "a listener to topics": CLIENT.topics.subscribe("v2.users.u.presence"),
}
each_thing = pytest.mark.parametrize("thing", READ_ASYNC.values(), ids=READ_ASYNC)


def awaited(thing: Any) -> None:
    async def wait() -> None:
        await thing

    asyncio.run(wait())


@each_thing
@pytest.mark.parametrize(
    "read",
    [awaited, iter, list, tuple, set, sorted, sum, len, lambda thing: thing[0], lambda thing: thing[:5], lambda thing: 1 in thing],
    ids=["await", "iter", "list", "tuple", "set", "sorted", "sum", "len", "index", "slice", "in"],
)  # fmt: skip
def test_the_error_says_what_to_write_instead(thing: Any, read: Callable[[Any], object]):
    with pytest.raises(TypeError, match=r"`(async (for|with)|await) |its `report`|the `total`") as caught:
        read(thing)

    assert type(thing).__name__ in str(caught.value)


def test_the_error_names_the_method_of_a_listing():
    for read, says in {awaited: "collect()", list: "collect()", len: "total()", (lambda it: it[0]): "first()"}.items():
        with pytest.raises(TypeError) as caught:
            read(LISTING)  # type: ignore[operator]
        assert f"`await listing.{says}`" in str(caught.value)


@each_thing
def test_what_probes_an_object_finds_no_more_than_an_async_iterable(thing: Any):
    others = (Awaitable, Iterable, Iterator, Sized, Container, Collection, Reversible, Sequence)

    assert isinstance(thing, AsyncIterable)
    assert not inspect.isawaitable(thing)
    assert [each for each in others if isinstance(thing, each) or issubclass(type(thing), each)] == []
    assert thing, "it is true, because its length is not known"


@pytest.mark.anyio
async def test_a_template_that_awaits_whatever_can_be_awaited_iterates_over_a_listing():
    template = jinja2.Environment(autoescape=True, enable_async=True).from_string(
        "{% for row in appointments.list('u') %}{{ row.id }} {% endfor %}"
    )
    service = Service([answer({"entities": [{"id": "a"}, {"id": "b"}]})])

    async with service.client() as client:
        assert await template.render_async(appointments=client.appointments) == "a b "


ENTERED_ASYNC = {name: READ_ASYNC[name] for name in ("a stream", "a bulk stream", "a listener", "a listener to topics")}


@pytest.mark.parametrize("thing", [CLIENT, *ENTERED_ASYNC.values()], ids=["a client", *ENTERED_ASYNC])
def test_who_enters_it_with_a_plain_with_is_told_so(thing: Any):
    with pytest.raises(TypeError, match="use `async with`") as caught, thing:
        pass

    assert type(thing).__name__ in str(caught.value)
    assert isinstance(thing, AbstractAsyncContextManager)
    assert not isinstance(thing, AbstractContextManager)


def test_the_classes_are_shown_copied_and_subclassed_as_before():
    class Own(Listing[int]):
        pass

    assert "collect" in pydoc.render_doc(Own)
    assert copy.copy(LISTING) == LISTING
    assert dict(inspect.getmembers(LISTING))["_page_size"] == 100
    assert issubclass(Own, Listing)

    class OwnClient(CoachingClient, ABC, Generic[T]):
        """A client of a user's own."""

    assert repr(OwnClient(AccessToken("t"))) == "OwnClient(us-east-1)"
