"""The listening socket: opened by the process that owns the address, or inherited from it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from rosterhook.config import ServerConfig
from rosterhook.errors import ConfigError

BACKLOG = 2048


@contextmanager
def listening(server: ServerConfig) -> Iterator[socket.socket]:
    """The listening socket.

    Raises:
        ConfigError: the address cannot be used.
    """
    try:
        family = socket.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((server.host, server.port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise ConfigError(
            f"Cannot listen on {server.host}:{server.port}: {_reason(error)}.",
            hint="Stop what listens there, or change server.host or server.port.",
        ) from None
    with listener:
        yield listener


@contextmanager
def inherited(fd: int) -> Iterator[socket.socket]:
    """The listening socket that the supervisor has opened, and keeps open beyond the life of this process."""
    with socket.socket(fileno=fd) as listener:
        yield listener


def address_of(listener: socket.socket) -> str:
    """The address as a URL, with the real port, and brackets around an IPv6 host."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _reason(error: OSError) -> str:
    """The system's words alone: the socket module adds the address, which is named already."""
    return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error.strerror)
