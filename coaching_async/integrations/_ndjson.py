"""A list as lines of JSON, each written when somebody takes it."""

import json
from collections.abc import AsyncIterable, AsyncIterator
from typing import Self

from coaching_async import to_dict

__all__ = ["LINES_TYPE", "lines_of"]

LINES_TYPE = "application/x-ndjson"


async def lines_of(models: AsyncIterable[object]) -> AsyncIterator[str]:
    """Its lines. The first item is read before this returns, so that an error by then comes here."""
    lines = _Lines(models)
    await lines.read_first()
    return lines


class _Lines:
    """No generator: who leaves one in the middle leaves it to the collector of garbage."""

    def __init__(self, models: AsyncIterable[object]) -> None:
        self._models = aiter(models)
        self._first: object = None

    async def read_first(self) -> None:
        self._first = await anext(self._models, None)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        model, self._first = self._first, None
        if model is None:
            model = await anext(self._models)
        return json.dumps(to_dict(model)) + "\n"
