"""What the resources of the API have in common."""

import attrs

from ._api import Api
from ._value import Value

__all__ = ["Resource"]


@attrs.frozen(eq=False, repr=False)
class Resource(Value):
    """Methods that are operations of the API."""

    _api: Api = attrs.field(repr=False)
