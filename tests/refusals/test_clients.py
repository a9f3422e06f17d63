"""What takes a client, or a function that makes one, refuses anything else where it is given."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from fastapi import FastAPI

from coaching_async import AccessToken, Appointment, CoachingClient, Interval, User
from coaching_async.doctor import examine, probe
from coaching_async.export import export
from coaching_async.integrations.aiohttp import cleanup_ctx
from coaching_async.integrations.dask import _shards
from coaching_async.integrations.fastapi import lifespan
from coaching_async.report import report
from coaching_async.tables import columns
from coaching_async.testing import build
from tests.support.doubles import TOKEN

CLIENT = CoachingClient(AccessToken(TOKEN))


async def make_client() -> CoachingClient:
    raise NotImplementedError


@pytest.mark.anyio
@pytest.mark.parametrize("client", [3, "client", CoachingClient, CLIENT.appointments])
@pytest.mark.parametrize(
    "call",
    [
        lambda client: export(client, "user", Path("no-such-folder", "never.jsonl")),
        lambda client: report(client, "user", interval=Interval.month(2026, 11)),
        examine,
        probe,
    ],
)
async def test_a_function_that_takes_a_client_refuses_anything_else(call: Callable[[Any], Any], client: Any):
    with pytest.raises(TypeError, match="client is a CoachingClient, not "):
        await call(client)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "call",
    [lambda ids: report(CLIENT, ids, interval=Interval.month(2026, 11)), lambda ids: probe(CLIENT, user_ids=ids)],
)
async def test_ids_are_texts_and_not_users(call: Callable[[Any], Any]):
    with pytest.raises(
        TypeError, match="an id is a str or a UUID, and several are a list of them, not User: give its `id`"
    ):
        await call(build(User))
    with pytest.raises(TypeError, match="an id is a str or a UUID, and several are a list of them, not None"):
        await call(None)


@pytest.mark.parametrize("opens", [lifespan, cleanup_ctx])
@pytest.mark.parametrize("make", [None, CLIENT, "client", make_client])
def test_a_framework_is_given_a_function_that_makes_its_client(opens: Callable[..., Any], make: Any):
    with pytest.raises(TypeError, match=r"make is a plain function that makes a client, such as .*from_env, not "):
        opens(make)


@pytest.mark.parametrize("opens", [lifespan, cleanup_ctx])
def test_a_framework_is_given_a_function_that_listens(opens: Callable[..., Any]):
    with pytest.raises(TypeError, match="listen is an async function that is given the client, not CoachingClient"):
        opens(listen=CLIENT)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "make, kind", [(lambda: None, "None"), (lambda: make_client(), "coroutine"), (lambda: "client", "str")]
)
async def test_what_the_function_makes_is_a_client(make: Any, kind: str, tmp_path: Path):
    says = f"returns a CoachingClient, or an async context manager that yields one, not {kind}$"
    with pytest.raises(TypeError, match="make " + says):
        async with lifespan(make)(FastAPI()):
            pass
    with pytest.raises(TypeError, match="make " + says):
        await anext(aiter(cleanup_ctx(make)(web.Application())))
    (shard,) = _shards("user", tmp_path, [Interval.month(2026, 11)], make, "jsonl", {})
    with pytest.raises(TypeError, match="client " + says):
        await shard.export()


@pytest.mark.anyio
async def test_a_function_that_listens_is_async():
    def new_client() -> CoachingClient:
        return CoachingClient(AccessToken(TOKEN))

    def listen(client: CoachingClient) -> Any:
        return client.notifications.listen("user")

    with pytest.raises(TypeError, match="listen is an async function, and not one that returns "):
        async with lifespan(new_client, listen=listen)(FastAPI()):
            pass
    with pytest.raises(TypeError, match="listen is an async function, and not one that returns "):
        await anext(aiter(cleanup_ctx(new_client, listen=listen)(web.Application())))


@pytest.mark.parametrize(
    "opens, application, usage",
    [
        (lifespan, FastAPI, r"FastAPI\(lifespan=lifespan\(\)\)"),
        (cleanup_ctx, web.Application, r"append\(cleanup_ctx\(\)\)"),
    ],
)
def test_a_framework_is_given_what_the_function_returns(
    opens: Callable[..., Any], application: Callable[[], object], usage: str
):
    with pytest.raises(TypeError, match=usage):
        opens(application())


@pytest.mark.parametrize("flags", [{"names": {"1": "Ann"}}, {"emails": "yes"}])
def test_whether_columns_have_names_is_a_flag(flags: dict[str, Any]):
    with pytest.raises(TypeError, match="is True or False, not "):
        columns(Appointment, **flags)


def test_the_class_of_an_argument_is_shown_and_never_its_content():
    with pytest.raises(TypeError) as raised:
        columns(build(Appointment, name="Ann Smith"))  # type: ignore[arg-type]

    assert str(raised.value) == "a model is needed, for example Appointment, not Appointment"
