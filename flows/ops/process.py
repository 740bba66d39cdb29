"""The process of the page: one socket, until it is told to end."""

import socket
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from serving.listener import announce

STOP_SECONDS = 3


class _Server(uvicorn.Server):
    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """End; at the second signal without waiting. uvicorn would raise the signal once more at the end."""
        self.force_exit = self.should_exit
        self.should_exit = True


def run(app: ASGIApp, listener: socket.socket) -> None:
    """Serve until SIGTERM or Ctrl-C. Prints `listening on http://HOST:PORT` when it accepts; closes the socket."""
    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, proxy_headers=False, ws="none", lifespan="off",
        timeout_graceful_shutdown=STOP_SECONDS,
    )  # fmt: skip
    announce(listener)
    try:
        _Server(config).run([listener])
    finally:
        listener.close()
