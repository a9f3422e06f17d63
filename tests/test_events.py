from coaching_async import Stats
from coaching_async._events import (
    CallFinished,
    CallStarted,
    Counters,
    RequestAnswered,
    RequestFailed,
    RequestSent,
    RetryScheduled,
    TokenIssued,
)


def test_counters_count_what_happened():
    counters = Counters()
    assert counters.snapshot() == Stats()

    for event in (
        CallStarted("appointments.get"),
        RequestSent("oauth.token", 1),
        RequestAnswered("oauth.token", 1, 200, 0.1, None),
        TokenIssued(60.0),
        RequestSent("appointments.get", 1),
        RequestAnswered("appointments.get", 1, 429, 0.1, "c"),
        RetryScheduled("appointments.get", 1, 3.0, "429"),
        RequestSent("appointments.get", 2),
        RequestFailed("appointments.get", 2, "ReadError", 0.1),
        CallFinished("appointments.get", 2, 0.2, "TransportError"),
    ):
        counters(event)

    assert counters.snapshot() == Stats(calls=1, requests=2, retries=1, throttled=1, tokens=1, failed_calls=1)
