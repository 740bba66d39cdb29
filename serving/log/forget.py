"""Forgetting: rows out of the prediction log by request or by content, and out of what still waits in a spool."""

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, and_, delete, exists, insert, or_, select

from serving.log import spool
from serving.log.database import writing
from serving.log.rows import Row, microseconds
from serving.log.tables import feedback, forgotten, predictions
from tasks.core.errors import TidegateError


@dataclass(frozen=True)
class Wanted:
    """What is to be forgotten of a line's log."""

    line: str
    request_ids: Sequence[str] = ()
    contents: Sequence[bytes] = ()
    """serving.log.rows.content of the masked texts, as bytes, under every key that was in use."""
    texts: Sequence[str] = ()
    """The masked texts, for rows that keep them and whose hash an earlier key made."""


@dataclass(frozen=True)
class Forgotten:
    """What was forgotten before, so that a record that comes late from a spool does not bring it back."""

    requests: frozenset[tuple[str, str]]
    contents: dict[tuple[str, bytes], int]
    """Line and content to the time until which it is forgotten: the same text may be sent anew."""

    @classmethod
    def of(cls, connection: Connection) -> "Forgotten":
        """Read the table."""
        rows = connection.execute(select(forgotten)).all()
        requests = frozenset((row.line, row.request_id) for row in rows if row.request_id is not None)
        contents: dict[tuple[str, bytes], int] = {}
        for row in rows:
            if row.content is not None:
                key = (row.line, bytes(row.content))
                contents[key] = max(row.time, contents.get(key, 0))
        return cls(requests, contents)

    def without(self, rows: list[Row]) -> list[Row]:
        """The rows that are not to be forgotten."""
        if not self.requests and not self.contents:
            return rows
        return [row for row in rows if not self._covers(row)]

    def _covers(self, row: Row) -> bool:
        until = self.contents.get((row["line"], row.get("content") or b""), -1)
        return (row["line"], row["request_id"]) in self.requests or row["time"] <= until


def remember(engine: Engine, wanted: Wanted) -> None:
    """Keep what is forgotten from coming out of any spool, on whatever machine."""
    now = microseconds(datetime.now(UTC))
    rows: list[Row] = [{"request_id": each, "content": None} for each in wanted.request_ids]
    rows += [{"request_id": None, "content": each} for each in wanted.contents]
    with writing(engine).begin() as connection:
        connection.execute(insert(forgotten), [{"time": now, "line": wanted.line, **row} for row in rows])


def erase(engine: Engine, wanted: Wanted) -> int:
    """Delete the rows, their labels with them, and overwrite what they were on disk; returns the rows deleted."""
    with writing(engine).begin() as connection:
        rows = and_(predictions.c.line == wanted.line, _which(wanted))
        of_them = and_(
            predictions.c.request_id == feedback.c.request_id, predictions.c.position == feedback.c.position, rows
        )
        connection.execute(delete(feedback).where(exists().where(of_them)))
        by_id = and_(feedback.c.line == wanted.line, feedback.c.request_id.in_(wanted.request_ids))
        connection.execute(delete(feedback).where(by_id))
        deleted: int = connection.execute(delete(predictions).where(rows)).rowcount
    overwrite(engine)
    return deleted


def overwrite(engine: Engine) -> None:
    """Leave nothing of deleted rows in the database's own files. Raises TidegateError where others use them."""
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM predictions, feedback")
        return
    raw: Any = engine.raw_connection()
    try:
        raw.execute("VACUUM")  # pages that were split before still hold what was moved
        busy = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    except sqlite3.OperationalError as error:
        busy = str(error)
    finally:
        raw.close()
    if busy:
        raise TidegateError("The rows are deleted; their bytes go when nobody reads the log. Give the command again.")


def wait_for_spools(root: Path, timeout: float) -> list[Path]:
    """Wait until what is in the spools now was drained; returns the segments that are still there after `timeout`."""
    end = time.monotonic() + timeout
    left = spool.waiting(root)
    while left and time.monotonic() < end:
        time.sleep(0.1)
        left = [path for path in left if path.exists()]
    return left


def _which(wanted: Wanted) -> ColumnElement[bool]:
    return or_(
        predictions.c.request_id.in_(wanted.request_ids),
        predictions.c.content.in_(wanted.contents),
        predictions.c.text.in_(wanted.texts),
    )
