"""The process of a page: arguments, one socket, until it is told to end."""

import argparse
import logging
import os
import socket
import sys
from collections.abc import Callable
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from flows.approver import KEY
from flows.server import settle
from flows.web.settings import PageSettings
from serving.listener import announce, open_listener
from serving.security import Keys, check_binding
from tasks.core.errors import TidegateError
from tasks.core.quiet import silence
from tasks.core.stage import end_with_parent

FORMAT = "%(asctime)s %(levelname)s %(message)s"
STOP_SECONDS = 3


def main(module: str, about: str, serve: Callable[..., int], *needed: str) -> int:
    """Read arguments and params.yaml, serve, return the exit code: 0 ended as told, 2 wrong settings.

    `serve` is given what stands in place of `needed`, then host and port.
    """
    silence()
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format=FORMAT)
    logging.getLogger("tidegate").setLevel(logging.INFO)
    found = argparse.ArgumentParser(prog=f"python -m {module}", description=about)
    for name in needed:
        found.add_argument(name)
    found.add_argument("--host", help="127.0.0.1 unless there is a team.yaml with keys")
    found.add_argument("--port", type=int, help="0 lets the system choose")
    arguments = found.parse_args()
    try:
        return serve(*(getattr(arguments, name) for name in needed), arguments.host, arguments.port)
    except TidegateError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)  # noqa: T201
        return error.exit_code


def opened(settings: PageSettings, host: str | None, port: int | None, what: str) -> tuple[Keys, socket.socket]:
    """The keys of team.yaml and the socket of a page, in a process that ends with its parent.

    Raises SettingsError where other machines could reach a page without keys, or the socket cannot be had.
    """
    settle()
    end_with_parent()
    os.environ.pop(KEY, None)  # what people do here they prove themselves
    keys = Keys()
    check_binding(host or settings.host, keys, what)
    return keys, open_listener(host or settings.host, settings.port if port is None else port, what)


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
