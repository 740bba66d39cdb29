"""The socket of the service."""

import socket

from tasks.core.errors import SettingsError

BACKLOG = 2048


def open_listener(host: str, port: int, what: str = "The service") -> socket.socket:
    """A socket that listens; port 0 lets the system choose. Raises SettingsError where it cannot be had."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except OSError as error:
        raise SettingsError(
            f"{what} cannot listen on {host}, port {port}: {error.strerror or error}. Give another port; 0 lets "
            "the system choose one."
        ) from None


def inherited(descriptor: int) -> socket.socket:
    """The socket that a supervisor handed down."""
    listener = socket.socket(fileno=descriptor)
    listener.setblocking(False)
    return listener


def address(listener: socket.socket) -> str:
    """Where a socket listens, as people write it."""
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def announce(listener: socket.socket) -> None:
    """Print where the service listens: the one line of stdout, for programs that started it."""
    print(f"listening on {address(listener)}", flush=True)  # noqa: T201
