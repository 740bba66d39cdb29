"""Headlines, mentions, indices and causes in a database: each once, whatever is taken or looked at again."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa

from tasks.database import Database
from tasks.opinion.rules import Finding
from tasks.opinion.said import DAY, Said
from tasks.opinion.tables import causes, headlines, indices, looks, mentions, metadata, taken

URL = "TIDEGATE_OPINION_URL"
DATABASE = Database(URL, "sqlite:///.tidegate/opinion/opinion.db", "opinions", metadata)
url, file, opened = DATABASE.url, DATABASE.file, DATABASE.opened
Row = Mapping[str, Any]
HOUR = 3_600_000_000
"""Microseconds."""


@dataclass(frozen=True)
class Cause:
    """Why an alert was raised: what a rule found of an entity, from its first to its last finding."""

    entity: str
    rule: str
    time: int
    last: int
    over: int | None
    severity: str
    reason: str
    headlines: tuple[str, ...]
    alert: str


class Store:
    """The rows of one product within a transaction."""

    def __init__(self, connection: sa.Connection, product: str) -> None:
        self.connection, self.product = connection, product

    def new_batches(self, names: Sequence[str]) -> list[str]:
        """Those that were not taken yet."""
        known = self.connection.scalars(sa.select(taken.c.batch).where(taken.c.product == self.product))
        return sorted(set(names) - set(known))

    def done(self, batch: str) -> None:
        """Note that a batch was taken."""
        self._insert(taken, [{"product": self.product, "batch": batch}])

    def add(self, rows: Sequence[Row], named: Mapping[str, Sequence[str]], copies_hours: float) -> int:
        """Keep headlines (rows without `product` and `copy`) with whom each names; returns how many are new.

        A text that stands in the database within `copies_hours` before or after is a copy.
        """
        wanted = [row["id"] for row in rows]
        known = self.of_headlines(wanted)
        fresh = sorted({row["id"]: row for row in rows if row["id"] not in known}.values(), key=lambda r: r["time"])
        near = round(copies_hours * HOUR)
        times = {key: [time for (time,) in its] for key, its in self._first(fresh).items()}
        made = []
        for row in fresh:
            before = times.setdefault(row["split_key"], [])
            copy = any(abs(row["time"] - time) <= near for time in before)
            before.extend([] if copy else [row["time"]])
            made.append({**row, "product": self.product, "copy": copy})
        self._insert(headlines, made)
        said = [{"product": self.product, "entity": entity, "headline": row["id"], "time": row["time"]}
                for row in fresh for entity in named[row["id"]]]  # fmt: skip
        self._insert(mentions, said)
        return len(fresh)

    def copied(self, rows: Sequence[Row], copies_hours: float) -> dict[str, dict[str, Any]]:
        """By id, what is said of rows (id, split_key, time) that are copies: label, score, topic and release.

        As it was said of the headline that they repeat, where that stands in the database.
        """
        h, near, found = headlines.c, round(copies_hours * HOUR), dict[str, dict[str, Any]]()
        its = self._first(rows, h.label, h.score, h.topic, h.release)
        for row in rows:
            for time, *said in its.get(row["split_key"], []):
                if abs(row["time"] - time) <= near:
                    found[row["id"]] = dict(zip(("label", "score", "topic", "release"), said, strict=True))
                    break
        return found

    def said(self, entity: str, since: int, negative: str, topic: str | None = None) -> Said:
        """What was said of an entity since then, of one topic or of all, copies left out."""
        h = headlines.c
        wanted = sa.select(h.id, h.time, h.score, h.label, h.text).join_from(mentions, headlines, self._joined())
        wanted = wanted.where(mentions.c.product == self.product, mentions.c.entity == entity, h.time >= since)
        wanted = wanted.where(~h.copy, *([h.topic == topic] if topic is not None else []))
        rows = self.connection.execute(wanted.order_by(h.time, h.id)).all()
        ids, times, scores, labels, texts = zip(*rows, strict=True) if rows else ((),) * 5
        return Said(
            np.array(ids, dtype=object), np.array(times, np.int64), np.array(scores, np.float64),
            np.array([label == negative for label in labels], np.bool_), np.array(texts, dtype=object),
        )  # fmt: skip

    def of_headlines(self, ids: Sequence[str]) -> set[str]:
        """Those of these headlines that are kept already."""
        return set(self._in(sa.select(headlines.c.id), headlines.c.id, ids))

    def topics(self, entity: str) -> list[str]:
        """The topics of what was said of an entity."""
        wanted = sa.select(headlines.c.topic).join_from(mentions, headlines, self._joined()).distinct()
        wanted = wanted.where(mentions.c.product == self.product, mentions.c.entity == entity)
        return sorted(filter(None, self.connection.scalars(wanted)))

    def texts(self, ids: Sequence[str]) -> dict[str, Row]:
        """Headlines by their ids."""
        wanted = sa.select(headlines).where(headlines.c.product == self.product, headlines.c.id.in_(ids))
        return {row.id: dict(row._mapping) for row in self.connection.execute(wanted)}

    def of_day(self, entity: str, first: int, last: int, topic: str | None, most: int) -> list[Row]:
        """Headlines that name an entity between two times, the newest first, copies too."""
        h = headlines.c
        wanted = sa.select(headlines).join_from(mentions, headlines, self._joined())
        wanted = wanted.where(
            mentions.c.product == self.product, mentions.c.entity == entity, h.time.between(first, last)
        )
        wanted = wanted.where(*([h.topic == topic] if topic else [])).order_by(h.time.desc(), h.id).limit(most)
        return [dict(row._mapping) for row in self.connection.execute(wanted)]

    def set_index(self, entity: str, topic: str, rows: Sequence[Row], since_day: int = 0) -> None:
        """Put an entity's index of a topic (day, headlines, value, low, high) in the place of what was there.

        What it was before `since_day` stays.
        """
        i = indices.c
        its = (i.product == self.product, i.entity == entity, i.topic == topic, i.day >= since_day)
        self.connection.execute(sa.delete(indices).where(*its))
        named = {"product": self.product, "entity": entity, "topic": topic}
        self._insert(indices, [{**row, **named} for row in rows if row["day"] >= since_day])

    def drawn(self, entity: str, day: int) -> dict[str, int]:
        """The topics of which an entity has an index ("" is all of them), and the headlines in it before a day."""
        older = sa.case((indices.c.day < day, indices.c.headlines), else_=0)
        wanted = sa.select(indices.c.topic, sa.func.sum(older)).group_by(indices.c.topic)
        wanted = wanted.where(indices.c.product == self.product, indices.c.entity == entity)
        return {topic: int(many) for topic, many in self.connection.execute(wanted)}

    def older(self, entity: str, day: int) -> dict[str, int]:
        """How many headlines of an entity are of before a day, by topic and of all (""), copies left out."""
        h = headlines.c
        wanted = sa.select(h.topic, sa.func.count()).join_from(mentions, headlines, self._joined()).group_by(h.topic)
        wanted = wanted.where(mentions.c.product == self.product, mentions.c.entity == entity, ~h.copy)
        rows = self.connection.execute(wanted.where(mentions.c.time < day * DAY)).all()
        found = {row[0]: int(row[1]) for row in rows}
        return {**found, "": sum(found.values())}

    def index(self, entity: str, topic: str, since_day: int) -> list[Row]:
        """The index of an entity by days."""
        wanted = sa.select(indices).where(indices.c.product == self.product, indices.c.entity == entity)
        wanted = wanted.where(indices.c.topic == topic, indices.c.day >= since_day).order_by(indices.c.day)
        return [dict(row._mapping) for row in self.connection.execute(wanted)]

    def causes(self, open_only: bool = False) -> list[Cause]:
        """What was found, oldest first."""
        wanted = sa.select(causes).where(causes.c.product == self.product).order_by(causes.c.time)
        wanted = wanted.where(causes.c.over.is_(None)) if open_only else wanted
        return [
            Cause(
                r.entity, r.rule, r.time, r.last, r.over, r.severity, r.reason, tuple(json.loads(r.headlines)), r.alert
            )
            for r in self.connection.execute(wanted)
        ]

    def keep(self, found: Finding, alert: str, before: Cause | None) -> None:
        """Keep a finding: as a new cause, or as the newest of one that was open."""
        told = {"last": found.time, "severity": found.severity, "reason": found.reason, "alert": alert,
                "headlines": json.dumps(found.headlines)}  # fmt: skip
        if before is None:
            key = {"product": self.product, "entity": found.entity, "rule": found.rule, "time": found.time}
            self._insert(causes, [{**key, **told}])
        else:
            self.connection.execute(sa.update(causes).where(*self._its(before)).values(told))

    def end(self, cause: Cause, now: int) -> None:
        """Note that a cause is over."""
        self.connection.execute(sa.update(causes).where(*self._its(cause)).values(over=now))

    def looked(self) -> int | None:
        """When rules were last looked at; None where they never were."""
        time: int | None = self.connection.scalar(sa.select(looks.c.time).where(looks.c.product == self.product))
        return time

    def look(self, now: int) -> None:
        """Note that they were."""
        self.connection.execute(sa.delete(looks).where(looks.c.product == self.product))
        self._insert(looks, [{"product": self.product, "time": now}])

    def _first(self, rows: Sequence[Row], *more: sa.ColumnElement[Any]) -> dict[str, list[list[Any]]]:
        """By split key, the times of headlines that are no copies, and `more` of each."""
        h, found = headlines.c, dict[str, list[list[Any]]]()
        wanted = sa.select(h.split_key, h.time, *more).where(~h.copy)
        for key, *told in self._pairs(wanted, h.split_key, sorted({row["split_key"] for row in rows})):
            found.setdefault(key, []).append(told)
        return found

    def _its(self, cause: Cause) -> tuple[sa.ColumnElement[bool], ...]:
        c = causes.c
        return c.product == self.product, c.entity == cause.entity, c.rule == cause.rule, c.time == cause.time

    def _joined(self) -> sa.ColumnElement[bool]:
        return sa.and_(headlines.c.product == mentions.c.product, headlines.c.id == mentions.c.headline)

    def _in(self, wanted: sa.Select[Any], column: sa.ColumnElement[Any], values: Sequence[str]) -> Iterator[Any]:
        return (row[0] for row in self._pairs(wanted, column, values))

    def _pairs(self, wanted: sa.Select[Any], column: sa.ColumnElement[Any], values: Sequence[str]) -> Iterator[Any]:
        wanted = wanted.where(headlines.c.product == self.product)
        for at in range(0, len(values), 500):  # SQLite takes no more than a thousand parameters
            yield from self.connection.execute(wanted.where(column.in_(values[at : at + 500])))

    def _insert(self, table: sa.Table, rows: Sequence[Row]) -> None:
        if rows:
            self.connection.execute(sa.insert(table), [dict(row) for row in rows])


__all__ = ["URL", "Cause", "Store", "file", "opened", "url"]
