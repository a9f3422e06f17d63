"""Tables that a narrow screen shows as blocks: each cell has the head of its column, which site.css shows before it."""

from typing import Any
from xml.etree.ElementTree import Element

from markdown import Markdown
from markdown.extensions import Extension
from markdown.treeprocessors import Treeprocessor


class _Labels(Treeprocessor):
    def run(self, root: Element) -> None:
        for table in root.iter("table"):
            heads = ["".join(head.itertext()) for head in table.iter("th")]
            for row in table.iterfind("tbody/tr"):
                for cell, head in zip(row, heads, strict=True):
                    if head:
                        cell.set("data-label", head)


class _Tables(Extension):
    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802 # Markdown's own name
        md.treeprocessors.register(
            _Labels(md), "labels", 15
        )  # below the inline patterns, which make the text of the heads


def makeExtension(**_: Any) -> Extension:  # noqa: N802 # Markdown's own name
    """Return the extension."""
    return _Tables()
