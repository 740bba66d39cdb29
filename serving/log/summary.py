"""The log at a glance: rows, labels, what waits and what was lost."""

from dataclasses import dataclass

from sqlalchemy import Engine, exists, func, select

from serving.log.retention import lines
from serving.log.tables import feedback, losses, predictions


@dataclass(frozen=True)
class Summary:
    """Of one line."""

    line: str
    rows: int
    oldest: int | None
    """Microseconds since 1970, UTC; None without rows."""
    newest: int | None
    labels: int
    """Texts for which a true label came."""
    strangers: int
    """Labels for requests that the log does not know: forgotten, too old, still in a spool, or made up."""


def summaries(engine: Engine, only: str | None = None) -> list[Summary]:
    """Of one line, or of all that have rows."""
    return [_summary(engine, line) for line in ([only] if only else lines(engine))]


def lost(engine: Engine) -> dict[str, int]:
    """Records that never came into the database, by kind: dropped, lost, torn, refused."""
    with engine.connect() as connection:
        found = connection.execute(select(losses.c.kind, func.sum(losses.c.count)).group_by(losses.c.kind))
        return {kind: int(count) for kind, count in found}


def _summary(engine: Engine, line: str) -> Summary:
    times = select(func.count(), func.min(predictions.c.time), func.max(predictions.c.time))
    texts = select(feedback.c.request_id, feedback.c.position).where(feedback.c.line == line).distinct().subquery()
    its_request = exists().where(
        predictions.c.request_id == texts.c.request_id, predictions.c.position == texts.c.position
    )
    with engine.connect() as connection:
        rows, oldest, newest = connection.execute(times.where(predictions.c.line == line)).one()
        labels = connection.scalar(select(func.count()).select_from(texts)) or 0
        known = connection.scalar(select(func.count()).select_from(texts).where(its_request)) or 0
    return Summary(line, rows, oldest, newest, known, labels - known)
