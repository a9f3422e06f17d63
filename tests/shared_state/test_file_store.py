"""`FileSharedState`: texts in a file, for the processes of one machine."""

from pathlib import Path

import pytest

from coaching_async import FileSharedState

pytestmark = [pytest.mark.anyio, pytest.mark.real_time]


async def test_a_text_is_swapped_only_for_the_one_that_is_there(tmp_path: Path):
    state = FileSharedState(tmp_path / "state")

    assert (await state.load("a"))[0] is None
    assert not await state.swap("a", "none", "1", 60)
    assert await state.swap("a", None, "1", 60)
    assert not await state.swap("a", None, "2", 60)
    assert (await state.load("a"))[0] == "1"
    assert (await state.load("b"))[0] is None
    assert await FileSharedState(str(state.path)).swap("a", "1", "", 60)
    assert (await state.load("a"))[0] == ""
