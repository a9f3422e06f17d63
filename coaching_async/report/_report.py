"""`Report`, the result of `report`."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path

import attrs

from coaching_async import LeftOutRow

from ._figures import Figures
from ._file import write_page

__all__ = ["Report"]


@attrs.frozen
class Report:
    """A report of the coaching of people: what it says, and the HTML page that says it."""

    title: str | None
    """The name of the team, for example. None stands for the people themselves."""
    figures: Figures
    """What was counted."""
    names: Mapping[str, str] = attrs.field(repr=False)
    """Names of the people in the figures, by id. The id itself stands for a name that is gone."""
    rows_left_out: int
    """Appointments that are not in the figures, because they cannot be read."""
    left_out: tuple[LeftOutRow, ...]
    """The first of them."""

    def html(self) -> str:
        """Return the page. It is complete: it has no script, and requests nothing from any host.

        Drawing the charts takes up to a second. Call it in a thread if the event loop has other tasks.
        """
        from ._page import page_of  # its libraries are an extra

        return page_of(self.title, self.figures, self.names, self.rows_left_out)

    def write(self, path: str | PathLike[str], *, replace: bool = False) -> None:
        """Write the page to a file. The file gets its name when it is complete.

        An earlier report is replaced, and any other file only with `replace=True`. Raises `ReportRefused` (a `ValueError`),
        and `OSError`.
        """
        write_page(Path(path), self.html().encode(errors="replace"), replace=replace)
