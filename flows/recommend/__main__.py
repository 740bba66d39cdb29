"""The process of the page: until SIGTERM or Ctrl-C."""


def serve(line: str, release: str | None = None, host: str | None = None, port: int | None = None) -> int:
    """Serve the page of a line: its champion, or the newest release where it has none, or the `release` that is named.

    Prints `listening on http://HOST:PORT` when it accepts. Raises TidegateError where it cannot begin.
    """
    from flows import champion, registry
    from flows.recommend.app import create_app
    from flows.recommend.desk import Desk
    from flows.recommend.shelf import Shelf
    from flows.recommend_settings import load_recommend
    from flows.web.process import opened, run
    from tasks.core.line import Line

    of, settings = Line(line), load_recommend()
    folder = (None if release else champion.champion(of)) or registry.find(of, release)
    shelf = Shelf(folder, settings.threads)
    keys, listener = opened(settings, host, port, "The page")
    run(create_app(Desk(line, settings, keys, shelf)), listener)
    return 0
