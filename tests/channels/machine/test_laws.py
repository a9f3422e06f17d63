"""What holds for a listener whatever the service does. `World` checks some of the laws after each step.

`tests/slow/test_listening.py` has more worlds, for more days.
"""

import pytest

from tests.support.effort import FULL
from tests.support.listener_world import DAY, DEGREES, World, live_through

SEEDS = range(6 if FULL else 2)


@pytest.mark.parametrize("has_list", [True, False], ids=["list", "no list"])
@pytest.mark.parametrize("degree", DEGREES)
@pytest.mark.parametrize("seed", SEEDS)
def test_the_laws_hold_and_a_service_that_is_well_again_is_listened_to_within_75_seconds(
    seed: int, degree: str, has_list: bool
):
    live_through(seed, degree, days=0.25, has_list=has_list)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_service_that_stays_down_sees_at_most_four_attempts_a_minute(seed: int):
    world = World(seed, evil=0.0)
    world.run(600)
    world.evil = 1.0
    world.subscribed_at.clear()
    world.run(4 * 3600)

    attempts = list(world.subscribed_at)
    assert all(later - earlier > 600 for earlier, later in zip(attempts, attempts[40:], strict=False))
    assert len(attempts) > 60


@pytest.mark.parametrize("seed", SEEDS)
def test_a_calm_day_costs_two_channels_and_a_catch_up_every_ten_minutes(seed: int):
    world = World(seed, evil=0.0)
    world.run(DAY)

    assert world.counts["Subscribe"] <= 3
    assert world.counts["CatchUp"] <= 2 + 24 * 6
    assert world.counts["Ping"] == world.counts["Subscribe"]
