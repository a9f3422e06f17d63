"""How far a long piece of work is, for whoever watches: a live bar on a terminal, else a plain line now and then."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from coaching_async import CoachingClient, Stats
from coaching_async.export import ExportProgress

__all__ = ["closing_table", "progress", "said"]

PLAIN_EVERY: Final = 1000
PLAIN_SECONDS: Final = 10.0


@contextmanager
def progress(console: Console, client: CoachingClient) -> Generator[Callable[[ExportProgress], None]]:
    """Give a function to be told how far it is."""
    started = time.monotonic()

    def text(told: ExportProgress) -> str:
        return said(told, time.monotonic() - started, client.stats())

    if not console.is_terminal:
        items, at = 0, started

        def line(told: ExportProgress) -> None:
            nonlocal items, at
            is_last = told.items == told.total
            if is_last or told.items - items >= PLAIN_EVERY or time.monotonic() - at >= PLAIN_SECONDS:
                console.print(text(told), soft_wrap=True, highlight=False)
                items, at = told.items, time.monotonic()

        yield line
        return
    columns = (BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=None)

        def move(told: ExportProgress) -> None:
            bar.update(task, completed=told.items, total=told.total, description=text(told))

        yield move


def said(told: ExportProgress, seconds: float, stats: Stats) -> str:
    """A line of it: the rate and the time left are those of this run."""
    rate = told.new / seconds if seconds > 0 else 0.0
    left = "" if told.total is None or not rate else f", {_clock(max(0, told.total - told.items) / rate)} left"
    items = f"{told.items} of {'an unknown number of' if told.total is None else told.total} items"
    return f"{items}, {rate:.0f}/s{left}, {stats.throttled} of the answers 429, {stats.tokens} tokens minted"


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"


def closing_table(items: int, pages: int, seconds: float, stats: Stats) -> Table:
    """Lay out what an export took."""
    figures = {
        "items": items,
        "pages": pages,
        "requests": stats.requests,
        "retries": stats.retries,
        "429s": stats.throttled,
        "tokens minted": stats.tokens,
        "seconds": f"{seconds:.1f}",
    }
    grid = Table(show_header=False)
    grid.add_column()
    grid.add_column(justify="right")
    for name, figure in figures.items():
        grid.add_row(name, str(figure))
    return grid
