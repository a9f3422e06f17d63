"""Export of the appointments of users to a file, which can be resumed."""

from ._checkpoint import ExportBusy, ExportRefused
from ._export import check_form, export
from ._forms import FORMS, Form
from ._left_out import LeftOut
from ._output_stream import Writable
from ._run import Exported, ExportProgress

__all__ = [
    "FORMS",
    "ExportBusy",
    "ExportProgress",
    "ExportRefused",
    "Exported",
    "Form",
    "LeftOut",
    "Writable",
    "check_form",
    "export",
]

# Users see and pickle the names under which they import them.
for _public in (ExportBusy, ExportProgress, ExportRefused, Exported, LeftOut, check_form, export):
    _public.__module__ = __name__
