"""Export of the appointments of users to a file, which can be resumed."""

from ._checkpoint import ExportRefused
from ._export import export
from ._forms import FORMS
from ._left_out import LeftOut
from ._run import Exported, ExportProgress

__all__ = ["FORMS", "ExportProgress", "ExportRefused", "Exported", "LeftOut", "export"]

# Users see and pickle the names under which they import them.
Exported.__module__ = ExportProgress.__module__ = LeftOut.__module__ = ExportRefused.__module__ = export.__module__ = (
    __name__
)
