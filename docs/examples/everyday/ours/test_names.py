"""Test a function that lists appointments, without a network.

It needs `pip install 'coaching_async[testing]'`, and runs with `pytest test_names.py`.
"""

import pytest

from coaching_async.testing import fails

pytest_plugins = ["coaching_async.testing"]


async def names(client, user_ids):  # the function under test
    """Return the names of the appointments of users."""
    return [each.name async for each in client.appointments.list(user_ids)]


@pytest.mark.anyio
async def test_all_names_are_found_though_the_service_fails_once(coaching_client, coaching_sandbox):
    """Tests pages, tokens and retries, too."""
    fails(coaching_sandbox, "appointments.list", 503, after=1)
    assert len(await names(coaching_client, coaching_sandbox.state.user_ids)) == 200
