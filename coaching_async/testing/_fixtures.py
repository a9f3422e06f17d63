"""The fixtures. PYTEST_DONT_REWRITE: nothing here asserts."""

from collections.abc import AsyncIterator, Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

import pytest

from coaching_async import ClientCredentials, CoachingClient, RetryPolicy

if TYPE_CHECKING:
    from coaching_async.sandbox import Sandbox

IS_PYTEST_ASYNCIO_HERE: Final = find_spec("pytest_asyncio") is not None

__all__ = ["coaching_client", "coaching_sandbox"]


@pytest.fixture
def coaching_sandbox() -> "Iterator[Sandbox]":
    """A sandbox of this test's own, in its first state; it starts in some 10 ms.

    A fixture of the same name in a conftest.py takes its place, for other options or a longer life.
    """
    from coaching_async.sandbox import Sandbox  # it needs an extra, and most runs of a test do not need it

    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def coaching_client(request: pytest.FixtureRequest) -> CoachingClient:
    """An open client of `coaching_sandbox`, for tests of anyio's plugin (asyncio and trio) and of pytest-asyncio.

    It is opened and closed in the event loop of the test, by whichever plugin runs it. It waits 10 ms at most before it
    tries again; a 429 makes it wait for as long as that says.
    """
    if "anyio_backend" in request.fixturenames:
        of = "anyio"
    elif any(map(request.config.pluginmanager.has_plugin, ("asyncio", "pytest_asyncio.plugin"))):
        of = "pytest_asyncio"
    else:
        raise pytest.UsageError("coaching_client is for async tests: mark this one with pytest.mark.anyio or asyncio")
    client: CoachingClient = request.getfixturevalue(f"_coaching_client_of_{of}")
    return client


def _client(sandbox: "Sandbox") -> CoachingClient:
    from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET

    auth = ClientCredentials(CLIENT_ID, CLIENT_SECRET)
    return CoachingClient(auth, base_url=sandbox.base_url, retry=RetryPolicy(max_backoff=0.01))


# Two of the same: each plugin takes its own kind of fixture, and a fixture cannot be both.


@pytest.fixture
async def _coaching_client_of_anyio(  # pyright: ignore[reportUnusedFunction] # by its name
    anyio_backend: object,  # noqa: ARG001 # which makes it a fixture of anyio's
    coaching_sandbox: "Sandbox",
) -> AsyncIterator[CoachingClient]:
    async with _client(coaching_sandbox) as client:
        yield client


if IS_PYTEST_ASYNCIO_HERE:
    import pytest_asyncio

    @pytest_asyncio.fixture
    async def _coaching_client_of_pytest_asyncio(  # pyright: ignore[reportUnusedFunction] # by its name
        coaching_sandbox: "Sandbox",
    ) -> AsyncIterator[CoachingClient]:
        async with _client(coaching_sandbox) as client:
            yield client
