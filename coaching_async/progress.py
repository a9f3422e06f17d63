"""How far a long piece of work is, for whoever watches: a live bar on a terminal, else a plain line now and then."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from coaching_async import CoachingClient, Stats

__all__ = ["closing_table", "progress"]

PLAIN_EVERY: Final = 1000


@contextmanager
def progress(console: Console, client: CoachingClient) -> Generator[Callable[[int, int | None], None]]:
    """Give a function to be told the items done, and how many there are in all, or None."""

    def troubles() -> str:
        stats = client.stats()
        return f"{stats.throttled} of the answers 429, {stats.tokens} tokens minted"

    if not console.is_terminal:

        def line(done: int, total: int | None) -> None:
            if done % PLAIN_EVERY == 0 or done == total:
                console.print(f"{done} of {total or 'unknown'} items, {troubles()}")

        yield line
        return
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=None)

        def move(done: int, total: int | None) -> None:
            bar.update(task, completed=done, total=total, description=troubles())

        yield move


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
