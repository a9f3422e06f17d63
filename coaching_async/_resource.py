"""What the resources of the API have in common."""

from functools import partial
from types import MethodType
from typing import cast

import attrs

from ._api import Api
from ._value import Value

__all__ = ["Resource", "is_operation"]


@attrs.frozen(eq=False, repr=False)
class Resource(Value):
    """Methods that are operations of the API."""

    _api: Api = attrs.field(repr=False)


def is_operation(function: object) -> bool:
    """Whether it is a method of a resource, with some of its arguments perhaps: no code of the user's awaits in it.

    What is of another kind may do more than it seems to, and a method may have been overridden or replaced.
    """
    while type(function) is partial:
        function = cast("partial[object]", function).func
    if type(function) is not MethodType or not isinstance(getattr(function, "__self__", None), Resource):
        return False
    code = getattr(function, "__func__", None)
    return getattr(code, "__globals__", {}).get("__package__") == __package__
