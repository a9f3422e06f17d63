"""The search for users: its criteria, and its pages, of which any may be short."""

import re
from typing import Any, Final

import attrs

from coaching_async._api.client import ApiClient
from coaching_async._exceptions import BadRequest, ResponseError
from coaching_async._pagination.cursor_pager import CursorPager
from coaching_async._pagination.listing import Listing
from coaching_async._pagination.pages import ServiceCursor, last_page_of, set_next_cursor
from coaching_async._refusals.arguments import checked_instance
from coaching_async._serialization.rows import PartialPage, UnreadableRow
from coaching_async.models.coercion import OneOrMany, has_blank_end, to_members
from coaching_async.models.common import Page
from coaching_async.models.users import User, UserState, UserStateLike

__all__ = ["UserSearch", "checked_text", "explain_limit"]

MAX_PAGE_SIZE: Final = 100
MAX_CRITERIA: Final = 10
MAX_CHARACTERS: Final = 300
"""The limits of the service for a search."""

MAX_USERS: Final = 10_000
"""Users that a list or a search of the service has."""


LETTERS: Final = re.compile(r"\w+")


def checked_text(what: str, text: str) -> str:
    """Return a text to search for. It is personal data, so no error quotes it."""
    checked_instance(what, text, str)
    if not text or has_blank_end(text):
        raise ValueError(f"{what} is empty, or begins or ends with a blank or an invisible character")
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"{what} has more than {MAX_CHARACTERS} characters, which no search takes")
    return text


@attrs.frozen(repr=False)
class UserSearch:
    """What to search for."""

    email: str | None
    name: str | None
    states: OneOrMany[UserStateLike]

    def criteria(self) -> list[dict[str, Any]]:
        """Return the criteria, all of which a user has to meet.

        Raises `ValueError` if there are none, or too many.
        """
        found: list[dict[str, Any]] = []
        if self.email is not None:
            address = checked_text("email", self.email)
            found.append(_exact("email", address, address.lower()))  # whether EXACT regards case is not documented
        if self.name is not None:
            words = checked_text("name", self.name).split()
            found += [{"type": _type_for(word), "fields": ["name"], "value": word} for word in words]
        if not found:
            raise ValueError("give an email or a name to search for; users.list has all users")
        states = to_members(UserState, self.states)
        if not states:
            raise ValueError("states is empty: name at least one")
        found.append(_exact("state", *states))  # without one the service may search active users only
        if len(found) > MAX_CRITERIA:
            raise ValueError(f"name has more words than a search takes: give up to {MAX_CRITERIA - 2}")
        return found

    def listing(self, api: ApiClient, page_size: int) -> Listing[User]:
        """Return the users as a lazy list.

        A page that is empty or short does not end it, nor tell that rows have moved, so the number of the next page is read as
        a cursor.
        """
        if isinstance(page_size, int) and page_size > MAX_PAGE_SIZE:  # pyright: ignore[reportUnnecessaryIsInstance] # no type checker
            raise ValueError(f"page_size is at most {MAX_PAGE_SIZE} in a search")
        # The users of one address fit on a page. Those with a name may be many, and in no order pages would overlap.
        order = {} if self.name is None else {"sort_by": "name", "sort_order": "ASC"}
        question = {**order, "query": self.criteria()}
        url = api.url("users", "search")

        async def fetch(number: int, size: int, _: ServiceCursor | None = None) -> Page[User]:
            body = {"page_size": size, "page_number": number, **question}
            try:
                page = await api.get_page(Page[User], "users.search", url, number, body)
            except ResponseError as error:
                error.args = (self._redacted(str(error)),)
                if isinstance(error, BadRequest):
                    explain_limit(error, number, size)
                raise
            is_last = number >= (last_page_of(page, page.page_size or size) or 0)
            return set_next_cursor(self._select(page), None if is_last else ("pageNumber", str(number + 1)))

        return Listing(
            (fetch,),
            page_size,
            description=f"users.search, {len(question['query'])} criteria",
            new_pager=CursorPager,
            rate_limit=api.identity.rate_limit,
        )

    def _select(self, page: Page[User]) -> Page[User]:
        """Return the page with the users who have the address."""
        if self.email is None:
            return page
        wanted = self.email.casefold()
        users = tuple(user for user in page.entities if (user.email or "").casefold() == wanted)
        if not isinstance(page, PartialPage):
            return attrs.evolve(page, entities=users)
        rows = tuple(row for row in page.rows if row in users or isinstance(row, UnreadableRow))
        return attrs.evolve(page, entities=users, rows=rows)

    def _redacted(self, text: str) -> str:
        """Return a text of the service without the name that was searched. Addresses are redacted in every error."""
        words = "|".join(map(re.escape, (self.name or "").split()))
        return re.sub(rf"(?<!\w)(?:{words})(?!\w)", "…", text, flags=re.IGNORECASE) if words else text


def _type_for(word: str) -> str:
    """Return the type of the criterion for a word of a name.

    TERM compares whole words of the index, and where it divides O'Neill, Anne-Marie, or letters with combining marks, is not
    documented.
    """
    return "TERM" if LETTERS.fullmatch(word) else "CONTAINS"


def _exact(field: str, *values: str) -> dict[str, Any]:
    return {"type": "EXACT", "fields": [field], "values": list(dict.fromkeys(values))}


def explain_limit(error: BadRequest, number: int, size: int) -> BadRequest:
    """Return the error of a page, which says so if the page lies beyond the users that the service lists."""
    if number * size > MAX_USERS:
        error.args = (f"{error}: the service lists up to {MAX_USERS:,} users at once, so narrow the list down",)
    return error
