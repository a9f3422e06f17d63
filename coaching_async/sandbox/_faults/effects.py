"""What a fault changes in the work of an operation."""

import attrs

from .list_changes import ListChange


@attrs.frozen
class Effects:
    """`accept_for`: respond 202, and carry out the operation after this many seconds. `list_change`: before listing."""

    accept_for: float | None = None
    list_change: ListChange | None = None


NO_EFFECTS = Effects()
