"""`MemorySharedState` fails as a test wants it. What it does when it is well is in `tests/shared_state/test_stores.py`."""

import math

import anyio
import pytest

from coaching_async.testing import MemorySharedState

pytestmark = pytest.mark.anyio


async def test_while_it_is_down_operations_fail_and_nothing_is_changed():
    state = MemorySharedState()
    await state.swap("a", None, "1", 60)
    state.down = True

    with pytest.raises(ConnectionError):
        await state.load("a")
    with pytest.raises(ConnectionError):
        await state.swap("a", "1", "2", 60)
    state.down = False
    assert (await state.load("a"))[0] == "1"


async def test_an_operation_that_is_begun_while_it_hangs_never_ends():
    state = MemorySharedState()
    state.hangs = True

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(state.swap, "a", None, "1", 60)
        await anyio.sleep(1000)
        state.hangs = False
        await anyio.sleep(1000)
        assert (await state.load("a"))[0] is None
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("patience, text", [(0.9, None), (1.1, "1")])
async def test_a_swap_whose_caller_is_cancelled_has_been_carried_out_if_half_of_the_latency_is_over(
    patience: float, text: str | None
):
    state = MemorySharedState(latency=2.0)

    with anyio.move_on_after(patience) as scope:
        await state.swap("a", None, "1", 60)

    assert scope.cancelled_caught
    assert (await state.load("a"))[0] == text


async def test_the_answer_of_a_swap_is_lost_if_it_goes_down_meanwhile():
    state = MemorySharedState(latency=2.0)

    async with anyio.create_task_group() as tasks:

        async def swap() -> None:
            with pytest.raises(ConnectionError):
                await state.swap("a", None, "1", 60)

        tasks.start_soon(swap)
        await anyio.sleep(1.5)
        state.down = True
    state.down = False
    assert (await state.load("a"))[0] == "1"


async def test_it_forgets_and_its_clock_goes_ahead():
    state = MemorySharedState()
    await state.swap("a", None, "1", 60)
    _, before = await state.load("a")
    state.ahead = 30.0
    text, after = await state.load("a")

    assert text == "1"
    assert math.isclose(after - before, 30.0)
    state.ahead = 61.0
    assert (await state.load("a"))[0] is None
    state.ahead = 0.0
    state.forget()
    assert (await state.load("a"))[0] is None
