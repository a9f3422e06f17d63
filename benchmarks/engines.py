"""HTTP libraries, each imported when it is first used: a contender is not to carry the others around."""

from collections.abc import Callable
from typing import Any, Final

__all__ = ["ENGINES"]


def by_httpx(width: int) -> Any:
    """The client of httpx."""
    import httpx

    return httpx.AsyncClient(limits=wide(httpx, width), trust_env=False, timeout=60)


def by_httpx2(width: int) -> Any:
    """That of its successor."""
    import httpx2

    return httpx2.AsyncClient(limits=wide(httpx2, width), trust_env=False, timeout=60)


def by_aiohttp(width: int) -> Any:
    """That of httpx, on the connections of aiohttp."""
    import httpx
    from httpx_aiohttp import HttpxAiohttpClient

    return HttpxAiohttpClient(limits=wide(httpx, width), trust_env=False, timeout=60)


def wide(library: Any, width: int) -> Any:
    """Room for so many connections, all of them kept."""
    return library.Limits(max_connections=width, max_keepalive_connections=width)


ENGINES: Final[dict[str, Callable[[int], Any]]] = {
    "httpx": by_httpx,
    "httpx2": by_httpx2,
    "httpx + aiohttp": by_aiohttp,
}
"""Makers of HTTP clients with so many connections."""
