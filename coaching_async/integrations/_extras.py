"""An import that fails because an extra is missing says which one."""

from collections.abc import Generator
from contextlib import contextmanager

__all__ = ["extra"]


@contextmanager
def extra(name: str) -> Generator[None]:
    """Say of a module that cannot be found in the block which extra installs it."""
    try:
        yield
    except ModuleNotFoundError as missing:
        text = f"{missing.name} is missing: pip install 'coaching_async[{name}]'"
        raise ModuleNotFoundError(text, name=missing.name, path=missing.path) from None
