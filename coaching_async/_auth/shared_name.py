"""Which credentials share their state with other processes, and under which names."""

from typing import Literal

from coaching_async._shared_state.names import name_of

from .grants import AccessToken, ClientCredentials, Grant
from .token_source import TokenSource

__all__ = ["shared_name"]


def shared_name(auth: Grant | TokenSource, login_url: str, subject: Literal["token", "rate_limit"]) -> str | None:
    """Return the name of the text that the processes with these credentials share; None if they share none.

    Client credentials share their token and its rate limit, an access token its rate limit. The secret is a part of the name,
    so that nobody finds a token who could not have got it from the login host. Other grants have a token of their own in each
    process, or a store, and so have a rate limit of their own, too.
    """
    match auth:
        case ClientCredentials():
            return name_of(login_url, f"{auth.client_id}\n{auth.client_secret.reveal()}", subject)
        case AccessToken() if subject == "rate_limit":
            return name_of(login_url, auth.secret.reveal(), subject)
        case _:
            return None
