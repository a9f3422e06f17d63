"""The file of a report is complete or not there, and takes the place of an earlier report only."""

from pathlib import Path

import pytest

from coaching_async.report import Report, ReportRefused

from .made_up import figures


@pytest.fixture
def report() -> Report:
    return Report("Support", figures(), {}, 0, ())


def test_a_report_is_written_and_replaces_an_earlier_one(report: Report, tmp_path: Path):
    path = tmp_path / "report.html"

    report.write(path)
    report.write(path)

    assert path.read_text().startswith("<!doctype html>")
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]


def test_an_empty_file_is_replaced_and_another_one_only_if_asked(report: Report, tmp_path: Path):
    path = tmp_path / "report.html"
    path.touch()
    report.write(path)
    path.write_text("<h1>Mine</h1>")

    with pytest.raises(ReportRefused, match="is not a report"):
        report.write(path)

    assert path.read_text() == "<h1>Mine</h1>"
    report.write(path, replace=True)
    assert "Coaching report" in path.read_text()


def test_a_folder_is_never_replaced(report: Report, tmp_path: Path):
    with pytest.raises(ReportRefused, match="choose another name"):
        report.write(tmp_path, replace=True)
    with pytest.raises(FileNotFoundError):
        report.write(tmp_path / "missing" / "report.html")


def test_a_failure_leaves_what_was_there(report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "report.html"
    report.write(path)
    before = path.read_bytes()

    def fails(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", fails)
    with pytest.raises(OSError, match="no space"):
        Report("Other", figures(), {}, 0, ()).write(path)

    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]


def test_the_names_of_people_are_not_in_the_repr_of_a_report():
    assert "Ada" not in repr(Report("Support", figures(), {"p1": "Ada"}, 0, ()))
