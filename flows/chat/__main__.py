"""`python -m flows.chat PRODUCT`: the chat of a product until SIGTERM or Ctrl-C. `tidegate chat` is the same."""

import logging
import sys

log = logging.getLogger("tidegate")


def serve(product: str, host: str | None = None, port: int | None = None, service: str | None = None) -> int:
    """Serve the page of a product; without further arguments as params.yaml says.

    Prints `listening on http://HOST:PORT` when it accepts. Raises SettingsError where it cannot begin.
    """
    import os

    from flows.chat.app import create_app
    from flows.chat.client import KEY, Client, address
    from flows.chat.desk import Desk
    from flows.chat.notices import noticing
    from flows.chat_settings import load_chat
    from flows.settings import product as settings_of
    from flows.web.process import opened, run
    from serving.listener import address as where
    from tasks.core.settings import parse
    from tasks.dialogue import store
    from tasks.dialogue.settings import AnswerSettings

    own, settings = settings_of(product, AnswerSettings), load_chat()
    if service:
        settings = parse(type(settings), {**settings.model_dump(), "service": service}, "chat")
    key = os.environ.pop(KEY, None)
    client = Client(lambda: address(settings), product, settings.service_seconds, key)
    keys, listener = opened(settings, host, own.port if port is None else port, "The chat")
    if keys.team is not None and not key:
        log.warning("There is a team.yaml, but no %s: the service refuses this page, and people answer all.", KEY)
    page = (own.address or where(listener)).rstrip("/")
    with store.opened() as engine:
        kept = store.Store(engine, product)
        with noticing(kept, settings.notice_minutes, page):
            run(create_app(Desk(product, settings, keys, kept, client)), listener)
    return 0


if __name__ == "__main__":
    from flows.web.process import main

    sys.exit(main("flows.chat", str(__doc__), serve, "product"))
