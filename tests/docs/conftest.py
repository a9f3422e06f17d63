"""What snippets of the documentation leave behind is removed with the other files of the tests."""

import tempfile
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def temporary_files_of_snippets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        folder = str(tmp_path_factory.mktemp("snippets"))
        patch.setenv("TMPDIR", folder)  # of programs
        patch.setattr(tempfile, "tempdir", folder)
        yield
