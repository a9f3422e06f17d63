"""Pages of full appointments, each with ids, names and times of its own, so that caches of texts give no advantage."""

import functools
import json
import re
from pathlib import Path

__all__ = ["PAGE_SIZE", "appointment", "page"]

EXAMPLE = Path(__file__).parent.parent / "tests" / "data" / "examples" / "appointment.json"
PAGE_SIZE = 100

# The numbers are inserted quickly, because the server builds pages during a measurement.
NUMBER, MILLISECONDS = b"@@@@@@@@", b"###"


@functools.cache
def entity(index: int) -> bytes:
    """Return an appointment with every field, and a placeholder for the number of the page."""
    example = json.loads(EXAMPLE.read_text())
    # Without optional fields of references: the goals were set with pages of 132 KB.
    schedule = example["wfmSchedule"]
    for reference in (example["createdBy"], example["modifiedBy"], schedule, schedule["businessUnit"]):
        del reference["selfUri"]
    del example["attendees"][1:]
    example["name"] += f" {index}"
    text = json.dumps(example, separators=(",", ":"))
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f-]{19})[0-9a-f]{8}", rf"{NUMBER.decode()}\g<1>{index:08x}", text)
    clock = f"{index // 60 % 60:02}:{index % 60:02}"
    return re.sub(r":\d\d:\d\d\.\d{3}Z", f":{clock}.{MILLISECONDS.decode()}Z", text).encode()


@functools.cache
def entities(size: int) -> bytes:
    """Return the JSON of `size` appointments with placeholders, separated by commas."""
    return b",".join(entity(index) for index in range(size))


def numbered(text: bytes, number: int) -> bytes:
    """Return the text with the number of a page in its placeholders."""
    return text.replace(NUMBER, b"%08x" % number).replace(MILLISECONDS, b"%03d" % (number % 1000))


def page(number: int, size: int = PAGE_SIZE, total: int = PAGE_SIZE) -> bytes:
    """Return the JSON of one page of a list of `total` appointments."""
    pages = -(-total // size)
    uris = {
        name: f"/api/v2/coaching/appointments?pageSize={size}&pageNumber={of}"
        for name, of in (("selfUri", number), ("firstUri", 1), ("lastUri", pages))
    }
    counts = {"pageSize": size, "pageNumber": number, "total": total, "pageCount": pages}
    rest = json.dumps(counts | uris, separators=(",", ":")).encode()
    return b'{"entities":[' + numbered(entities(size), number) + b"]," + rest[1:]


def appointment(number: int) -> bytes:
    """Return the JSON of one appointment."""
    return numbered(entity(0), number)
