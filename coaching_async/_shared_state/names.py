"""The names of shared texts: the same in each process of an OAuth client, and telling nothing about it."""

from hashlib import sha256

__all__ = ["name_of"]


def name_of(login_url: str, credential: str, subject: str) -> str:
    """Return the name of the text about `subject`, for an OAuth client's id or an access token at a login host.

    It is a digest, because a name may be logged by the place that keeps the text.
    """
    digest = sha256(f"{login_url.rstrip('/').lower()}\n{credential}".encode()).hexdigest()[:32]
    return f"{digest}/{subject}"
