"""Docstrings as the reference shows them: facts in a list, the fields of a class in a table, examples, public names as links."""

import re
from collections.abc import Iterator
from html import escape
from textwrap import dedent
from typing import Any

import griffe

EXAMPLE = re.compile(r"(?<=\n\n)(?: {4}.*\n|\n(?= {4}))+")
FACT = re.compile(r"^(HTTP|Permission|Raises): ", re.MULTILINE)
NAME = re.compile(r"(?<![`\[])`([A-Za-z]\w+)`(?!`)")
INNER = {
    *(
        "AppointmentCreation",
        "AsyncContextOnly",
        "AsyncOnly",
        "Generic",
        "HasEnd",
        "HasNext",
        "HasStart",
        "NotCopyable",
    ),
    *("OwnCopy", "Reference", "Requests", "Resource", "Value"),
}
"""Bases that say nothing to a reader; their fields are in the tables of their subclasses."""
DEFAULT = re.compile(r"\bdefault=((?:[^,()]|\([^()]*\))+)")


class Docstrings(griffe.Extension):
    """Changes the docstrings of a package."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """All of it is loaded."""
        names = {str(name) for name in pkg.exports or ()}
        things = list(_within(pkg))
        texts = {thing.path: _listed(_shown(thing.docstring.value)) for thing in things if thing.docstring}
        tables = {thing.path: _table(thing, names) for thing in things if isinstance(thing, griffe.Class)}
        for thing in things:
            if text := "\n\n".join(filter(None, (texts.get(thing.path), tables.get(thing.path)))):
                thing.docstring = griffe.Docstring(_linked(text, names - {thing.name}), parent=thing)
            if tables.get(thing.path):
                for field in _fields(thing):
                    del thing.members[field.name]
            if isinstance(thing, griffe.Class):
                thing.members |= _methods_of_inner_bases(thing)
                thing.bases = [each for each in thing.bases if str(each).partition("[")[0] not in INNER]


def _methods_of_inner_bases(cls: griffe.Class) -> dict[str, griffe.Object | griffe.Alias]:
    """Return what a class has of bases that are not shown, as if it were its own."""
    return {
        name: each
        for name, each in cls.inherited_members.items()
        if not name.startswith("_")
        and each.target.parent.name in INNER
        and each.target.has_labels("property") | each.is_function
    }


def _within(thing: griffe.Object) -> Iterator[griffe.Object]:
    yield thing
    for each in thing.members.values():
        if isinstance(each, griffe.Object):
            yield from _within(each)


def _shown(text: str) -> str:
    return EXAMPLE.sub(lambda example: f"```python\n{dedent(example[0])}```\n", text)


def _listed(text: str) -> str:
    if (first := FACT.search(text)) is None:
        return text
    return text[: first.start()] + "\n" + FACT.sub(r"- **\1:** ", text[first.start() :])


def _linked(text: str, names: set[str]) -> str:
    return NAME.sub(lambda name: f"[`{name[1]}`][coaching_async.{name[1]}]" if name[1] in names else name[0], text)


def _fields(cls: griffe.Object) -> list[griffe.Attribute]:
    return [
        each
        for each in cls.members.values()
        if isinstance(each, griffe.Attribute) and not each.name.startswith("_") and not each.has_labels("property")
    ]


def _table(cls: griffe.Class, names: set[str]) -> str:
    hidden = [base for base in cls.mro() if base.name not in names]  # nobody finds their fields elsewhere
    fields = [field for base in (*reversed(hidden), cls) for field in _fields(base)]
    if not fields:
        return ""
    heads = ("field", "type") if any(each.annotation for each in fields) else ("member", "value")
    has_texts = any(each.docstring for each in fields)
    rows = [heads, ("---", "---"), *((f"`{each.name}`", _type(each)) for each in fields)]
    texts = ["", "---", *(_text(each) for each in fields)]
    return "\n".join(
        f"| {' | '.join((*row, text) if has_texts else row)} |" for row, text in zip(rows, texts, strict=True)
    )


def _text(field: griffe.Attribute) -> str:
    return " ".join(field.docstring.value.split()) if field.docstring else ""


def _type(field: griffe.Attribute) -> str:
    parts = field.annotation.iterate() if isinstance(field.annotation, griffe.Expr) else [field.annotation or ""]
    html = "".join(
        f'<autoref identifier="{each.canonical_path}" optional>{each.name}</autoref>'
        if isinstance(each, griffe.ExprName)
        else escape(str(each))
        for each in parts
    )
    default = str(field.value) if field.value and field.has_labels("class-attribute") else ""
    if default.startswith("attrs.field("):
        default = found[1] if (found := DEFAULT.search(default)) else ""
    if default == field.name:  # an argument of __init__
        default = ""
    default = f"{' = ' if html else ''}{escape(default)}" if default else ""
    return f"<code>{html}{default}</code>".replace("|", "&#124;").replace("<code></code>", "")
