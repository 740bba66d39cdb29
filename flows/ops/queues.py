"""Who waits for people in the chats of products that answer, for the first page: counts, and no word of a customer."""

from dataclasses import dataclass
from datetime import datetime

from flows import running
from serving.log.rows import when
from tasks.core.errors import TidegateError
from tasks.dialogue.settings import AnswerSettings
from tasks.dialogue.store import Store, file, opened
from tasks.drift.result import Health


@dataclass(frozen=True)
class Queue:
    """A product's dialogues that are with people."""

    waiting: int = 0
    """Of whom nobody has come yet."""
    since: datetime | None = None
    """When the first of them began to wait."""
    looked_after: int = 0
    known: bool = True
    """Whether the dialogues could be read."""
    address: str | None = None
    """Where staff answer; None where that is not known here."""

    @property
    def colour(self) -> Health:
        """Amber while anybody waits."""
        return "grey" if not self.known else "amber" if self.waiting else "green"


def queue(product: str, settings: AnswerSettings) -> Queue:
    """Who waits now. Raises nothing for a database that cannot be read, and makes none."""
    page = settings.address or running.address(f"chat-{product}")
    address = f"{page.rstrip('/')}/staff" if page else None
    try:
        kept = file()
        if kept is not None and not kept.exists():
            return Queue(address=address)
        with opened() as engine:
            found = Store(engine, product).open()
    except TidegateError:
        return Queue(known=False, address=address)
    waiting = [one for one in found if one.state == "waiting"]
    since = when(waiting[0].changed) if waiting else None
    return Queue(len(waiting), since, len(found) - len(waiting), address=address)
