"""What `tidegate forget` does of a product that answers: messages out of the database of dialogues."""

from collections.abc import Sequence

from flows.forget_copies import Report
from tasks.core.errors import TidegateError
from tasks.dialogue import store
from tasks.dialogue.forget import erase, find
from tasks.forgotten import Subject


def forget(product: str, subject: Subject, request_ids: Sequence[str], report: Report) -> None:
    """Erase messages by their text, by a dialogue's id, or by the id of a request to the service."""
    with store.opened() as engine:
        gone = erase(engine, product, subject, request_ids)
        elsewhere = engine.dialect.name == "postgresql"
    report.done.append(f"dialogues: {gone} event(s) deleted and overwritten")
    if elsewhere:
        report.left.append("PostgreSQL's own write-ahead log, replicas and backups")
    if subject.texts:
        report.left.append("what staff wrote about it in other words: give the dialogue's id as --row-id")


def holds(product: str, subject: Subject, report: Report) -> bool:
    """Whether a dialogue has a text; where the database cannot be asked, that is reported."""
    kept = store.file()
    if kept is not None and not kept.exists():
        return False
    try:
        with store.opened() as engine, engine.connect() as connection:
            return bool(find(connection, product, subject))
    except TidegateError as error:
        report.left.append(f"the product {product}: {error}")
        return False
