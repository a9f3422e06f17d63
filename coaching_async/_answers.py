"""What an answer means: a value, or an error that says why there is none."""

from collections.abc import Awaitable, Callable, Collection
from typing import Final, TypeVar, cast

from ._errors import DecodeError, OutcomeUnknown, ResponseError
from ._exchange import Call, Response
from ._hints import hint, look_first, showable
from ._json import Json, parse, parse_json, parse_object
from ._wire import decode, from_dict
from .models import Page
from .models_errors import ErrorDetail

__all__ = ["OK", "any_json", "decoded", "response_error", "that_page"]

T = TypeVar("T")

OK: Final = frozenset({200, 201})


async def decoded(
    read: Callable[[bytes], Awaitable[T]], response: Response, call: Call, expected: Collection[int] = OK
) -> T:
    if not 200 <= response.status < 300:
        raise response_error(response, call)
    problem = f"status {response.status} is not among the answers of this operation"
    if response.flaw is not None:
        problem = response.flaw.text
    elif response.status in expected:
        try:
            return await read(response.content)
        except ValueError as error:
            problem = str(error)
    text = f"{call.operation}: the answer is not what the API promises: {problem}{_correlation(response)}"
    if call.processed != "no":
        raise OutcomeUnknown(f"{text}. {look_first(call.operation)}", processed=call.processed)
    failure = DecodeError(text)
    failure.status, failure.correlation_id = response.status, response.correlation_id
    raise failure


async def any_json(content: bytes) -> Json:
    return await parse(content, lambda text: cast("Json", parse_json(text)))


def that_page(cls: type[Page[T]], number: int) -> Callable[[bytes], Awaitable[Page[T]]]:
    """Reads the page of that number, and refuses any other."""

    async def read(content: bytes) -> Page[T]:
        page = await decode(cls, content)
        if page.page_number is not None and page.page_number != number:
            raise ValueError(f"page {number} was asked for, and page {page.page_number} came")
        return page

    return read


def response_error(response: Response, call: Call) -> ResponseError:
    body = parse_object(response.content)  # a gateway sends a page, or nothing
    code, message = _text(body, "code"), _text(body, "message")
    parts = [f"{call.operation}: {response.status}"]
    if code:
        parts.append(showable(code))
    if message:
        parts.append(f"({showable(message)})")
    advice = hint(call.operation, response.status, code)
    text = f"{' '.join(parts)}{f': {advice}' if advice else ''}{_correlation(response)}"
    error = ResponseError.of_status(response.status)(text)
    error.status, error.code, error.message = response.status, code, message
    error.correlation_id = response.correlation_id
    error.retry_after = response.retry_after
    error.details = _details(body.get("details"))
    return error


def _details(value: object) -> tuple[ErrorDetail, ...]:
    try:
        return tuple(from_dict(ErrorDetail, detail) for detail in cast("list[dict[str, object]]", value or ()))
    except (TypeError, ValueError):
        return ()  # an error about an error helps nobody


def _correlation(response: Response) -> str:
    return f" (correlation id {response.correlation_id})" if response.correlation_id else ""


def _text(body: dict[str, object], name: str) -> str | None:
    value = body.get(name)
    return value if isinstance(value, str) else None
