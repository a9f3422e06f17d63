"""Export of the appointments of users to a file, which can be resumed."""

from ._export import Exported, ExportProgress, export
from ._formats import FORMS
from ._left_out import LeftOut
from ._unfinished_file import ExportRefused

__all__ = ["FORMS", "ExportProgress", "ExportRefused", "Exported", "LeftOut", "export"]

# Users see and pickle the names under which they import them.
Exported.__module__ = ExportProgress.__module__ = LeftOut.__module__ = ExportRefused.__module__ = export.__module__ = (
    __name__
)
