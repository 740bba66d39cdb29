"""What customers and staff see alike."""

import re
from collections.abc import Mapping
from typing import Any

from fastapi import Request
from starlette.exceptions import HTTPException

from flows.chat.desk import Desk
from tasks.dialogue.events import Dialogue

PACKAGE = "flows.chat"
ID = re.compile(r"[0-9a-f]{16}")
"""Of an event that a form brings."""


def desk_of(request: Request) -> Desk:
    """The desk of the application that answers."""
    desk: Desk = request.app.state.desk
    return desk


def cookie_of(desk: Desk) -> str:
    """The cookie that names a customer's dialogue: browsers tell hosts apart, not the ports of several pages."""
    return f"tidegate_chat_dialogue_{desk.product}"


def id_of(given: Mapping[str, str], field: str) -> str:
    """An id out of a form. Raises HTTPException 422 where it is none of ours."""
    if not ID.fullmatch(given.get(field, "")):
        raise HTTPException(422)
    return given[field]


def text_of(desk: Desk, given: Mapping[str, str]) -> tuple[str, str]:
    """The message of a form as it is kept; else what is wrong with it, `long` or `empty`."""
    try:
        text = desk.talk.plain(given.get("text", ""))
    except ValueError:
        return "", "long"
    return text, "" if text else "empty"


def shown(desk: Desk, stands: Dialogue) -> dict[str, Any]:
    """A dialogue with its events, and which of its answers were rated."""
    events = desk.store.events(stands.id)
    rated = {event.request: event.text for event in events if event.what == "rated"}
    limits = {"characters": desk.settings.characters, "poll": desk.settings.poll_seconds}
    return {"stands": stands, "events": events, "rated": rated, **limits}
