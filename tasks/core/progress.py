"""Progress of long work: a bar for people, a log line now and then for log files."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

log = logging.getLogger("tidegate")

LOG_EVERY = 10.0  # seconds between log lines where there is no terminal


class Progress(Protocol):
    """What a piece of long work reports to."""

    def update(self, n: int) -> object:
        """`n` more units are done."""


class _LogProgress:
    def __init__(self, what: str, total: int | None, unit: str, done: int) -> None:
        self.what, self.total, self.unit = what, total, unit
        self.done = self.first = done
        self.start = self.last = time.monotonic()

    def update(self, n: int) -> None:
        self.done += n
        now = time.monotonic()
        if now - self.last < LOG_EVERY:
            return
        self.last = now
        rate = (self.done - self.first) / (now - self.start)
        if self.total is None:
            log.info("%s: %d %s, %.0f %s/s", self.what, self.done, self.unit, rate, self.unit)
        else:
            left = (self.total - self.done) / rate if rate else float("inf")
            log.info(
                "%s: %d of %d %s, %.0f %s/s, %.0f s left",
                self.what, self.done, self.total, self.unit, rate, self.unit, left,
            )  # fmt: skip


@contextmanager
def progress(what: str, total: int | None, unit: str = "rows", done: int = 0) -> Iterator[Progress]:
    """Report work of `total` units (None: unknown), `done` of which were done by an earlier run.

    A tqdm bar with rate and time left on a terminal, else a log line every ten seconds.
    """
    if sys.stderr.isatty():
        from tqdm import tqdm

        with tqdm(total=total, desc=what, unit=f" {unit}", initial=done, dynamic_ncols=True) as bar:
            yield bar
    else:
        yield _LogProgress(what, total, unit, done)
