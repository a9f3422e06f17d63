"""The WebSocket of a channel: its address, its handshake, its bytes."""
