"""Fixtures of the pytest plugin. PYTEST_DONT_REWRITE: there are no assertions."""

from collections.abc import AsyncIterator, Iterator
from datetime import date
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

import pytest

from coaching_async import AccessToken, ClientCredentials, CoachingClient, RetryPolicy

if TYPE_CHECKING:
    from coaching_async.sandbox import Sandbox

HAS_PYTEST_ASYNCIO: Final = find_spec("pytest_asyncio") is not None

TODAY: Final = date(2026, 11, 23)
"""The day around which the data of `coaching_sandbox` are. It is fixed, so that they are the same in each run."""

__all__ = ["coaching_client", "coaching_sandbox", "coaching_user_client"]


@pytest.fixture
def coaching_sandbox() -> "Iterator[Sandbox]":
    """Return a new sandbox for each test, in its initial state. It starts in some 10 ms.

    Its data are around 23 November 2026, on whichever day the test runs.

    For other options or another scope, override it by a fixture of the same name in a conftest.py.
    """
    from coaching_async.sandbox import Sandbox  # needs an extra, and is imported only if the fixture is used

    with Sandbox(today=TODAY) as sandbox:
        yield sandbox


@pytest.fixture
def coaching_client(request: pytest.FixtureRequest) -> CoachingClient:
    """Return an open client of `coaching_sandbox`, for tests of anyio's plugin (asyncio and trio) and of pytest-asyncio.

    The plugin that runs the test opens and closes the client in the test's event loop. Retries wait up to 10 ms; after a
    429 they wait as long as the response says.
    """
    return _open_client(request, "coaching_client")


@pytest.fixture
def coaching_user_client(request: pytest.FixtureRequest) -> CoachingClient:
    """Return an open client like `coaching_client`, but of the sandbox's first user: with a user, and no permissions.

    For another user, or with permissions, use
    `coaching_client.with_auth(AccessToken(coaching_sandbox.user_token(user, permissions)))`.
    """
    return _open_client(request, "coaching_user_client")


def _open_client(request: pytest.FixtureRequest, name: str) -> CoachingClient:
    if "anyio_backend" in request.fixturenames:
        of = "anyio"
    elif any(map(request.config.pluginmanager.has_plugin, ("asyncio", "pytest_asyncio.plugin"))):
        of = "pytest_asyncio"
    else:
        raise pytest.UsageError(f"{name} is for async tests: mark this one with pytest.mark.anyio or asyncio")
    client: CoachingClient = request.getfixturevalue(f"_{name}_of_{of}")
    return client


def _client(sandbox: "Sandbox") -> CoachingClient:
    from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET

    return _client_with(ClientCredentials(CLIENT_ID, CLIENT_SECRET), sandbox)


def _user_client(sandbox: "Sandbox") -> CoachingClient:
    return _client_with(AccessToken(sandbox.user_token(sandbox.state.user_ids[0])), sandbox)


def _client_with(auth: AccessToken | ClientCredentials, sandbox: "Sandbox") -> CoachingClient:
    return CoachingClient(auth, base_url=sandbox.base_url, retry=RetryPolicy(max_backoff=0.01))


# Equal fixtures for two plugins, because each has its own kind of async fixture.


@pytest.fixture
async def _coaching_client_of_anyio(  # pyright: ignore[reportUnusedFunction] # requested by its name
    anyio_backend: object,  # noqa: ARG001 # makes it a fixture of anyio's plugin
    coaching_sandbox: "Sandbox",
) -> AsyncIterator[CoachingClient]:
    async with _client(coaching_sandbox) as client:
        yield client


@pytest.fixture
async def _coaching_user_client_of_anyio(  # pyright: ignore[reportUnusedFunction] # requested by its name
    anyio_backend: object,  # noqa: ARG001 # makes it a fixture of anyio's plugin
    coaching_sandbox: "Sandbox",
) -> AsyncIterator[CoachingClient]:
    async with _user_client(coaching_sandbox) as client:
        yield client


if HAS_PYTEST_ASYNCIO:
    import pytest_asyncio

    @pytest_asyncio.fixture
    async def _coaching_client_of_pytest_asyncio(  # pyright: ignore[reportUnusedFunction] # requested by its name
        coaching_sandbox: "Sandbox",
    ) -> AsyncIterator[CoachingClient]:
        async with _client(coaching_sandbox) as client:
            yield client

    @pytest_asyncio.fixture
    async def _coaching_user_client_of_pytest_asyncio(  # pyright: ignore[reportUnusedFunction] # requested by its name
        coaching_sandbox: "Sandbox",
    ) -> AsyncIterator[CoachingClient]:
        async with _user_client(coaching_sandbox) as client:
            yield client
