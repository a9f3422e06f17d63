"""Signals that tell a server to stop."""

import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

from anyio.lowlevel import current_token

from coaching_async.fanout import Hub

__all__ = ["closed_on_signals"]

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def closed_on_signals(hub: Hub) -> Generator[None]:
    """Close a hub when the process is told to stop, beside what the server does then.

    Signals are the only thing that an application learns before the server waits for its open responses. Python handles
    them in the main thread. A server in another thread is stopped by other means.
    """
    loop: Any = current_token().native_token
    call_soon: Callable[[Callable[[], None]], object] = (
        getattr(loop, "call_soon_threadsafe", None) or loop.run_sync_soon  # asyncio's or trio's
    )
    handlers = {number: signal.getsignal(number) for number in SIGNALS}

    def close(number: int, frame: FrameType | None) -> None:
        call_soon(hub.close)
        handler = handlers[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    is_main = threading.current_thread() is threading.main_thread()
    handled = [number for number in SIGNALS if is_main and callable(handlers[number])]
    for number in handled:
        signal.signal(number, close)
    try:
        yield
    finally:
        for number in handled:
            if signal.getsignal(number) is close:
                signal.signal(number, handlers[number])
