"""dlt: a source that loads the appointments of users into a warehouse or a lake, and keeps them up to date.

dlt.pipeline("coaching", destination="duckdb", dataset_name="raw").run(coaching(user_ids))
"""

from ._reading import UserIdsFunction
from ._source import coaching

__all__ = [
    "UserIdsFunction",
    "coaching",
]

# Users see and pickle the name under which they import it.
coaching.__module__ = __name__
