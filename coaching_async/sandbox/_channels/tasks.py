"""Tasks of a request besides its own."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from starlette.types import Scope


def start_task(scope: Scope, coroutine: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
    """Start a task that belongs to a request; the server cancels it when it stops.

    For any other task it would wait, because a task that it does not know may be accepting a connection.
    """
    tasks: set[asyncio.Task[None]] = scope["state"]["tasks"]
    task = asyncio.create_task(coroutine)
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    return task
