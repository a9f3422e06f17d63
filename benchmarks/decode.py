"""Decoding a page of 100 full appointments: from its bytes to objects with dates, times and enums.

python benchmarks/decode.py [--quick]
"""

import asyncio
import json
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import attrs
import msgspec
import pydantic
from cattrs.gen import make_dict_structure_fn, override
from cattrs.preconf.json import make_converter
from pydantic.alias_generators import to_camel

from benchmarks import handwritten
from benchmarks.clocks import clocks
from benchmarks.data import page
from benchmarks.harness import Figure, Goal, Measures, alternate, main
from benchmarks.processes import vendor
from coaching_async import Appointment, Page, from_dict
from coaching_async._serialization import json as _json
from coaching_async._serialization.codec import decode

__all__ = ["measure"]

CPU = "CPU ms a page"


def measure(quick: bool) -> Figure:
    """Take the figure."""
    rounds, pages = (5, 5) if quick else (25, 20)
    content = page(1)

    async def ours() -> None:
        for _ in range(pages):
            decode(Page[Appointment], content)

    def by(read: Callable[[bytes], object]) -> Callable[[], Measures]:
        def run() -> Measures:
            with clocks() as taken:
                for _ in range(pages):
                    read(content)
            return {CPU: taken.cpu / pages * 1000}

        return run

    with asyncio.Runner() as runner, vendor() as work, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "page.json"
        path.write_bytes(content)

        def in_a_loop(orjson: Any) -> Measures:
            _json.orjson = orjson
            with clocks() as taken:
                runner.run(ours())
            return {CPU: taken.cpu / pages * 1000}

        rows = alternate(
            {
                "ours": partial(in_a_loop, None),
                "ours with orjson": partial(in_a_loop, _json.orjson),
                "ours, from_dict": by(lambda text: from_dict(Page[Appointment], json.loads(text))),
                "official SDK": lambda: {CPU: work("decode", path=str(path), times=1)["cpu"] * 1000},
                "hand-written attrs": by(lambda text: handwritten.page(json.loads(text))),
                "cattrs as it comes": by(by_cattrs()),
                "pydantic": by(by_pydantic()),
                "msgspec": by(by_msgspec()),
            },
            rounds,
        )
    about = f"A page of 100 appointments with every field, {len(content) // 1000} KB, from bytes to objects."
    figure = Figure("decode", "Decode", about, (CPU,), tuple(rows))
    return figure.with_goals(
        Goal("with orjson: times as fast as the official SDK", figure.ratio("official SDK", "ours with orjson"), 20),
        Goal("of the time of hand-written attrs", figure.ratio("ours", "hand-written attrs"), 1.3, at_least=False),
    )


def by_cattrs() -> Callable[[bytes], object]:
    """Return a function that decodes with cattrs' JSON converter, configured for names in camelCase."""
    converter = make_converter()

    def structure(cls: Any) -> Callable[[Any, Any], Any]:
        names: Any = {field.name: override(rename=to_camel(field.name)) for field in attrs.fields(cls)}
        return make_dict_structure_fn(cls, converter, **names)

    converter.register_structure_hook_factory(attrs.has, structure)
    return lambda text: converter.loads(text, handwritten.AppointmentPage)


def by_pydantic() -> Callable[[bytes], object]:
    """Return a function that decodes into pydantic models with the same fields."""
    config = pydantic.ConfigDict(alias_generator=to_camel, frozen=True)

    def model(cls: Any) -> Any:
        fields: dict[str, Any] = {
            field.name: (replaced(field.type, model), ... if field.default is attrs.NOTHING else field.default)
            for field in attrs.fields(cls)
        }
        return pydantic.create_model(cls.__name__, __config__=config, **fields)

    read: Callable[[bytes], object] = model(handwritten.AppointmentPage).model_validate_json
    return read


def by_msgspec() -> Callable[[bytes], object]:
    """Return a function that decodes into msgspec structs with the same fields."""

    def struct(cls: Any) -> Any:
        fields = [
            (field.name, replaced(field.type, struct), *(() if field.default is attrs.NOTHING else (field.default,)))
            for field in attrs.fields(cls)
        ]
        return msgspec.defstruct(cls.__name__, fields, rename="camel", frozen=True)

    return msgspec.json.Decoder(struct(handwritten.AppointmentPage)).decode


def replaced(kind: Any, make: Callable[[Any], Any]) -> Any:
    """Return a type with each attrs class in it replaced by `make` of it."""
    if attrs.has(kind):
        return make(kind)
    inner = tuple(replaced(arg, make) for arg in get_args(kind))
    if not inner:
        return kind
    return Union[inner] if get_origin(kind) is UnionType else get_origin(kind)[inner]  # noqa: UP007 # built at run time


if __name__ == "__main__":
    main(measure)
