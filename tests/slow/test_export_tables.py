"""Exported tables of any size take the same memory, and LibreOffice opens them with the right values.

`programs.sh` installs LibreOffice; without it those tests are skipped.
"""

import os
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio
import openpyxl
import pytest

from coaching_async.export import FORMS, export
from tests.support.doubles import Service, answer, page

LIBREOFFICE = shutil.which("soffice") or shutil.which("libreoffice")

EXPORT = """
import sys
from pathlib import Path
import anyio
from coaching_async.export import export
from tests.support.doubles import Service, answer

total, path = int(sys.argv[1]), sys.argv[2]
text = "what was said " * 60

def serve(request):
    number, size = int(request.url.params["pageNumber"]), int(request.url.params["pageSize"])
    ids = range((number - 1) * size, min(number * size, total))
    entities = [{"id": f"appointment-{i:032}", "name": f"name {i}", "description": f"{i} {text}"} for i in ids]
    return answer({"entities": entities, "pageNumber": number, "pageSize": size, "pageCount": -(-total // size), "total": total})

async def main():
    service = Service(serve)
    async with service.client() as client:
        await export(client, "u", path, on_progress=lambda _: service.requests.clear())

anyio.run(main)
print(next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")))
"""


def peak(total: int, path: Path) -> int:
    """Return the most memory that an export takes, in MiB."""
    command = [sys.executable, "-c", EXPORT, str(total), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    return int(done.stdout) // 1024


@pytest.mark.parametrize("form", FORMS)
def test_twenty_thousand_appointments_take_about_the_memory_of_two_thousand(form: str, tmp_path: Path, show: Any):
    small, large = (peak(total, tmp_path / f"{total}.{form}") for total in (2_000, 20_000))

    show(f"{form}: {small} MiB for 2,000 appointments, {large} MiB for 20,000")
    assert large - small < 25  # the ids, which tell what was written, take 150 bytes each


TEXTS = [
    "Gespräch mit 王小明",
    "=1+1",
    "+1",
    "-2",
    "@SUM(1)",
    "one\ntwo",
    'say "no"; =2',
    "https://example.com",
    "0012",
    "\U0001f600",
]


def exported(path: Path) -> None:
    entities = [{"id": f"id-{i}", "name": text, "dateStart": "2026-11-02T08:00:00Z"} for i, text in enumerate(TEXTS)]

    async def work() -> None:
        async with Service(lambda _: answer({**page(total=len(TEXTS)), "entities": entities})).client() as client:
            await export(client, "u", path)

    anyio.run(work)


@pytest.mark.skipif(LIBREOFFICE is None, reason="LibreOffice is not installed: tests/slow/programs.sh")
@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_libreoffice_opens_the_file_with_the_right_values(form: str, tmp_path: Path):
    exported(tmp_path / f"x.{form}")

    # What its dialog for CSV preselects, which is not shown here: commas, quotes, and the UTF-8 that the mark tells.
    dialog = ["--infilter=CSV:44,34,76,1"] if form == "csv" else []
    command = [LIBREOFFICE or "", "--headless", *dialog, "--convert-to", "ods", "--outdir", "opened", f"x.{form}"]
    profile = os.environ | {"HOME": str(tmp_path)}
    subprocess.run(command, check=True, cwd=tmp_path, env=profile, capture_output=True)
    subprocess.run(
        [LIBREOFFICE or "", "--headless", "--convert-to", "xlsx", "--outdir", "read", "opened/x.ods"],
        check=True,
        cwd=tmp_path,
        env=profile,
        capture_output=True,
    )

    header, *rows = openpyxl.load_workbook(tmp_path / "read" / "x.xlsx").worksheets[0].iter_rows()
    names = [cell.value for cell in header]
    cells = [row[names.index("name")] for row in rows]
    assert not [cell for cell in cells if cell.data_type == "f"], "a text runs as a formula"
    found = [str(cell.value) for cell in cells]
    expected = [text if form == "xlsx" else as_text(text) for text in TEXTS]
    if form == "csv":  # a spreadsheet takes digits in CSV for a number
        expected[TEXTS.index("0012")] = "12"
    assert found == expected
    starts = [row[names.index("date_start")].value for row in rows]
    assert set(starts) == {datetime(2026, 11, 2, 8)}  # noqa: DTZ001 # spreadsheets have no zones


def as_text(text: str) -> str:
    return {"=1+1": "'=1+1", "+1": "'+1", "-2": "'-2", "@SUM(1)": "'@SUM(1)", 'say "no"; =2': 'say "no"; \'=2'}.get(
        text, text
    )
