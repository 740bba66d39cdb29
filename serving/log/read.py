"""Reading the log for drift checks: a line's window as columns, chunk by chunk, with the labels that came later."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Engine, Row, Select, and_, func, select, tuple_

from serving.log.record import Role
from serving.log.rows import microseconds
from serving.log.tables import feedback, predictions

CHUNK_ROWS = 10_000
ANSWERED: tuple[Role, ...] = ("champion", "canary")
"""Roles whose answers were returned; the default window."""


@dataclass(frozen=True)
class Chunk:
    """Some rows of a window, oldest first, as columns."""

    time: NDArray[np.datetime64]
    """When the request came, UTC, microseconds."""
    request_id: list[str]
    position: NDArray[np.int32]
    release: list[str]
    variant: list[str]
    role: list[str]
    source: list[str]
    text: list[str | None]
    """Masked, or its HMAC, or None: as the settings were."""
    label: list[str]
    confidence: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    """[rows, classes]; NaN behind the classes of a release that has fewer."""
    projection: NDArray[np.float32]
    """[rows, width]; NaN where an embedding was projected to fewer."""
    projected_by: list[str]
    characters: NDArray[np.int32]
    words: NDArray[np.int32]
    non_letters: NDArray[np.float32]
    script: list[str]
    script_share: NDArray[np.float32]
    latency_ms: NDArray[np.float32]
    true_label: list[str | None]
    """The latest feedback; None where none came."""
    labelled: NDArray[np.datetime64]
    """When it came; NaT where none came."""
    listed: list[str | None]
    """JSON: the labels that were given as a list, the best first; None where the best alone was."""

    def __len__(self) -> int:
        return len(self.request_id)


_LATEST = (
    select(feedback.c.id)
    .where(
        feedback.c.request_id == predictions.c.request_id,
        feedback.c.position == predictions.c.position,
        feedback.c.line + "" == predictions.c.line,  # as it stands it would draw SQLite to the index of whole lines
    )
    .order_by(feedback.c.time.desc(), feedback.c.id.desc())
    .limit(1)
    .correlate(predictions)
    .scalar_subquery()
)
_PLACE = tuple_(predictions.c.time, predictions.c.id)


def window(
    engine: Engine,
    line: str,
    since: datetime | None = None,
    until: datetime | None = None,
    last: int | None = None,
    roles: Sequence[Role] = ANSWERED,
    chunk_rows: int = CHUNK_ROWS,
    release: str | None = None,
) -> Iterator[Chunk]:
    """The rows of a line from `since` up to but without `until`, or the `last` ones of these, oldest first.

    With `release` those alone that it answered. One chunk is in memory at a time. Each chunk is a query of its own: a
    reader never holds the database, and rows that arrive meanwhile within the window may or may not be in it.
    """
    within = _within(line, since, until, roles, release)
    after = _before_last(engine, within, last) if last is not None else None
    while True:
        query = _page(_columns(), within, after, chunk_rows)
        with engine.connect() as connection:
            rows = connection.execute(query).all()
        if rows:
            yield _chunk(rows)
        if len(rows) < chunk_rows:
            return
        after = tuple_(rows[-1].time, rows[-1].id)


def lists(
    engine: Engine, line: str, since: datetime, until: datetime, release: str, chunk_rows: int = CHUNK_ROWS
) -> Iterator[Row[Any]]:
    """What became of the lists that a release gave from `since` up to but without `until`, oldest first.

    Of each list `id`, `time`, `listed` (JSON), and the `label` and time (`labelled`) of a feedback: as many rows as
    there are feedbacks, the first of them first, or one with None.
    """
    within = _within(line, since, until, ANSWERED, release) & predictions.c.listed.is_not(None)
    columns = (predictions.c[name] for name in ("id", "time", "request_id", "position", "listed"))
    some, after = select(*columns), None
    while True:
        page = _page(some, within, after, chunk_rows).subquery()
        of_it = and_(
            feedback.c.request_id == page.c.request_id,
            feedback.c.position == page.c.position,
            feedback.c.line + "" == line,
        )
        told = select(page, feedback.c.label, feedback.c.time.label("labelled")).outerjoin(feedback, of_it)
        with engine.connect() as connection:
            rows = connection.execute(told.order_by(page.c.time, page.c.id, feedback.c.time, feedback.c.id)).all()
        yield from rows
        if len({row.id for row in rows}) < chunk_rows:
            return
        after = tuple_(rows[-1].time, rows[-1].id)


def count(
    engine: Engine,
    line: str,
    since: datetime | None = None,
    until: datetime | None = None,
    roles: Sequence[Role] = ANSWERED,
    release: str | None = None,
) -> int:
    """How many rows a window has, with `release` those that it answered."""
    with engine.connect() as connection:
        query = select(func.count()).select_from(predictions).where(_within(line, since, until, roles, release))
        return int(connection.execute(query).scalar_one())


def _page(columns: Select[Any], within: ColumnElement[bool], after: Any, rows: int) -> Select[Any]:
    """Up to so many rows, oldest first, behind the place `after`."""
    query = columns.where(within).order_by(predictions.c.time, predictions.c.id).limit(rows)
    return query if after is None else query.where(after < _PLACE)


def _within(
    line: str, since: datetime | None, until: datetime | None, roles: Sequence[Role], release: str | None
) -> ColumnElement[bool]:
    conditions = [predictions.c.line == line, predictions.c.role.in_(roles)]
    if release is not None:
        conditions.append(predictions.c.release == release)
    if since is not None:
        conditions.append(predictions.c.time >= microseconds(since))
    if until is not None:
        conditions.append(predictions.c.time < microseconds(until))
    return and_(*conditions)


def _before_last(engine: Engine, within: ColumnElement[bool], last: int) -> Any:
    """The place just before the `last` rows; None where there are no more than these."""
    newest = select(predictions.c.time, predictions.c.id).where(within)
    newest = newest.order_by(predictions.c.time.desc(), predictions.c.id.desc()).offset(last).limit(1)
    with engine.connect() as connection:
        found = connection.execute(newest).one_or_none()
    return None if found is None else tuple_(*found)


def _columns() -> Select[Any]:
    labels = [feedback.c.label.label("true_label"), feedback.c.time.label("labelled")]
    return select(predictions, *labels).outerjoin(feedback, feedback.c.id == _LATEST)


def _chunk(rows: Sequence[Row[Any]]) -> Chunk:
    columns: dict[str, Any] = dict(zip(rows[0]._fields, map(list, zip(*rows, strict=True)), strict=True))
    never = np.iinfo(np.int64).min  # NaT
    columns["labelled"] = [never if time is None else time for time in columns["labelled"]]
    for name in ("time", "labelled"):
        columns[name] = np.array(columns[name], np.int64).view("datetime64[us]")
    for name in ("position", "characters", "words"):
        columns[name] = np.array(columns[name], np.int32)
    for name in ("confidence", "non_letters", "script_share", "latency_ms"):
        columns[name] = np.array(columns[name], np.float32)
    columns["probabilities"] = _stacked(columns["probabilities"], "<f4")
    columns["projection"] = _stacked(columns["projection"], "<f2")
    return Chunk(**{field.name: columns[field.name] for field in fields(Chunk)})


def _stacked(blobs: Sequence[bytes | None], dtype: str) -> NDArray[np.float32]:
    """[rows, most values], NaN behind a row that has fewer."""
    joined = [blob or b"" for blob in blobs]
    longest = max(map(len, joined))
    if all(len(blob) == longest for blob in joined):
        values = np.frombuffer(b"".join(joined), dtype).reshape(len(joined), -1)
        return values.astype(np.float32)
    result = np.full((len(joined), longest // np.dtype(dtype).itemsize), np.nan, np.float32)
    for row, blob in enumerate(joined):
        values = np.frombuffer(blob, dtype)
        result[row, : len(values)] = values
    return result
