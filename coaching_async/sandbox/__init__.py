"""A local substitute for Genesys Cloud, to develop and test against: the Coaching API, with state, on a real socket.

with Sandbox() as sandbox:
    ...  # talk to sandbox.base_url as the client CLIENT_ID with CLIENT_SECRET
"""

try:
    from ._auth.oauth import (
        ASSERTION,
        CLIENT_ID,
        CLIENT_SECRET,
        CODE,
        ORG_NAME,
        REFRESH_TOKEN,
        Client,
        OAuth,
        UserGrant,
    )
    from ._channels.sockets import Socket, Sockets
    from ._faults.fault import Fault, FaultKind
    from ._faults.registry import Faults
    from ._faults.targets import OPERATIONS, Operation
    from ._sandbox import Identified, NotificationType, Sandbox, UserLike
    from ._server.request_log import Arrival
    from ._state.state import State
    from ._wire.formats import JsonObject
except ModuleNotFoundError as _missing:
    raise ModuleNotFoundError(
        f"the sandbox needs {_missing.name}: pip install 'coaching_async[sandbox]'",
        name=_missing.name,
        path=_missing.path,
    ) from None

__all__ = [
    "ASSERTION",
    "CLIENT_ID",
    "CLIENT_SECRET",
    "CODE",
    "OPERATIONS",
    "ORG_NAME",
    "REFRESH_TOKEN",
    "Arrival",
    "Client",
    "Fault",
    "FaultKind",
    "Faults",
    "Identified",
    "JsonObject",
    "NotificationType",
    "OAuth",
    "Operation",
    "Sandbox",
    "Socket",
    "Sockets",
    "State",
    "UserGrant",
    "UserLike",
]
