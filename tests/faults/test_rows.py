"""Each row has a test."""

import re
from pathlib import Path


def test_each_row_has_a_test():
    sources = "".join(path.read_text() for path in Path(__file__).parent.glob("*.py"))

    shown = {int(number) for number in re.findall(r"def (?:test_)?row_(\d+)_", sources)}

    assert shown == set(range(1, 113))
