"""Progress of an export: a progress bar on a terminal, else a line of text from time to time."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from coaching_async import CoachingClient, Stats
from coaching_async.export import ExportProgress

__all__ = ["progress_text", "show_count", "show_progress", "summary_table"]

ITEMS_PER_LINE: Final = 1000
SECONDS_PER_LINE: Final = 10.0
"""A line is printed after so many items or seconds, whichever comes first."""


@contextmanager
def show_progress(console: Console, client: CoachingClient) -> Generator[Callable[[ExportProgress], None]]:
    """Yield the function to call with each progress."""
    started = time.monotonic()

    def text(progress: ExportProgress) -> str:
        return progress_text(progress, time.monotonic() - started, client.stats())

    if not console.is_terminal:
        printed_items, printed_at = 0, started

        def print_line(progress: ExportProgress) -> None:
            nonlocal printed_items, printed_at
            has_items = progress.items - printed_items >= ITEMS_PER_LINE
            if progress.items == progress.total or has_items or time.monotonic() - printed_at >= SECONDS_PER_LINE:
                console.print(text(progress), soft_wrap=True, highlight=False)
                printed_items, printed_at = progress.items, time.monotonic()

        yield print_line
        return
    columns = (BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=None)

        def update_bar(progress: ExportProgress) -> None:
            bar.update(task, completed=progress.items, total=progress.total, description=text(progress))

        yield update_bar


@contextmanager
def show_count(console: Console) -> Generator[Callable[[int, int], None]]:
    """Yield the function to call with the number of items that are done and their total."""
    if not console.is_terminal:
        printed_at = time.monotonic()

        def print_line(done: int, total: int) -> None:
            nonlocal printed_at
            if time.monotonic() - printed_at >= SECONDS_PER_LINE:
                console.print(f"{done} of {total}", highlight=False)
                printed_at = time.monotonic()

        yield print_line
        return
    columns = (BarColumn(), TimeElapsedColumn(), TextColumn("{task.completed} of {task.total}"))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None, visible=False)
        yield lambda done, total: bar.update(task, completed=done, total=total, visible=True)


def progress_text(progress: ExportProgress, seconds: float, stats: Stats) -> str:
    """Return a progress as text, with the rate and the remaining time of this run."""
    total, rate = progress.total, progress.new / seconds if seconds > 0 else 0.0
    left = "" if total is None or not rate else f", {_clock(max(0, total - progress.items) / rate)} left"
    items = f"{progress.items} of {'an unknown number of' if total is None else total} items"
    return f"{items}, {rate:.0f}/s{left}, {stats.throttled} of the answers 429, {stats.tokens} tokens minted"


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"


def summary_table(items: int, pages: int, seconds: float, stats: Stats) -> Table:
    """Return the figures of a finished export."""
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
