"""Copies of a client and of its credentials, as settings objects make them."""

import copy
import dataclasses
import gc
import pickle
import sys
from collections.abc import Callable
from itertools import product
from typing import Any

import anyio
import pytest

from coaching_async import (
    AccessToken,
    AuthorizationCode,
    ClientCredentials,
    CoachingClient,
    MemoryTokenStore,
    RefreshToken,
    RetryPolicy,
    Saml2Bearer,
)
from coaching_async._api.session import Session
from coaching_async._auth.secret import Secret


@dataclasses.dataclass
class Settings:
    value: Any


COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "asdict": lambda value: dataclasses.asdict(Settings(value))["value"],
    "replace": lambda value: copy.deepcopy(dataclasses.replace(Settings(value))).value,
    "in a list": lambda value: copy.deepcopy([value])[0],
}


@pytest.fixture
def unraisable(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    found: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", found.append)
    return found


CLIENTS: dict[str, Callable[[CoachingClient], Any]] = {
    "client": lambda client: client,
    "view": lambda client: client.with_options(retry=RetryPolicy(attempts=1)),
    "view of a user": lambda client: client.with_auth(AccessToken("t")),
    "resource": lambda client: client.appointments,
}


def test_a_client_is_not_copied_and_the_error_says_what_to_do_instead(unraisable: list[Any], anyio_backend: Any):
    async def main() -> None:
        async with CoachingClient(ClientCredentials("id", "s3cret"), base_url="http://127.0.0.1:1") as client:
            for part, way in product(CLIENTS.values(), [*COPIES.values(), pickle.dumps]):
                with pytest.raises(
                    TypeError, match=r"neither copied nor pickled: (share it, or make a view|it is a part of)"
                ):
                    way(part(client))

    anyio.run(main, backend=anyio_backend[0], backend_options={})
    gc.collect()
    assert unraisable == []


def test_the_copy_of_a_bound_method_is_refused_too():
    client = CoachingClient(AccessToken("t"))

    with pytest.raises(TypeError, match="Appointments objects are neither copied nor pickled"):
        copy.deepcopy(client.appointments.get)


def test_the_finalizer_bears_a_session_that_was_never_initialized(unraisable: list[Any]):
    session = Session.__new__(Session)

    del session
    gc.collect()

    assert unraisable == []


GRANTS = [
    AccessToken("t"),
    ClientCredentials("id", "s3cret"),
    Saml2Bearer("id", "s3cret", "org", "assertion"),
    RefreshToken("id", "s3cret", "r", store=MemoryTokenStore("r")),
    MemoryTokenStore("r"),
    AuthorizationCode("id", None, "code", "https://app.test/", code_verifier="v" * 43),
]


@pytest.mark.parametrize("grant", GRANTS, ids=lambda grant: type(grant).__name__)
@pytest.mark.parametrize("way", COPIES)
def test_credentials_are_their_own_copy_and_keep_their_token_store(way: str, grant: Any):
    assert COPIES[way](grant) is grant


@pytest.mark.parametrize("secret", [Secret("s3cret"), *GRANTS], ids=lambda grant: type(grant).__name__)
def test_credentials_are_not_pickled(secret: Any):
    with pytest.raises(TypeError, match="a Secret is not pickled"):
        pickle.dumps(secret)
