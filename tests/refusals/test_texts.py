"""What is given in place of an id, an interval or a token is answered with what to give."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from coaching_async import (
    AccessToken,
    ClientCredentials,
    CoachingClient,
    ConfigurationError,
    Interval,
    RateLimit,
    Unauthorized,
    User,
)
from coaching_async.testing import build
from tests.support.doubles import Service, answer

CLIENT = CoachingClient(AccessToken("t"), region="eu-west-1")
USER: Any = build(User)
LIST: Callable[..., object] = CLIENT.appointments.list
ONE_OF_DAYS = r'Interval\.parse\("2026-11-01/2026-11-30", tz=\.\.\.\) makes one of days'


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda: LIST(5), "an id is a str or a UUID, and several are a list of them, not int$"),
        (lambda: LIST(None), "and several are a list of them, not None$"),
        (lambda: LIST(USER), "a list of them, not User: give its `id`$"),
        (lambda: LIST([USER]), "a value of type User is no id: .*, such as the `id` of this object$"),
        (lambda: LIST(LIST("u")), "a Listing is not read with a plain `for`"),
        (lambda: LIST("ada@x.example"), r"^an e-mail address is no id: client\.users\.search\(email=\.\.\.\) finds its user"),
        (lambda: LIST("u", facilitator_ids=["f", "ada@x.example"]), "^an e-mail address is no id"),
        (lambda: CLIENT.notifications.listen("ada@x.example"), "^an e-mail address is no id"),
        (lambda: LIST("u", facilitator_ids=5), "an id is a str or a UUID"),
        (lambda: LIST("u", statuses=5), "a value is a str, and several are a list of them, not int$"),
        (lambda: LIST("u", interval="2026-11-01/2026-11-30"), f"an Interval or two datetimes, not str: {ONE_OF_DAYS}"),
        (lambda: LIST("u", interval=date(2026, 11, 1)), f"an Interval or two datetimes, not date: {ONE_OF_DAYS}"),
        (lambda: LIST("u", interval=(date(2026, 11, 1), date(2026, 12, 1))), f"a datetime is needed, not date: {ONE_OF_DAYS}"),
        (lambda: Interval(date(2026, 11, 1), date(2026, 12, 1)), f"a datetime is needed, not date: {ONE_OF_DAYS}"),  # type: ignore[arg-type]
    ],
)  # fmt: skip
def test_a_wrong_argument_is_answered_with_what_to_give(call: Callable[[], object], says: str):
    with pytest.raises((TypeError, ValueError), match=says) as caught:
        call()

    assert USER.id not in str(caught.value)
    assert "ada" not in str(caught.value)
    assert "object is not iterable" not in str(caught.value)


@pytest.mark.anyio
@pytest.mark.parametrize("is_view", [False, True])
async def test_an_access_token_that_has_expired_is_said_not_to_be_renewed(is_view: bool):
    expired = answer({"code": "bad.credentials", "message": "m", "status": 401}, 401)
    async with Service([expired] * 2).client() as client:
        asked = client.with_auth(AccessToken("other")) if is_view else client

        with pytest.raises(
            Unauthorized, match=r"an AccessToken is not renewed: make a client, or a view by with_auth\(\)"
        ):
            await asked.appointments.get("a")


@pytest.mark.anyio
async def test_other_credentials_are_not_said_to_be_an_access_token():
    token = answer({"access_token": "t", "expires_in": 100})
    expired = answer({"code": "bad.credentials", "message": "m", "status": 401}, 401)
    async with Service([token, expired, token, expired]).client() as client:
        asked = client.with_auth(ClientCredentials("i", "s"))

        with pytest.raises(Unauthorized) as caught:
            await asked.appointments.get("a")
    assert "AccessToken" not in str(caught.value)


TOKEN = {"GENESYSCLOUD_ACCESS_TOKEN": "t"}


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5", "300/min"])
def test_a_rate_limit_of_the_environment_that_is_none_is_refused(value: str):
    with pytest.raises(ConfigurationError, match="GENESYSCLOUD_RATE_LIMIT is a whole number of requests a minute"):
        CoachingClient.from_env({**TOKEN, "GENESYSCLOUD_RATE_LIMIT": value})


def test_the_rate_limit_of_the_environment_is_one_a_minute_and_an_argument_takes_precedence():
    def seconds(**options: Any) -> float:
        client = CoachingClient.from_env({**TOKEN, "GENESYSCLOUD_RATE_LIMIT": " 1200 \n"}, **options)
        return client.appointments.list("u").plan(120_000).seconds

    assert seconds() == 60
    assert seconds(rate_limit=RateLimit(600)) == 120
