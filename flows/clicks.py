"""The lists that users got and what became of them, out of the prediction log."""

from collections.abc import Iterator
from datetime import datetime
from itertools import groupby

import numpy as np
import orjson
from sqlalchemy import Engine

from flows.window import Span
from serving.log import read
from serving.log.rows import microseconds
from tasks.drift.clicks import WINDOWS, Clicks, Shown


def read_clicks(engine: Engine, span: Span, since: datetime) -> Clicks:
    """Of the window from `since`, and of so many windows as long before it; all by the release of the span."""
    begins = since - WINDOWS * (span.until - since)
    before, now = (_shown(engine, span, *ends) for ends in ((begins, since), (since, span.until)))
    return Clicks(before, now, microseconds(span.until))


def _shown(engine: Engine, span: Span, since: datetime, until: datetime) -> Shown:
    rows = list(_rows(engine, span, since, until))
    times, places, after = zip(*rows, strict=True) if rows else ((), (), ())
    return Shown(np.array(times, np.int64), np.array(places, np.int64), np.array(after, np.float64))


def _rows(engine: Engine, span: Span, since: datetime, until: datetime) -> Iterator[tuple[int, int, float]]:
    """When a list was given, the place of what was taken of it first, and after how many seconds."""
    told = read.lists(engine, span.line, since, until, span.release)
    for _, labels in groupby(told, key=lambda row: row.id):
        every = list(labels)
        listed = orjson.loads(every[0].listed)
        taken = ((listed.index(row.label) + 1, row.labelled) for row in every if row.label in listed)
        place, labelled = next(taken, (0, None))
        time = every[0].time
        yield time, place, float("nan") if labelled is None else (labelled - time) / 1e6
