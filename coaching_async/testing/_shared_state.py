"""A shared state in memory, for tests of programs that share one."""

import anyio

__all__ = ["MemorySharedState"]


class MemorySharedState:
    """A `SharedState` in memory, for the clients of one process: those of a test.

    - `down` makes every operation fail with a `ConnectionError`, until it is False again.
    - `hangs` makes every operation that is begun wait for ever.
    - `latency` is how many seconds each operation takes, half of them before it is carried out. So what a client does not
      get the answer of, because it is cancelled or the state goes down, may have been carried out.
    - `ahead` is how many seconds its clock is ahead of the event loop's.

    It does not outlive the process, and shares nothing with other processes: a `FileSharedState` does.
    """

    def __init__(self, *, latency: float = 0.0) -> None:
        self.down = False
        self.hangs = False
        self.latency = latency
        self.ahead: float = 0.0
        self._texts: dict[str, tuple[str, float]] = {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self._texts)} texts{', down' if self.down else ''})"

    async def load(self, name: str) -> tuple[str | None, float]:
        """Return the text of this name, None if there is none, and the time."""
        await self._on_the_way()
        found = self._text(name), self._now()
        await self._on_the_way()
        return found

    async def swap(self, name: str, old: str | None, new: str, keep: float) -> bool:
        """Replace `old` by `new`, and return True. Change nothing and return False if the text is another one."""
        await self._on_the_way()
        if is_old := self._text(name) == old:
            self._texts[name] = new, self._now() + keep
        await self._on_the_way()
        return is_old

    def forget(self) -> None:
        """Forget all texts, as a server does that has lost its memory."""
        self._texts.clear()

    async def _on_the_way(self) -> None:
        await anyio.sleep(self.latency / 2)
        if self.hangs:
            await anyio.sleep_forever()
        if self.down:
            raise ConnectionError("this shared state is down, as the test wants it")

    def _text(self, name: str) -> str | None:
        text, keep_until = self._texts.get(name, (None, 0.0))
        return text if self._now() < keep_until else None

    def _now(self) -> float:
        return anyio.current_time() + self.ahead
