"""A stand-in for Genesys Cloud to develop and test against: the Coaching API, with state, on a real socket.

with Sandbox() as sandbox:
    ...  # talk to sandbox.base_url as the client CLIENT_ID with CLIENT_SECRET
"""

from ._faults import Fault
from ._oauth import ASSERTION, CLIENT_ID, CLIENT_SECRET, CODE, ORG_NAME, REFRESH_TOKEN, Client, UserGrant
from ._requests import Arrival
from ._sandbox import Sandbox

__all__ = [
    "ASSERTION",
    "CLIENT_ID",
    "CLIENT_SECRET",
    "CODE",
    "ORG_NAME",
    "REFRESH_TOKEN",
    "Arrival",
    "Client",
    "Fault",
    "Sandbox",
    "UserGrant",
]
