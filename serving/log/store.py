"""Records of a spool into the tables: none twice, and what is missing between them counted."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Table, func, select

from serving.log.forget import Forgotten
from serving.log.rows import Row, decoded, microseconds
from serving.log.spool import Record, Spool
from serving.log.tables import feedback, losses, predictions


@dataclass(frozen=True)
class Batch:
    """Records that go into the database together, and their rows."""

    records: Sequence[Record]
    predictions: list[Row]
    feedback: list[Row]

    @classmethod
    def of(cls, records: Sequence[Record]) -> "Batch":
        """Decode records."""
        rows = [decoded(record.payload) for record in records]
        return cls(records, [row for made, _ in rows for row in made], [row for _, made in rows for row in made])

    @property
    def last(self) -> int:
        """The highest sequence number."""
        return self.records[-1].number

    def halves(self) -> "list[Batch]":
        """The same records in two batches."""
        middle = len(self.records) // 2
        return [Batch.of(self.records[:middle]), Batch.of(self.records[middle:])]


def batches(records: Sequence[Record], rows: int) -> Iterator[Batch]:
    """Records in their order, in batches of at least `rows` rows but for the last."""
    first = 0
    made: list[Row] = []
    given: list[Row] = []
    for n, record in enumerate(records, start=1):
        answered, labels = decoded(record.payload)
        made += answered
        given += labels
        if len(made) + len(given) >= rows or n == len(records):
            yield Batch(records[first:n], made, given)
            first, made, given = n, [], []


def insert(connection: Connection, spool: Spool, batch: Batch) -> int:
    """Insert rows that are not there yet and were not forgotten; returns how many records before them are lost."""
    known = Forgotten.of(connection)
    _add(connection, predictions, known.without(batch.predictions))
    _add(connection, feedback, known.without(batch.feedback))
    return insert_holes(connection, spool, [record.number for record in batch.records])


def refuse(connection: Connection, spool: Spool, batch: Batch) -> int:
    """Count the one record of a batch as refused by the database."""
    lost = insert_holes(connection, spool, [batch.last])
    _add(connection, losses, [_loss(spool.name, "refused", batch.last, 1)])
    return lost + 1


def insert_holes(connection: Connection, spool: Spool, numbers: Sequence[int]) -> int:
    """Count the sequence numbers between the settled one and these that no record has; returns how many there are."""
    lost, before = 0, spool.settled
    for number in numbers:
        if (missing := number - before - 1) > 0:
            cut = int(spool.torn)
            rows = [_loss(spool.name, "torn", before + 1, 1)] * cut
            rows += [_loss(spool.name, "lost", before + 1 + cut, missing - cut)] * (missing > cut)
            _add(connection, losses, rows)
            lost += missing
        before = number
    return lost


def insert_dropped(connection: Connection, spool: str, dropped: int) -> None:
    """Count what was dropped since this was told last."""
    told = select(func.coalesce(func.sum(losses.c.count), 0)).where(losses.c.spool == spool, losses.c.kind == "dropped")
    before = int(connection.execute(told).scalar_one())
    if dropped > before:
        _add(connection, losses, [_loss(spool, "dropped", before, dropped - before)])


def _loss(spool: str, kind: str, first: int, count: int) -> Row:
    return {"time": microseconds(datetime.now(UTC)), "spool": spool, "kind": kind, "first": first, "count": count}


def _add(connection: Connection, table: Table, rows: list[Row]) -> None:
    """Insert rows; one that is there already is left as it is."""
    from sqlalchemy.dialects import postgresql, sqlite

    if rows:
        make: Any = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}[connection.dialect.name]
        connection.execute(make(table).on_conflict_do_nothing(), rows)
