"""What `listen` and `subscribe` refuse before anything is sent."""

from typing import Any

import httpx
import pytest

from coaching_async import AccessToken, CoachingClient, ConfigurationError

CLIENT = CoachingClient(AccessToken("t"))


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"user_ids": []}, ValueError, "no topic"),
        ({"user_ids": ["u"] + [f"u{number}" for number in range(1000)]}, ValueError, "1,000"),
        ({"user_ids": " u"}, ValueError, "no id"),
        ({"user_ids": "u" * 200}, ValueError, "200 characters"),
        ({"user_ids": 3}, TypeError, "a str or a UUID"),
        ({"start": "yesterday"}, ValueError, "start is"),
        ({"start": "all", "cursor": "notifications-1.."}, ValueError, "exclude"),
        ({"cursor": "p7"}, ValueError, "cursor is not"),
        ({"buffer": 0}, ValueError, "buffer"),
        ({"buffer": True}, ValueError, "buffer"),
        ({"partial": 1}, TypeError, "partial"),
        ({"on_gap": 3}, TypeError, "on_gap"),
    ],
)
def test_an_invalid_argument_of_listen_is_refused(options: dict[str, Any], error: type[Exception], words: str):
    with pytest.raises(error, match=words):
        CLIENT.notifications.listen(**options)


@pytest.mark.parametrize(
    ("topics", "error", "words"),
    [
        ([], ValueError, "no topic"),
        (["t" * 201], ValueError, "200 characters"),
        ([f"t{number}" for number in range(1001)], ValueError, "1,000"),
        (["channel.metadata"], ValueError, "without a subscription"),
        (["v2.system.socket_closing"], ValueError, "without a subscription"),
        (["t\n"], ValueError, "line end"),
        ([""], ValueError, "empty"),
        ([3], TypeError, "int"),
    ],
)
def test_an_invalid_topic_is_refused(topics: list[Any], error: type[Exception], words: str):
    with pytest.raises(error, match=words):
        CLIENT.topics.subscribe(*topics)


def test_a_socket_client_that_is_no_http_client_is_refused():
    with pytest.raises(ConfigurationError, match="socket_client is an"):
        CoachingClient(AccessToken("t"), socket_client=httpx.Client())  # type: ignore[arg-type]
