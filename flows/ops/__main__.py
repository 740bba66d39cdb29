"""`python -m flows.ops`: the ops page until SIGTERM or Ctrl-C. `tidegate ops` is the same."""

import argparse
import logging
import os
import sys

from tasks.core.errors import TidegateError
from tasks.core.quiet import silence

FORMAT = "%(asctime)s %(levelname)s %(message)s"


def main() -> int:
    """Read arguments and params.yaml, serve, return the exit code: 0 ended as told, 2 wrong settings."""
    silence()
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format=FORMAT)
    logging.getLogger("tidegate").setLevel(logging.INFO)
    found = argparse.ArgumentParser(prog="python -m flows.ops", description=__doc__)
    found.add_argument("--host", help="127.0.0.1 unless there is a team.yaml with keys")
    found.add_argument("--port", type=int, help="0 lets the system choose")
    arguments = found.parse_args()
    try:
        return serve(arguments.host, arguments.port)
    except TidegateError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)  # noqa: T201
        return error.exit_code


def serve(host: str | None = None, port: int | None = None) -> int:
    """Serve the page; without arguments where params.yaml says.

    Prints `listening on http://HOST:PORT` when it accepts. Raises SettingsError where it cannot begin.
    """
    from flows.approver import KEY
    from flows.ops.app import create_app
    from flows.ops.desk import Desk
    from flows.ops.process import run
    from flows.ops_settings import load_ops
    from flows.server import settle
    from serving.listener import open_listener
    from serving.security import Keys, check_binding
    from tasks.core.stage import end_with_parent

    settle()
    end_with_parent()
    os.environ.pop(KEY, None)  # what people do here they prove themselves
    settings = load_ops()
    keys = Keys()
    check_binding(host or settings.host, keys, "The ops page")
    desk = Desk(settings, keys)
    listener = open_listener(host or settings.host, settings.port if port is None else port, "The ops page")
    desk.warm()
    run(create_app(desk), listener)
    desk.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
