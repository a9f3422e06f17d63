"""Which `connectUri` is opened: one that leads to the service itself."""

import pickle

import pytest

from coaching_async import DecodeError
from coaching_async._channels.socket.connect_uri import check_connect_uri, http_origin

SECRET = "streaming-5-canary"

CLOUD = "https://api.mypurecloud.de"
REGION = "https://api.usw2.pure.cloud"
SANDBOX = "http://127.0.0.1:8080"
GATEWAY = "https://genesys.example.com/api-gateway"


@pytest.mark.parametrize(
    "uri, api",
    [
        ("wss://streaming.mypurecloud.de/channels/x", CLOUD),
        ("wss://STREAMING.mypurecloud.de/channels/x", CLOUD),
        ("wss://a.b.mypurecloud.de/channels/x?y=z", CLOUD),
        ("wss://streaming.mypurecloud.de:8443/channels/x", CLOUD),
        ("wss://api.mypurecloud.de/channels/x", CLOUD),
        ("wss://streaming.usw2.pure.cloud/channels/x", REGION),
        ("ws://127.0.0.1:8080/channels/x", SANDBOX),
        ("wss://genesys.example.com/channels/x", GATEWAY),
        ("wss://genesys.example.com:443/channels/x", GATEWAY),
        ("wss://streaming.mypurecloud.de/channels/x", GATEWAY),
        ("wss://streaming.mypurecloud.ie/channels/x", "http://localhost:9000"),
        ("ws://streaming.genesys.test/channels/x", "http://api.genesys.test"),
        ("ws://[::1]:8080/channels/x", "http://[::1]:8080"),
    ],
)
def test_a_host_of_the_service_is_allowed(uri: str, api: str):
    check_connect_uri(uri, api)


@pytest.mark.parametrize(
    "uri, api",
    [
        ("wss://streaming.mypurecloud.ie/channels/x", CLOUD),
        ("wss://mypurecloud.de/channels/x", CLOUD),
        ("wss://evil-mypurecloud.de/channels/x", CLOUD),
        ("wss://streaming.mypurecloud.de.evil.example/channels/x", CLOUD),
        ("wss://.mypurecloud.de/channels/x", CLOUD),
        ("wss://streaming.mypurecloud.de./channels/x", CLOUD),
        ("ws://streaming.mypurecloud.de/channels/x", CLOUD),
        ("https://streaming.mypurecloud.de/channels/x", CLOUD),
        ("wss://user@streaming.mypurecloud.de/channels/x", CLOUD),
        ("wss://evil.example\\@streaming.mypurecloud.de/channels/x", CLOUD),
        ("wss://evil.example\\.mypurecloud.de/channels/x", CLOUD),
        ("wss://evil.example#.mypurecloud.de/channels/x", CLOUD),
        ("wss://evil.example%2f.mypurecloud.de/channels/x", CLOUD),
        ("wss://evil.example;.mypurecloud.de/channels/x", CLOUD),
        ("wss://streaming.mypurecloud.de:port/channels/x", CLOUD),
        ("wss://streaming.mypurecloud.de:99999/channels/x", CLOUD),
        ("wss://streaming.mypurecloud.de/channels/x\r\nHost: evil", CLOUD),
        (" wss://streaming.mypurecloud.de/channels/x", CLOUD),
        ("wss://streaming.mypurecloud.de/channels/ä", CLOUD),
        ("wss://streaming.mypurecloud.de/channels/x#fragment", CLOUD),
        ("wss://[::1/channels/x", CLOUD),
        ("wss:///channels/x", CLOUD),
        ("//streaming.mypurecloud.de/channels/x", CLOUD),
        ("", CLOUD),
        ("ws://127.0.0.1:8081/channels/x", SANDBOX),
        ("ws://localhost:8080/channels/x", SANDBOX),
        ("ws://evil.example:8080/channels/x", SANDBOX),
        ("wss://evil.example.com/channels/x", GATEWAY),
        ("wss://other.example.com/channels/x", GATEWAY),
        ("ws://genesys.example.com/channels/x", GATEWAY),
        ("wss://anything.internal/channels/x", "https://api.internal"),
    ],
)
def test_any_other_is_refused_and_not_quoted(uri: str, api: str):
    uri = f"{uri}/{SECRET}"
    with pytest.raises(DecodeError, match="the service names another host") as raised:
        check_connect_uri(uri, api)

    error = raised.value
    assert error.__cause__ is error.__context__ is None
    assert SECRET.encode() not in pickle.dumps(error)
    traceback = raised.tb.tb_next
    while traceback is not None:
        assert SECRET not in repr(traceback.tb_frame.f_locals)
        traceback = traceback.tb_next


@pytest.mark.parametrize(
    "uri, origin",
    [
        ("wss://streaming.mypurecloud.de/channels/x", "https://streaming.mypurecloud.de"),
        ("ws://127.0.0.1:8080/channels/x?y", "http://127.0.0.1:8080"),
        ("ws://[::1]:8080/channels/x", "http://[::1]:8080"),
    ],
)
def test_the_origin_of_a_uri_has_no_secret(uri: str, origin: str):
    assert http_origin(uri) == origin
