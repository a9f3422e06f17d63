"""HTTP libraries, each imported at its first use, because a contender must not import the others."""

from collections.abc import Callable
from typing import Any, Final

__all__ = ["ENGINES"]


def by_httpx(width: int) -> Any:
    """Return a client of httpx with `width` connections."""
    import httpx

    return httpx.AsyncClient(limits=wide(httpx, width), trust_env=False, timeout=60)


def by_httpx2(width: int) -> Any:
    """Return a client of httpx2 with `width` connections."""
    import httpx2

    return httpx2.AsyncClient(limits=wide(httpx2, width), trust_env=False, timeout=60)


def by_aiohttp(width: int) -> Any:
    """Return a client of httpx with `width` connections of aiohttp."""
    import httpx
    from httpx_aiohttp import HttpxAiohttpClient

    return HttpxAiohttpClient(limits=wide(httpx, width), trust_env=False, timeout=60)


def wide(library: Any, width: int) -> Any:
    """Return limits of `width` connections, all kept alive."""
    return library.Limits(max_connections=width, max_keepalive_connections=width)


ENGINES: Final[dict[str, Callable[[int], Any]]] = {
    "httpx": by_httpx,
    "httpx2": by_httpx2,
    "httpx + aiohttp": by_aiohttp,
}
"""Functions that return an HTTP client with a number of connections, by library."""
