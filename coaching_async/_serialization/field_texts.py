"""Meanings of fields: the docstrings below them in the source, which Python itself does not keep."""

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise

import attrs

__all__ = ["field_texts", "texts_in"]


def field_texts(cls: type) -> Mapping[str, str]:
    """Return the meanings of the fields of an attrs class, by name. There are none where the source is not installed."""
    texts: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if attrs.has(base):
            # A public class shows the module that it is imported from; the method that attrs has made, the one it is written in.
            texts |= texts_in(base.__init__.__module__).get(base.__name__, {})
    return texts


@cache
def texts_in(module: str) -> Mapping[str, Mapping[str, str]]:
    """Return the meanings of the fields of all classes of a module, by the name of the class."""
    try:
        source = inspect.getsource(sys.modules[module])
    except (KeyError, OSError, TypeError):  # a builtin, an executable without source
        return {}
    return {each.name: dict(_texts_of(each)) for each in ast.parse(source).body if isinstance(each, ast.ClassDef)}


def _texts_of(cls: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for here, there in pairwise(cls.body):
        match here, there:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, inspect.cleandoc(text)
            case _:
                pass
