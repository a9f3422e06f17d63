"""How long a stream has heard nothing."""

import anyio
import pytest

from coaching_async import AccessToken, CoachingClient
from coaching_async.sandbox import Sandbox
from tests.support.fault_server import HANG

pytestmark = [pytest.mark.anyio, pytest.mark.real_time, pytest.mark.usefixtures("nothing_is_left")]


async def test_silence_grows_until_anything_is_heard_such_as_a_heartbeat():
    with Sandbox(appointments=1, users=1, heartbeat=0.3) as sandbox:
        user_id = sandbox.state.user_ids[0]
        token = AccessToken(sandbox.user_token(user_id))
        async with CoachingClient(token, base_url=sandbox.base_url) as client:
            stream = client.topics.subscribe(f"v2.users.{user_id}.presence")
            assert stream.silence is None
            async with stream:
                with anyio.fail_after(HANG):
                    while stream.silence is None:  # noqa: ASYNC110 # until the first ping is answered
                        await anyio.sleep(0.001)
                    longest = 0.0
                    while (silence := stream.silence) >= longest:
                        longest = silence
                        await anyio.sleep(0.001)
            assert longest > 0
