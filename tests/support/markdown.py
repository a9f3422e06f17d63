"""The pages of the documentation, taken apart: fenced blocks, headings, links."""

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
    """A fenced block, and where it stands."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        return f"{name_of(self.page)}, line {self.line}"


def blocks(page: Path, language: str = "") -> list[Block]:
    """The fenced blocks of a page, in order; those of one language, if it is named."""
    text = page.read_text()
    found = [
        Block(page, text.count("\n", 0, each.start()) + 2, each["language"].strip(), textwrap.dedent(each["text"]))
        for each in FENCED.finditer(text)
    ]
    return [each for each in found if language in {"", each.language}]


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return FENCED.sub("", page.read_text())


def commands(block: Block) -> Iterator[tuple[str, list[str]]]:
    """The commands of a console block, each with the lines of its output that are shown."""
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
    """What a link to a part of the page may end in: the headings, as the forge and the site make anchors of them."""
    headings = re.findall(r"^#+ +(.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


def links(page: Path) -> list[str]:
    """The targets of the links of a page, code spans left out."""
    return re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", prose(page)))
