"""Fixtures of the pytest plugin. PYTEST_DONT_REWRITE: there are no assertions."""

from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import date
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

import pytest

from coaching_async import (
    AccessToken,
    ClientCredentials,
    CoachingClient,
    Notification,
    NotificationStream,
    RateLimit,
    RetryPolicy,
    from_dict,
)

from ._notify import Notify

if TYPE_CHECKING:
    from coaching_async.sandbox import NotificationType, Sandbox, UserLike

HAS_PYTEST_ASYNCIO: Final = find_spec("pytest_asyncio") is not None

TODAY: Final = date(2026, 11, 23)
"""The day around which the data of `coaching_sandbox` are. It is fixed, so that they are the same in each run."""

AMPLE: Final = RateLimit(100_000)
"""A rate limit that delays no test, because the sandbox has none of its own."""

__all__ = [
    "coaching_client",
    "coaching_environment",
    "coaching_notifications",
    "coaching_notify",
    "coaching_sandbox",
    "coaching_user_client",
]


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
def coaching_environment(coaching_sandbox: "Sandbox", monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    """Set the environment variables of `CoachingClient.from_env` for `coaching_sandbox`, and return them.

    It is for tests of programs that make their own client: web applications, scripts, subprocesses. No rate limit delays it.
    """
    from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET

    variables = {
        "GENESYSCLOUD_REGION": coaching_sandbox.base_url,
        "GENESYSCLOUD_OAUTHCLIENT_ID": CLIENT_ID,
        "GENESYSCLOUD_OAUTHCLIENT_SECRET": CLIENT_SECRET,
        "GENESYSCLOUD_RATE_LIMIT": str(AMPLE.requests),
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("GENESYSCLOUD_ACCESS_TOKEN", raising=False)  # it would take precedence
    return variables


@pytest.fixture
def coaching_client(request: pytest.FixtureRequest) -> CoachingClient:
    """Return an open client of `coaching_sandbox`, for tests of anyio's plugin (asyncio and trio) and of pytest-asyncio.

    The plugin that runs the test opens and closes the client in the test's event loop. No rate limit delays it. Retries wait
    up to 10 ms; after a 429 they wait as long as the response says.
    """
    client: CoachingClient = _of_plugin(request, "coaching_client")
    return client


@pytest.fixture
def coaching_user_client(request: pytest.FixtureRequest) -> CoachingClient:
    """Return an open client like `coaching_client`, but of the sandbox's first user: with a user, and no permissions.

    For another user, or with permissions, use
    `coaching_client.with_auth(AccessToken(coaching_sandbox.user_token(user, permissions)))`.
    """
    client: CoachingClient = _of_plugin(request, "coaching_user_client")
    return client


@pytest.fixture
def coaching_notifications(request: pytest.FixtureRequest) -> NotificationStream:
    """Return a stream of the notifications of `coaching_user_client`, which listens already.

        coaching_notify("Create")
        assert (await anext(coaching_notifications)).action_type == "Create"

    The plugin that runs the test enters and leaves it in the test's event loop.
    """
    stream: NotificationStream = _of_plugin(request, "coaching_notifications")
    return stream


@pytest.fixture
def coaching_notify(coaching_sandbox: "Sandbox") -> Notify:
    """Return a function `notify(action="Update", user=None)`, which makes a notification in the sandbox, and returns it.

    `user` is an id, an e-mail address or an object with an `id`, by default the user of `coaching_user_client`.
    """

    def notify(action: "NotificationType" = "Update", user: "UserLike | None" = None) -> Notification:
        row = coaching_sandbox.notify(coaching_sandbox.state.user_ids[0] if user is None else user, action)
        return from_dict(Notification, row)

    return notify


def _of_plugin(request: pytest.FixtureRequest, name: str) -> Any:
    """Return the fixture of the plugin that runs the test."""
    if "anyio_backend" in request.fixturenames:
        of = "anyio"
    elif any(map(request.config.pluginmanager.has_plugin, ("asyncio", "pytest_asyncio.plugin"))):
        of = "pytest_asyncio"
    else:
        raise pytest.UsageError(f"{name} is for async tests: mark this one with pytest.mark.anyio or asyncio")
    return request.getfixturevalue(f"_{name}_of_{of}")


def _client(sandbox: "Sandbox") -> CoachingClient:
    from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET

    return _client_with(ClientCredentials(CLIENT_ID, CLIENT_SECRET), sandbox)


def _user_client(sandbox: "Sandbox") -> CoachingClient:
    return _client_with(AccessToken(sandbox.user_token(sandbox.state.user_ids[0])), sandbox)


def _client_with(auth: AccessToken | ClientCredentials, sandbox: "Sandbox") -> CoachingClient:
    return CoachingClient(auth, base_url=sandbox.base_url, retry=RetryPolicy(max_backoff=0.01), rate_limit=AMPLE)


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


@pytest.fixture
async def _coaching_notifications_of_anyio(  # pyright: ignore[reportUnusedFunction] # requested by its name
    anyio_backend: object,  # noqa: ARG001 # makes it a fixture of anyio's plugin
    coaching_user_client: CoachingClient,
) -> AsyncIterator[NotificationStream]:
    async with coaching_user_client.notifications.listen() as stream:  # in one task, as all of anyio's fixtures
        yield stream


if HAS_PYTEST_ASYNCIO:
    import asyncio

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

    @pytest_asyncio.fixture
    async def _coaching_notifications_of_pytest_asyncio(  # pyright: ignore[reportUnusedFunction] # requested by its name
        coaching_user_client: CoachingClient,
    ) -> AsyncIterator[NotificationStream]:
        # This plugin enters and leaves a fixture in different tasks, but a stream is entered and left in one.
        listening: asyncio.Future[NotificationStream] = asyncio.get_running_loop().create_future()
        is_over = asyncio.Event()

        async def listen() -> None:
            async with coaching_user_client.notifications.listen() as stream:
                listening.set_result(stream)
                await is_over.wait()

        task = asyncio.create_task(listen())
        either: set[asyncio.Future[Any]] = {task, listening}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if listening.done():
            yield listening.result()
        is_over.set()
        await task
