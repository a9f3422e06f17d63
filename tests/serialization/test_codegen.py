"""The fast and the detailed converter agree: on every model, and on every value that is no model."""

import copy
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import attrs
import pytest

from coaching_async import Annotation, AppointmentUpdate, ErrorBody, from_dict
from coaching_async._serialization.codec import _detailed_converter, _fast_converter
from tests.serialization.test_codec import FUTURE, MODELS

CLASSES = MODELS | {name: cls for name, (cls, _) in FUTURE.items()}
LONGEST = 3
"""Items of a list that are replaced: further items would test the same code."""
JUNK: tuple[Any, ...] = (
    *(None, True, 1, 1.5, 10**400, "x", "..", "2026-11-20", "2026-11-20T14:00:00"),
    *([], {}, [None], [{}], OrderedDict(id="x"), 30.0, 1e300, "2026-11-20t24:00z"),
)


class Text(str):
    """A subclass of str, which no JSON has: a caller of `from_dict` may pass any dict."""

    __slots__ = ()


def said(cls: Any, wire: Any, *, is_detailed: bool) -> str:
    """Return the repr of the model, or "none"."""
    try:
        converter = _detailed_converter() if is_detailed else _fast_converter()
        return repr(converter.structure(wire, cls))
    except Exception:  # noqa: BLE001 # converters raise many kinds
        return "none"


def junked(tree: Any) -> Iterator[None]:
    """Replace each value of an example by each junk value in turn, and restore it."""
    for key in (
        list(tree) if isinstance(tree, dict) else range(min(LONGEST, len(tree))) if isinstance(tree, list) else ()
    ):
        whole = tree[key]
        for junk in (*JUNK, Text(whole)) if isinstance(whole, str) else JUNK:
            tree[key] = copy.copy(junk)
            yield
        if isinstance(tree, dict):
            del tree[key]
            yield
        tree[key] = whole
        yield from junked(whole)


@pytest.mark.parametrize("name", CLASSES)
def test_both_converters_agree_on_an_example(name: str, example: Any):
    made = said(CLASSES[name], example(name), is_detailed=False)

    assert made != "none"
    assert made == said(CLASSES[name], example(name), is_detailed=True)


@pytest.mark.parametrize("name", CLASSES)
def test_both_converters_agree_on_an_example_with_junk_in_it(name: str, example: Any):
    cls, wire = CLASSES[name], example(name)
    refused = 0

    for _ in junked(wire):
        made = said(cls, wire, is_detailed=False)
        refused += made == "none"
        assert made == said(cls, wire, is_detailed=True), wire

    assert refused or not wire


def test_a_model_of_a_response_equals_one_made_by_its_init(example: Any):
    read = from_dict(MODELS["appointment"], example("appointment"))

    built = attrs.evolve(read)

    assert (built, hash(built), repr(built)) == (read, hash(read), repr(read))
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        read.name = "another"  # type: ignore[misc]


@pytest.mark.parametrize("wire", [{"lengthInMinutes": 0}, {"status": "InvalidSchedule"}, {"conversationIds": [""]}])
def test_validators_run_on_values_of_responses_too(wire: Any):
    with pytest.raises(ValueError, match="no AppointmentUpdate"):
        from_dict(AppointmentUpdate, wire)


def test_a_model_may_be_recursive():
    inner = {"message": "inner", "errors": [{"message": "innermost"}]}

    assert from_dict(ErrorBody, {"errors": [inner]}).errors[0].errors[0].message == "innermost"
    with pytest.raises(ValueError, match=r"@ \$.errors\[0\].errors\[0\].message"):
        from_dict(ErrorBody, {"errors": [{"errors": [{"message": 5}]}]})


@attrs.frozen(kw_only=True)
class Tagged(Annotation):
    """A subclass with an `__init__` of its own, as a program may define it."""

    tags: list[str] = attrs.field(factory=list)
    length: int = attrs.field(init=False)

    def __attrs_pre_init__(self):
        object.__setattr__(self, "length", 5)


class Loud(Annotation):
    def __init__(self, *, text: str, **rest: Any):
        super().__init__(text=text.upper(), **rest)


def test_a_subclass_of_a_model_is_made_by_its_own_init():
    wire = {"id": "1", "text": "hello", "length": 9}

    tagged = from_dict(Tagged, wire)
    assert (tagged.tags, tagged.length, tagged.text) == ([], 5, "hello")
    assert from_dict(Tagged, wire | {"tags": ["a"]}).tags == ["a"]
    assert from_dict(Loud, wire).text == "HELLO"
    with pytest.raises(ValueError, match=r"expected str @ \$.tags\[0\]"):
        from_dict(Tagged, wire | {"tags": [1]})
