"""Reports of the coaching of people, as an HTML page."""

from ._fetching import check_report, report
from ._figures import Counts, FacilitatorFigures, Figures, Outcome, PersonFigures, Week
from ._file import ReportRefused, check_target
from ._report import Report

__all__ = [
    "Counts",
    "FacilitatorFigures",
    "Figures",
    "Outcome",
    "PersonFigures",
    "Report",
    "ReportRefused",
    "Week",
    "check_report",
    "check_target",
    "report",
]

# Users see and pickle the names under which they import them.
for _public in (Counts, FacilitatorFigures, Figures, PersonFigures, Report, ReportRefused, Week):
    _public.__module__ = __name__
for _function in (check_report, check_target, report):
    _function.__module__ = __name__
