"""Old rows deleted, a few at a time, so that nobody waits long."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, Table, delete, distinct, func, select

from serving.log.database import writing
from serving.log.rows import microseconds
from serving.log.tables import feedback, forgotten, losses, predictions

BATCH = 5_000


def old(engine: Engine, keep_days: int, line: str | None = None) -> int:
    """The predictions that `purge` would delete."""
    counted = select(func.count()).where(predictions.c.time < _limit(keep_days))
    with engine.connect() as connection:
        return connection.scalar(counted.where(predictions.c.line == line) if line else counted) or 0


def purge(engine: Engine, keep_days: int, line: str | None = None) -> int:
    """Delete what is older than `keep_days` (of one line, or of all); returns the predictions deleted."""
    limit = _limit(keep_days)
    deleted = 0
    for name in [line] if line else lines(engine):
        deleted += _purge(engine, predictions, name, limit)
        _purge(engine, feedback, name, limit)
    if line is None:
        with writing(engine).begin() as connection:
            for table in (losses, forgotten):  # a spool that old has nothing that would be kept
                connection.execute(delete(table).where(table.c.time < limit))
    return deleted


def lines(engine: Engine) -> list[str]:
    """The lines that have rows in the log."""
    with engine.connect() as connection:
        found = {
            name for table in (predictions, feedback) for name in connection.scalars(select(distinct(table.c.line)))
        }
    return sorted(found)


def _limit(keep_days: int) -> int:
    return microseconds(datetime.now(UTC) - timedelta(days=keep_days))


def _purge(engine: Engine, table: Table, line: str, limit: int) -> int:
    old = select(table.c.id).where(table.c.line == line, table.c.time < limit).order_by(table.c.time).limit(BATCH)
    deleted = 0
    while True:
        with writing(engine).begin() as connection:
            rows: int = connection.execute(delete(table).where(table.c.id.in_(old.scalar_subquery()))).rowcount
        deleted += rows
        if rows < BATCH:
            return deleted
