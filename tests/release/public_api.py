"""The public names of the library, and what the changelog has to say about their changes since the last release.

The names of the last release are in a file of the repository (`SNAPSHOT`), because tags are missing in shallow clones and
in source archives. griffe reads the names from the sources, without importing them.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import griffe

__all__ = ["SNAPSHOT", "Snapshot", "public_names", "unmentioned_changes"]

SNAPSHOT = Path(__file__).parent / "public_api.txt"

PRIVATE = ("cli", "models")
"""Modules that nobody imports from: of one the options and exit codes are public, of the other `coaching_async` has the names."""

PUBLIC_ARGUMENTS = ("default", "factory", "init", "kw_only")
"""Arguments of `attrs.field` that callers notice."""


def public_names(folder: Path, package: str = "coaching_async") -> dict[str, str]:
    """Return the public names of a package in a folder, each with its signature, type or value."""
    loader = griffe.GriffeLoader(search_paths=[folder], allow_inspection=False)
    module = loader.load(package, try_relative_path=False)
    loader.resolve_aliases(implicit=False, external=False)
    assert isinstance(module, griffe.Module)
    modules = list(_public_modules(module))
    exported = {member.canonical_path for each in modules for member in map(each.get_member, _exports(each))}
    return {
        path: shape
        for each in modules
        for name in _exports(each)
        for path, shape in _names_of(each[name], f"{each.path}.{name}", exported)
    }


def _public_modules(module: griffe.Module) -> Iterator[griffe.Module]:
    yield module
    for name, submodule in module.modules.items():
        if not name.startswith("_") and name not in PRIVATE:
            yield from _public_modules(submodule)


def _exports(module: griffe.Module) -> list[str]:
    return list(map(str, module.exports or ()))


def _names_of(found: griffe.Object | griffe.Alias, path: str, exported: set[str]) -> Iterator[tuple[str, str]]:
    """The name of an object, and those of its members."""
    target = _target(found)
    if not isinstance(target, griffe.Class):
        yield path, _shape(target)
        return
    yield path, _shape_of_class(target, exported)
    for name, member in found.all_members.items():
        defined = _target(member)
        owner = defined.parent.canonical_path if defined.parent else ""
        is_of_public_base = owner != target.canonical_path and owner in exported
        if not name.startswith("_") and not is_of_public_base:
            yield from _names_of_member(defined, f"{path}.{name}", exported)


def _names_of_member(member: griffe.Object, path: str, exported: set[str]) -> Iterator[tuple[str, str]]:
    """The name of a member, and what can be called on it if its class has no public name of its own."""
    yield path, _shape(member)
    if isinstance(member, griffe.Attribute) and isinstance(member.annotation, griffe.ExprName):
        annotated = _class_named(member, member.annotation)
        if annotated and annotated.canonical_path not in exported:
            for name, inner in annotated.all_members.items():
                if not name.startswith("_"):
                    yield f"{path}.{name}", _shape(_target(inner))


def _target(found: griffe.Object | griffe.Alias) -> griffe.Object:
    return found.final_target if isinstance(found, griffe.Alias) else found


def _class_named(attribute: griffe.Attribute, name: griffe.ExprName) -> griffe.Class | None:
    package = attribute.package
    path = name.canonical_path
    if not path.startswith(f"{package.path}."):
        return None
    found = _target(package[path.removeprefix(f"{package.path}.")])
    return found if isinstance(found, griffe.Class) else None


def _shape_of_class(found: griffe.Class, exported: set[str]) -> str:
    """Public bases, and the arguments of an `__init__` that is written out. Those of attrs are the fields."""
    bases = [str(base) for base in found.bases if _is_public(base, found, exported)]
    init = found.members.get("__init__")
    arguments = _arguments(init) if isinstance(init, griffe.Function) else ""
    return " ".join(filter(None, ["class", f"of {', '.join(bases)}" if bases else "", arguments]))


def _is_public(base: str | griffe.Expr, found: griffe.Class, exported: set[str]) -> bool:
    path = base.canonical_path if isinstance(base, griffe.Expr) else base
    return path in exported or not path.startswith(f"{found.package.path}.")


def _shape(found: griffe.Object) -> str:
    if isinstance(found, griffe.Function):
        overloads = found.parent.overloads.get(found.name, []) if isinstance(found.parent, griffe.Class) else []
        return " | ".join(map(_signature, overloads or [found]))
    if isinstance(found, griffe.Attribute):
        kind = "property" if "property" in found.labels else "attribute"
        value = _value(found.value) if {"class-attribute", "module-attribute"} & found.labels else ""
        return " ".join(filter(None, [kind, str(found.annotation or ""), value]))
    return found.kind.value


def _signature(function: griffe.Function) -> str:
    how = [label for label in ("async", "classmethod", "staticmethod") if label in function.labels]
    returned = f"-> {function.returns}" if function.returns is not None else ""
    return " ".join(filter(None, [*how, _arguments(function), returned]))


def _arguments(function: griffe.Function) -> str:
    return f"({', '.join(map(_argument, function.parameters))})"


def _argument(parameter: griffe.Parameter) -> str:
    stars = {griffe.ParameterKind.var_positional: "*", griffe.ParameterKind.var_keyword: "**"}
    kind = parameter.kind
    name = stars.get(kind, "") + parameter.name if kind else parameter.name
    place = {griffe.ParameterKind.keyword_only: "keyword ", griffe.ParameterKind.positional_only: "positional "}
    annotation = f": {parameter.annotation}" if parameter.annotation is not None else ""
    default = f" = {parameter.default}" if parameter.default is not None and kind not in stars else ""
    return (place.get(kind, "") if kind else "") + name + annotation + default


def _value(value: str | griffe.Expr | None) -> str:
    """The value of an attribute, and of a field what callers notice of it."""
    if isinstance(value, griffe.ExprCall) and str(value.function) in ("attrs.field", "field"):
        arguments = [each for each in value.arguments if isinstance(each, griffe.ExprKeyword)]
        return ", ".join(f"{each.name}={each.value}" for each in arguments if each.name in PUBLIC_ARGUMENTS)
    return f"= {value}" if value is not None and len(str(value)) <= 200 else ""


@dataclass(frozen=True)
class Snapshot:
    """The public names of a release."""

    release: str
    names: Mapping[str, str]

    @classmethod
    def parse(cls, text: str) -> "Snapshot":
        """Return the snapshot that a file has."""
        first, *lines = text.splitlines()
        return cls(first.removeprefix("# "), dict(line.split(" ", 1) for line in lines))

    def __str__(self) -> str:
        return "".join(f"{line}\n" for line in [f"# {self.release}", *(" ".join(each) for each in self.names.items())])


def unmentioned_changes(last: Snapshot, names: Mapping[str, str], changelog: str) -> list[str]:
    """Return what is not in the changelog since the last release, a line for each change of a public name."""
    since, found, _ = changelog.partition(f"\n## [{last.release}]")
    if not found:
        return [f"CHANGELOG.md has no section of {last.release}, whose public names are in {SNAPSHOT.name}"]
    mentioned = re.findall(r"`([^`]+)`", since)
    return [
        f"{path} {change}: CHANGELOG.md does not mention `{_handles(path)[0]}` since {last.release}"
        for path, change in _changes(last.names, names)
        if not any(_names(span, handle) for handle in _handles(path) for span in mentioned)
    ]


def _changes(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for path in sorted(before.keys() | after.keys()):
        owner = path.rpartition(".")[0]
        if path not in after:
            if owner in after or owner not in before:
                yield path, "was removed"
        elif path not in before:
            if owner in before or owner not in after:
                yield path, "is new"
        elif before[path] != after[path]:
            yield path, f"was changed from {before[path]!r} to {after[path]!r}"


def _handles(path: str) -> list[str]:
    """How a changelog may name something: a member with its class or with a variable of it, anything else by its name alone."""
    *_, owner, name = path.split(".")
    if owner == "CoachingClient":
        return [f"client.{name}", f"CoachingClient.{name}"]
    if owner[:1].isupper():
        return [f"{owner}.{name}", f"{re.sub(r'(?<!^)(?=[A-Z])', '_', owner).lower()}.{name}"]
    if "CoachingClient." in path:
        return [f"{owner}.{name}"]
    return [name]


def _names(span: str, handle: str) -> bool:
    pattern = re.escape(handle).replace(r"\.", r"(?:\([^()]*\))?\.")  # `Class(...).method`, too
    return bool(re.search(rf"(?<!\w){pattern}(?!\w)", span))
