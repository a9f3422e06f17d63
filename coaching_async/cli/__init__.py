"""The command `coaching-async`."""

import sys

try:
    from ._main import main
except ModuleNotFoundError as _missing:  # the script is installed without the extra, too
    sys.exit(f"coaching-async: {_missing.name} is missing; install the command with: pip install 'coaching_async[cli]'")

__all__ = ["main"]
