"""What the resources of the API have in common."""

from functools import partial

import attrs

from ._api import Api

__all__ = ["Resource", "is_operation"]


@attrs.frozen
class Resource:
    """Methods that are operations of the API."""

    _api: Api = attrs.field(repr=False)


def is_operation(function: object) -> bool:
    """Whether it is a method of a resource, with some of its arguments perhaps: no code of the user's runs in it."""
    while isinstance(function, partial):
        function = function.func
    return isinstance(getattr(function, "__self__", None), Resource)
