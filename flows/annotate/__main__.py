"""`python -m flows.annotate`: the labelling page until SIGTERM or Ctrl-C. `tidegate annotate` is the same."""

import sys


def serve(host: str | None = None, port: int | None = None) -> int:
    """Serve the page; without arguments where params.yaml says.

    Prints `listening on http://HOST:PORT` when it accepts. Raises SettingsError where it cannot begin.
    """
    from flows.annotate.app import create_app
    from flows.annotate.desk import Desk
    from flows.annotate_settings import load_annotate
    from flows.web.process import opened, run

    settings = load_annotate()
    keys, listener = opened(settings, host, port, "The labelling page")
    desk = Desk(settings, keys)
    desk.warm()
    run(create_app(desk), listener)
    return 0


if __name__ == "__main__":
    from flows.web.process import main

    sys.exit(main("flows.annotate", str(__doc__), serve))
