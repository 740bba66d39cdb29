"""Notices to staff who have no page open: whoever waits long is told through the channels of alerts.

What customers write stands in none of them, as in no alert: why they wait, since when, and the link.
"""

import contextlib
import logging
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from flows import alerts
from flows.alerts import Kind
from serving.log.rows import microseconds, when
from tasks.dialogue.events import Dialogue
from tasks.dialogue.store import Store

log = logging.getLogger("tidegate")

KIND: Kind = "dialogue"
TITLE = "a customer waits for a person"
WHY = {
    "asked": "The customer asked for a person.",
    "intent": "Its intent always goes to people.",
    "no_release": "A line of the product has no release.",
    "out_of_scope": "The question has none of the known intents.",
    "silent": "The service did not answer.",
    "unsure": "No answer was sure enough.",
}
OVER = "Nobody waits there any more."
MANY = "many"
"""The subject of the one notice for all those that are not told of one by one."""
MOST = 20
"""Dialogues of a product that are told of one by one: who opens a thousand is not to make a thousand messages."""
SECONDS = 20.0  # between two looks


def look(store: Store, minutes: float, address: str, now: datetime) -> None:
    """Raise a notice for each dialogue that nobody took over for some minutes; end those of which nobody waits.

    A dialogue is told of once, until it was looked after and is handed over anew.
    """
    waiting = store.open(("waiting",))
    told = {one.subject for one in alerts.open_alerts(store.product) if one.kind == KIND}
    for subject in sorted(told - {one.id for one in waiting} - {MANY}):
        alerts.resolve(store.product, KIND, OVER, subject)
        told.remove(subject)
    before = microseconds(now - timedelta(minutes=minutes))
    late = [one for one in waiting if one.changed <= before and one.id not in told]
    for one in late[: max(0, MOST - len(told - {MANY}))]:
        alerts.raise_alert(store.product, KIND, "notice", TITLE, _reason(store, one, address), subject=one.id)
        told.add(one.id)
    rest = [one for one in late if one.id not in told]
    if rest and MANY not in told:
        reason = f"More than {MOST} wait; from here on they are not told of one by one. {address}/staff"
        alerts.raise_alert(store.product, KIND, "notice", "many customers wait for a person", reason, subject=MANY)
    elif not rest and MANY in told:
        alerts.resolve(store.product, KIND, f"At most {MOST} wait now.", MANY)


@contextlib.contextmanager
def noticing(store: Store, minutes: float | None, address: str, seconds: float = SECONDS) -> Iterator[None]:
    """Look every few seconds, in a thread of its own, for the block; with no minutes never."""
    over = threading.Event()

    def turns() -> None:
        while minutes is not None and not over.wait(seconds):
            try:
                look(store, minutes, address, datetime.now(UTC))
            except Exception as error:  # a database or a disk that is away is no reason never to look again
                log.error("Nobody was told of who waits: %s: %s", type(error).__name__, error)

    thread = threading.Thread(target=turns, name="notices", daemon=True)  # a channel may take long to take nothing
    thread.start()
    try:
        yield
    finally:
        over.set()


def _reason(store: Store, one: Dialogue, address: str) -> str:
    why = WHY.get(store.why(one.id), "")
    return f"Since {when(one.changed):%Y-%m-%d %H:%M} UTC nobody took it over. {why} {address}/staff/{one.id}"
