"""What tests/cli/test_exports_at_once.py does with one form, for all of them, again and again."""

from pathlib import Path

import pytest

from coaching_async.export import FORMS
from tests.cli.test_exports_at_once import test_one_of_two_processes_makes_the_file_and_the_other_one_is_told as at_once


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("_", range(3))
def test_one_of_two_processes_makes_the_file(_: int, form: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    at_once(form, monkeypatch, tmp_path)
