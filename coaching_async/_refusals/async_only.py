"""What is read with `async for` or entered with `async with`, and says so to whoever does it in another way."""

from abc import ABCMeta
from typing import TYPE_CHECKING, ClassVar

__all__ = ["AsyncContextOnly", "AsyncOnly"]

if TYPE_CHECKING:  # type checkers refuse these mistakes themselves

    class AsyncOnly:
        """Base of what is read with `async for`."""

        __slots__ = ()

        _instead_of_for: ClassVar[str]
        _instead_of_len: ClassVar[str]
        _instead_of_index: ClassVar[str]

    class AsyncContextOnly:
        """Base of what is entered with `async with`."""

        __slots__ = ()

else:

    class _Unlisted(ABCMeta):
        """Leaves these two classes out of `__mro__`, where `isinstance(x, Awaitable)` and the like look for methods; Python does not.

        Otherwise all that awaits, iterates over or measures whatever it can would fail on what it now passes on: templates,
        resolvers of GraphQL, dependency injection.
        """

        @property
        def __mro__(cls) -> tuple[type, ...]:
            return tuple(base for base in super().__mro__ if base.__dict__.get("_is_unlisted") is not True)

    class AsyncOnly(metaclass=_Unlisted):
        """Base of what is read with `async for`: `for`, `await`, `len()` and an index say what to write instead."""

        __slots__ = ()

        _is_unlisted = True

        def __iter__(self):
            raise TypeError(f"a {type(self).__name__} is not read with a plain `for`: use {self._instead_of_for}")

        def __await__(self):
            raise TypeError(f"a {type(self).__name__} is not awaited itself: use {self._instead_of_for}")

        def __len__(self):
            raise TypeError(f"a {type(self).__name__} has no len(): use {self._instead_of_len}")

        def __getitem__(self, _):
            raise TypeError(f"the items of a {type(self).__name__} have no indexes: use {self._instead_of_index}")

        def __contains__(self, _):
            iter(self)

        def __bool__(self):  # without it `len()` would be asked
            return True

    class AsyncContextOnly(metaclass=_Unlisted):
        """Base of what is entered with `async with`: a plain `with` says so."""

        __slots__ = ()

        _is_unlisted = True

        def __enter__(self):
            raise TypeError(f"a {type(self).__name__} is not entered with a plain `with`: use `async with`")

        def __exit__(self, *_):
            """Do nothing: `__enter__` has raised. Without this method Python would not call that."""
