"""Log records that show a secret."""

import logging
from collections.abc import Generator
from contextlib import contextmanager

__all__ = ["SecretsLogged", "logging_everything"]


class SecretsLogged(logging.Handler):
    """The messages of log records of any level that show a secret.

    `caplog` would not do: its level is set anew for each phase of a test, and its records are those of the current phase.
    """

    def __init__(self, secret: str) -> None:
        super().__init__(level=1)
        self.messages = list[str]()
        self._secret = secret

    def emit(self, record: logging.LogRecord) -> None:
        if self._secret in (message := record.getMessage()):
            self.messages.append(message)

    @contextmanager
    def watching(self) -> Generator[None]:
        """See the records of this block, and assert that none shows the secret."""
        root = logging.getLogger()
        root.addHandler(self)
        try:
            yield
        finally:
            root.removeHandler(self)
        assert self.messages == []


@contextmanager
def logging_everything() -> Generator[None]:
    """Let records of every level be made in this block, which is to be the call of a test.

    In a fixture this would not do, because pytest sets the root's level to `log_level` before each phase of a test. It leaves
    a lower one as it is.
    """
    root = logging.getLogger()
    before = root.level
    root.setLevel(1)
    try:
        yield
    finally:
        root.setLevel(before)
