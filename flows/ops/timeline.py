"""The observations of a line over time, kept in memory: the page asks for them every few seconds."""

import logging
import threading
from datetime import datetime, timedelta
from itertools import groupby

from flows import observations
from tasks.drift.result import RANK, Observation

log = logging.getLogger("tidegate")

MOST = 240
"""Observations in a chart: more dots than that nobody tells apart."""


class Timeline:
    """The observations of one line. A record is read once; its evidence is left to the report."""

    def __init__(self, line: str) -> None:
        self.line = line
        self._read: dict[str, tuple[int, Observation | None]] = {}
        self._lock = threading.Lock()

    def latest(self) -> Observation | None:
        """The newest that can be read."""
        found = (self._one(name) for name in reversed(self._names()))
        return next((one for one in found if one is not None), None)

    def last(self, count: int) -> list[Observation]:
        """So many of the newest, oldest first."""
        found = (self._one(name) for name in self._names()[-count:])
        return [one for one in found if one is not None]

    def since(self, start: datetime) -> list[Observation]:
        """Those made since then, oldest first."""
        first = f"{start:%Y%m%dT%H%M%S}"
        found = (self._one(name) for name in self._names() if name >= first)
        return [one for one in found if one is not None]

    def _names(self) -> list[str]:
        files = (observations.FOLDER / self.line).glob("*.json")
        return sorted(file.stem for file in files if not file.name.startswith("."))

    def _one(self, name: str) -> Observation | None:
        path = observations.path(self.line, name)
        try:
            changed = path.stat().st_mtime_ns
        except OSError:
            return None
        with self._lock:
            if (known := self._read.get(name)) is not None and known[0] == changed:
                return known[1]
        found = observations.read(self.line, name)
        slim = found and found.model_copy(
            update={"checks": [check.model_copy(update={"evidence": {}}) for check in found.checks]}
        )
        with self._lock:
            self._read[name] = (changed, slim)
        return slim


def thinned(found: list[Observation], most: int = MOST) -> list[Observation]:
    """At most so many, evenly over the time; of those that stand together the worst, and of these the newest."""
    if len(found) <= most:
        return found
    start, end = (datetime.fromisoformat(one.time) for one in (found[0], found[-1]))
    width = max((end - start) / most, timedelta(microseconds=1))

    def bucket(one: Observation) -> int:
        return min(most - 1, int((datetime.fromisoformat(one.time) - start) / width))

    return [max(group, key=lambda one: (RANK[one.severity], one.id)) for _, group in groupby(found, bucket)]
