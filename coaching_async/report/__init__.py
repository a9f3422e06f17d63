"""Reports of the coaching of people, as an HTML page."""

from ._figures import Counts, FacilitatorFigures, Figures, PersonFigures, Week
from ._file import ReportRefused, check_target
from ._report import Report

__all__ = [
    "Counts",
    "FacilitatorFigures",
    "Figures",
    "PersonFigures",
    "Report",
    "ReportRefused",
    "Week",
    "check_target",
]

# Users see and pickle the names under which they import them.
for _public in (Counts, FacilitatorFigures, Figures, PersonFigures, Report, ReportRefused, Week, check_target):
    _public.__module__ = __name__
