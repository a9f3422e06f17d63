"""WebSockets: the handshake, and the open connection."""

from .connection import CloseReason, WebSocketClosed
from .socket import HandshakeRefused, WebSocket, require_websockets

__all__ = ["CloseReason", "HandshakeRefused", "WebSocket", "WebSocketClosed", "require_websockets"]
