"""Fenced blocks, headings and links of the documentation."""

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("**/*.md")])

FENCED = re.compile(
    r"^(?P<indent> *)(?P<fence>```+)(?P<language>[^\n`]*)\n(?P<text>.*?)^(?P=indent)(?P=fence)$",
    re.MULTILINE | re.DOTALL,
)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


class Block(NamedTuple):
    """A fenced block and its position."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        return f"{name_of(self.page)}, line {self.line}"


def blocks(page: Path, language: str = "") -> list[Block]:
    """Return the fenced blocks of a page in order, of one language if it is given."""
    text = page.read_text()
    found = [
        Block(page, text.count("\n", 0, each.start()) + 2, each["language"].strip(), textwrap.dedent(each["text"]))
        for each in FENCED.finditer(text)
    ]
    return [each for each in found if language in {"", each.language}]


def prose(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return FENCED.sub("", page.read_text())


def commands(block: Block) -> Iterator[tuple[str, list[str]]]:
    """Yield each command of a console block with the shown lines of its output."""
    command, output = "", list[str]()
    for line in block.text.replace("\\\n", " ").splitlines():
        if not line.startswith("$ "):
            assert command, f"{block.place}: {line!r} belongs to no command"
            output.append(line)
            continue
        if command:
            yield command, output
        command, output = line.removeprefix("$ "), []
    if command:
        yield command, output


def anchors(page: Path) -> set[str]:
    """Return the anchors of the headings, as the code host and the site make them."""
    headings = re.findall(r"^#+ +(.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


def links(page: Path) -> list[str]:
    """Return the link targets of a page, without those in code spans."""
    return re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", prose(page)))
