"""The option --shared-state: a file, or a Redis server, that a command shares with other processes."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, Final, TypeVar

import attrs
import click

from coaching_async import CoachingClient, FileSharedState, SharedState

from ._failures import say

__all__ = ["NOTHING_SHARED", "Shared", "shared_state_option"]

F = TypeVar("F", bound=Callable[..., Any])


@attrs.frozen(eq=False, repr=False)
class Shared:
    """The shared state that a command was given, if any, and the connection to it."""

    state: SharedState | None = None
    connection: AbstractAsyncContextManager[object] | None = None

    @asynccontextmanager
    async def opened(self, client: CoachingClient | None = None) -> AsyncGenerator[None]:
        """Open the connection, then the client. Say at the end if the state could not be used meanwhile."""
        async with AsyncExitStack() as stack:
            if self.connection is not None:
                await stack.enter_async_context(self.connection)
            if client is None:
                yield
                return
            await stack.enter_async_context(client)
            try:
                yield
            finally:
                if client.stats().shared_state_lost:
                    say(
                        "coaching-async: the shared state could not be used for a time; meanwhile this command kept to its share of the "
                        "rate limit. coaching-async doctor says more"
                    )


NOTHING_SHARED: Final = Shared()

URL_SCHEMES: Final = ("redis:", "rediss:", "unix:")
"""What begins with one is a URL, though its slashes may be missing. It may hold a password, and must not name a file."""


def shared_state_option(command: F) -> F:
    """Add the option, which is passed as the argument `shared`."""
    return click.option(
        "--shared-state",
        "shared",
        metavar="PLACE",
        envvar="COACHING_SHARED_STATE",
        show_envvar=True,
        callback=_to_shared,
        help="A file of this machine, or the URL of a Redis server (redis://, rediss://, unix://), that other processes with this "
        "OAuth client share: with it they use one token and one rate limit.",
    )(command)


def _to_shared(_: click.Context, __: click.Parameter, value: str | None) -> Shared:
    place = (value or "").strip()  # the content of a mounted file often ends with a line end
    if not place:
        return NOTHING_SHARED
    try:
        if "://" not in place and not place.casefold().startswith(URL_SCHEMES):
            return Shared(FileSharedState(place))
        from coaching_async.integrations.redis import RedisSharedState

        redis = RedisSharedState.from_url(place)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    except ModuleNotFoundError:
        raise click.ClickException("coredis is missing; install it with: pip install 'coaching_async[redis]'") from None
    return Shared(redis, redis)
