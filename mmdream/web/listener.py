"""Where a page of ours is served: an address on this machine alone, which opens once."""

from __future__ import annotations

import secrets
import socket
from dataclasses import dataclass

from mmdream.core.errors import UserError

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Listener:
    """A socket that listens, to be closed, and what opens the page behind it."""

    socket: socket.socket
    token: str

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.socket.getsockname()[1])

    @property
    def address(self) -> str:
        """What is opened in a browser, once."""
        return f"http://{HOST}:{self.port}/?token={self.token}"


def listen(port: int) -> Listener:
    """Listen on this machine alone, at a port (0: a free one); `UserError`: it is taken."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen()  # Who opens the address at once waits for the server.
    except OSError as error:
        listener.close()
        raise UserError(f"port {port}: {error.strerror}; choose another --port, or none") from error
    return Listener(listener, secrets.token_urlsafe(24))
