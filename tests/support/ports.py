"""Ports that are free now and stay free, to start a server at later or to find nobody at."""

from __future__ import annotations

import random
import socket

__all__ = ["free_port"]

# Below the ports that systems give to outgoing connections and to servers that ask for any port (from 32768 on Linux): one
# of those may be given to another test's connection as soon as it is let go.
CHOICE = range(20_000, 30_000)


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that nobody listens at, and that the system gives to nobody who does not ask for it."""
    for port in random.sample(CHOICE, 100):
        try:
            with socket.create_server((host, port)):
                return port
        except OSError:
            continue
    raise OSError(f"no port is free among {CHOICE}")
