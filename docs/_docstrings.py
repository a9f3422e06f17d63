"""Docstrings as the reference shows them: facts in a list, public names as links."""

import re
from typing import Any

import griffe

FACT = re.compile(r"^(HTTP|Permission|Raises): ", re.MULTILINE)
NAME = re.compile(r"(?<![`\[])`([A-Za-z]\w+)`(?!`)")


class Docstrings(griffe.Extension):
    """Changes the text of each docstring."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """All of it is loaded."""
        names = {str(name) for name in pkg.exports or ()}
        seen: set[str] = set()

        def visit(thing: griffe.Object) -> None:
            if thing.path in seen:
                return
            seen.add(thing.path)
            if thing.docstring:
                thing.docstring.value = _readable(thing.docstring.value, names - {thing.name})
            for member in thing.members.values():
                if not member.is_alias:
                    visit(member)

        visit(pkg)


def _readable(text: str, names: set[str]) -> str:
    first = FACT.search(text)
    if first:
        text = text[: first.start()] + "\n" + FACT.sub(r"- **\1:** ", text[first.start() :])
    return NAME.sub(lambda name: f"[`{name[1]}`][coaching_async.{name[1]}]" if name[1] in names else name[0], text)
