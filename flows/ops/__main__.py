"""`python -m flows.ops`: the ops page until SIGTERM or Ctrl-C. `tidegate ops` is the same."""

import sys


def serve(host: str | None = None, port: int | None = None) -> int:
    """Serve the page; without arguments where params.yaml says.

    Prints `listening on http://HOST:PORT` when it accepts. Raises SettingsError where it cannot begin.
    """
    from flows.ops.app import create_app
    from flows.ops.desk import Desk
    from flows.ops_settings import load_ops
    from flows.web.process import opened, run

    settings = load_ops()
    keys, listener = opened(settings, host, port, "The ops page")
    desk = Desk(settings, keys)
    desk.warm()
    run(create_app(desk), listener)
    desk.close()
    return 0


if __name__ == "__main__":
    from flows.web.process import main

    sys.exit(main("flows.ops", str(__doc__), serve))
