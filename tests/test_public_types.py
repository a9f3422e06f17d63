"""What signatures name can be imported from public modules, and what takes a member of an enum takes its text, too."""

import inspect
import os
from collections.abc import Iterator
from importlib import import_module
from typing import Any, Literal, get_args, get_origin

import attrs
import griffe
import pytest

import coaching_async
from coaching_async import NotificationAction, OpenEnum, types
from coaching_async.sandbox import NotificationType
from tests.support.dlt_settings import HAS_DLT
from tests.test_architecture import PACKAGE

LOADED: Any = griffe.load("coaching_async", search_paths=[PACKAGE.parent], allow_inspection=False)

PUBLIC = [
    ".".join(("coaching_async", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
    for path in sorted(PACKAGE.rglob("*.py"))
    if not any(part.startswith("_") and part != "__init__.py" for part in path.relative_to(PACKAGE).parts)
]
"""The public modules."""


def target_of(path: str) -> griffe.Object:
    found = LOADED[inside] if (inside := path.partition(".")[2]) else LOADED
    return found.final_target if isinstance(found, griffe.Alias) else found


EXPORTED = {
    f"{module}.{name}": target_of(f"{module}.{name}")
    for module in PUBLIC
    for name in target_of(module).exports or ()
    if module != "coaching_async" or name != "__version__"
}
"""Everything that users import, by its public name."""

IMPORTABLE = {target.path for target in EXPORTED.values()}

MADE_BY_THE_CLIENT = {"NotificationStream", "NotificationWatch", "PageWalk", "Stream", "TopicStream", "Walk"}
MADE_BY_OTHERS = MADE_BY_THE_CLIENT | {"Socket", "Sockets", "Subscription"}
"""Classes that users do not make objects of."""


ENTRIES = {"Faults", "OAuth", "State"}
"""Parts of the sandbox of which only the names, and what the documentation tells of them, are public."""


def functions_of(name: str, target: griffe.Object) -> Iterator[tuple[str, griffe.Function | griffe.Attribute]]:
    """Return the public functions and attributes of something."""
    if isinstance(target, griffe.Function | griffe.Attribute):
        yield name, target
    elif isinstance(target, griffe.Class) and target.name not in ENTRIES:
        for each in target.all_members.values():
            member = each.final_target if isinstance(each, griffe.Alias) else each
            is_constructor = each.name == "__init__" and target.name not in MADE_BY_OTHERS
            if member.path.startswith("coaching_async.") and (is_constructor or not each.name.startswith("_")):
                yield from functions_of(f"{name}.{each.name}", member)


def annotations_of(member: griffe.Function | griffe.Attribute) -> Iterator[tuple[str, griffe.Expr]]:
    if isinstance(member, griffe.Attribute):
        annotations = {"": member.annotation}
    else:
        annotations = {each.name: each.annotation for each in member.parameters} | {"return": member.returns}
    yield from ((name, each) for name, each in annotations.items() if isinstance(each, griffe.Expr))


ANNOTATIONS = {
    f"{place}({parameter})": annotation
    for name, target in EXPORTED.items()
    for place, member in functions_of(name, target)
    for parameter, annotation in annotations_of(member)
}


def names_of(annotation: Any) -> Iterator[griffe.ExprName]:
    if isinstance(annotation, griffe.ExprName):
        yield annotation
    elif isinstance(annotation, griffe.ExprAttribute):  # the args of a ParamSpec, for example
        yield from names_of(annotation.first)
    elif isinstance(annotation, griffe.Expr):
        for each in annotation.iterate(flat=False):
            yield from names_of(each)


def named_in(annotation: griffe.Expr) -> set[str]:
    """Return the canonical paths of what an annotation names in this package, but for type variables."""
    names = {part.canonical_path for part in names_of(annotation)}
    return {target_of(name).path for name in names if name.startswith("coaching_async.") and not is_variable(name)}


def is_variable(path: str) -> bool:
    value = getattr(target_of(path), "value", None)
    return isinstance(value, griffe.ExprCall) and str(value.function) in {"TypeVar", "ParamSpec"}


def test_what_a_public_signature_names_has_a_public_name():
    named = {path: place for place, each in ANNOTATIONS.items() for path in named_in(each)}

    assert {path: place for path, place in named.items() if path not in IMPORTABLE and "._" in path} == {}
    assert len(ANNOTATIONS) > 1000


ENUMS = {each for each in vars(coaching_async).values() if inspect.isclass(each) and issubclass(each, OpenEnum)}

LIKES = {
    name: alias
    for name in types.__all__
    if name.endswith("Like") and ENUMS.intersection(get_args(alias := getattr(types, name)))
}
"""Aliases of a member of an enum or its text."""

OTHER_TEXTS = {"SettableStatusLike": {"InvalidSchedule"}, "ListedStateLike": {"any"}}
"""Texts that only one of an alias and its enum has."""


def texts_of(alias: Any) -> set[str]:
    return {text for each in get_args(alias) if get_origin(each) is Literal for text in get_args(each)}


@pytest.mark.parametrize("name", LIKES)
def test_an_alias_has_the_texts_of_its_enum(name: str):
    (enum,) = ENUMS.intersection(get_args(LIKES[name]))

    assert texts_of(LIKES[name]) ^ set(enum) == OTHER_TEXTS.get(name, set())


def test_the_sandbox_makes_notifications_of_every_kind():
    assert set(get_args(NotificationType)) == set(NotificationAction)


def test_no_parameter_takes_a_member_of_an_enum_but_not_its_text():
    enums = {target_of(f"coaching_async.{each.__name__}").path for each in ENUMS}
    places = [
        place
        for place, each in ANNOTATIONS.items()
        if not place.endswith("(return)") and not place.endswith("()") and named_in(each) & enums
    ]

    assert places == []


def test_the_constructors_of_requests_take_the_texts_of_an_enum():
    taken = {
        f"{name}({parameter.name})": texts_of(parameter.annotation) | {str(parameter.annotation)}
        for name in coaching_async.__all__
        if attrs.has(cls := getattr(coaching_async, name)) and cls.__module__ == "coaching_async"
        for parameter in inspect.signature(cls).parameters.values()
        if isinstance(field := getattr(attrs.fields(cls), parameter.name.lstrip("_"), None), attrs.Attribute)
        if field.converter is not None and any(each.__name__ in str(field.type) for each in ENUMS)
    }

    assert set(taken) == {
        "AggregateClause(type)",
        "AggregateFilter(type)",
        "AggregatePredicate(dimension)",
        "AggregateQuery(group_by)",
        "AggregateQuery(metrics)",
        "AppointmentUpdate(status)",
        "ScheduleSlotsJobCreate(slots_type)",
    }
    assert all("Literal[" in " ".join(each) for each in taken.values())


def test_no_signature_shows_the_environment():
    modules = [
        import_module(name) for name in PUBLIC if HAS_DLT or not name.startswith("coaching_async.integrations.dlt")
    ]
    found = [
        each for module in modules for name in getattr(module, "__all__", ()) if callable(each := getattr(module, name))
    ]
    methods = [member for each in found if inspect.isclass(each) for _, member in inspect.getmembers(each, callable)]
    functions = [*found, *methods]
    defaults = [each for function in functions for each in getattr(function, "__defaults__", None) or ()]
    defaults += [each for function in functions for each in (getattr(function, "__kwdefaults__", None) or {}).values()]

    assert os.environ not in defaults
