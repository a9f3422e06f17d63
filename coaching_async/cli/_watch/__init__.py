"""The command `coaching-async watch`: writes notifications as they happen."""

from .command import watch_

__all__ = ["watch_"]
