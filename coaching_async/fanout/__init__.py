"""One stream of notifications for many subscribers, the browsers of a web application for example."""

from ._hub import Hub
from ._queue import Item, Missed
from ._subscription import Subscription

__all__ = [
    "Hub",
    "Item",
    "Missed",
    "Subscription",
]

# Users see and pickle the names under which they import them.
for _public in (Hub, Missed, Subscription):
    _public.__module__ = __name__
