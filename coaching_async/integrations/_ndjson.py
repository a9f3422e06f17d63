"""A list as newline-delimited JSON, each line made when it is requested."""

import json
from collections.abc import AsyncIterable, AsyncIterator
from typing import Self

from coaching_async import to_dict

__all__ = ["NDJSON_TYPE", "ndjson_lines"]

NDJSON_TYPE = "application/x-ndjson"


async def ndjson_lines(models: AsyncIterable[object]) -> AsyncIterator[str]:
    """Return the lines. The first item is read first, so that its error is raised before the response starts."""
    lines = _NdjsonLines(models)
    await lines.read_first()
    return lines


class _NdjsonLines:
    """An iterator and not a generator, because an unfinished generator stays open until it is garbage-collected."""

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
