"""The thread that moves the spool into the database, however long that is away."""

import logging
import threading
import time
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from serving.log import store
from serving.log.database import gone, migrate, open_database, writing
from serving.log.retention import purge
from serving.log.settings import LogSettings
from serving.log.spool import Spool, Writer, adopt
from serving.log.store import Batch, batches
from serving.metrics import Metrics

log = logging.getLogger("tidegate")

LONGEST_WAIT = 30.0  # seconds between tries while the database is gone
ADOPT_SECONDS = 5.0
PURGE_SECONDS = 24 * 3600.0


class Drain:
    """Moves records of this process's spool, and of those that dead processes left, into the database."""

    def __init__(self, settings: LogSettings, metrics: Metrics, own: Writer) -> None:
        self.settings, self.metrics, self.own = settings, metrics, own
        self.engine = open_database(settings.database())
        self.adopted: list[Spool] = []
        self._ready = self._away = False
        self._told: dict[str, int] = {}
        self._dropped = 0
        self._next_adoption = self._next_purge = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)

    def start(self) -> None:
        """Try the database once, then drain in a thread. Raises TidegateError where its schema is too new."""
        try:
            migrate(self.engine)
            self._ready = True
        except Exception as error:
            self._note(error)
        self._thread.start()

    def stop(self, timeout: float) -> bool:
        """End the thread after it has moved what is left, as far as `timeout` seconds go; whether all is moved."""
        self._stop.set()
        self._thread.join(timeout)
        if self._thread.is_alive():
            return False
        return self.close()

    def close(self) -> bool:
        """Let go of spools and database; whether everything of this process is in the latter."""
        done = self.own.settled == self.own.accepted
        for spool in [*self.adopted, self.own]:
            spool.let_go()
        self.engine.dispose()
        return done

    def once(self) -> None:
        """Move all that waits now. Raises what the database raises."""
        if not self._ready:
            migrate(self.engine)
            self._ready = True
        self._adopt()
        for spool in list(self.adopted):
            self._empty(spool)
            self._finish(spool)
            spool.let_go()
            self.adopted.remove(spool)
        self._empty(self.own)  # what earlier passes could not move
        self.own.seal()
        self._empty(self.own)
        self._tell_dropped(self.own)
        if time.monotonic() >= self._next_purge:
            purge(self.engine, self.settings.keep_days)
            self._next_purge = time.monotonic() + PURGE_SECONDS

    def _run(self) -> None:
        wait = self.settings.drain_seconds
        while True:
            stopping = self._stop.wait(wait)
            try:
                self.once()
                self._back()
                wait = self.settings.drain_seconds
            except Exception as error:  # whatever it is, answering goes on, and so must this thread
                self._note(error)
                wait = min(2 * wait, LONGEST_WAIT)
            self._measure()
            if stopping:
                return

    def _note(self, error: Exception) -> None:
        """Say once that the database is away. What no wait mends ends the start, and nothing after it."""
        away = gone(error)
        if not away and not self._thread.is_alive():
            raise error
        if not self._away:
            what = "cannot be reached" if away else f"refuses ({type(error).__name__})"
            log.warning("The prediction log %r %s. Answers wait in the spool.", self.engine.url, what)
        self._away = True

    def _back(self) -> None:
        if self._away:
            log.warning("The prediction log is written again.")
        self._away = False

    def _adopt(self) -> None:
        if time.monotonic() < self._next_adoption:
            return
        self._next_adoption = time.monotonic() + ADOPT_SECONDS
        self.adopted += adopt(Path(self.settings.spool), but=self.own.name)
        self.own.elsewhere = sum(spool.size() for spool in self.adopted)

    def _empty(self, spool: Spool) -> None:
        for segment in spool.sealed():
            records, whole = spool.read(segment)
            for batch in batches(records, self.settings.batch_rows):
                self._store(spool, batch)
            spool.torn = not whole
            spool.remove(segment)
            self._measure()

    def _store(self, spool: Spool, batch: Batch) -> None:
        """Put a batch into the database and settle it. A record that the database will not take is counted."""
        try:
            with writing(self.engine).begin() as connection:
                lost = store.insert(connection, spool, batch)
        except DBAPIError as error:
            if gone(error):
                raise
            self._store_apart(spool, batch, error)
        else:
            self._settle(spool, batch.last, lost)

    def _store_apart(self, spool: Spool, batch: Batch, error: DBAPIError) -> None:
        if len(batch.records) > 1:
            for half in batch.halves():
                self._store(spool, half)
            return
        log.error("The database refuses record %d of %s (%s).", batch.last, spool.name, type(error.orig).__name__)
        with writing(self.engine).begin() as connection:
            lost = store.refuse(connection, spool, batch)
        self._settle(spool, batch.last, lost)

    def _finish(self, spool: Spool) -> None:
        """Count what a dead process accepted and no segment holds."""
        with writing(self.engine).begin() as connection:
            lost = store.insert_holes(connection, spool, [spool.accepted + 1])
        self._settle(spool, spool.accepted, lost)
        self._tell_dropped(spool)

    def _settle(self, spool: Spool, number: int, lost: int) -> None:
        spool.settle(number)
        if lost:
            log.warning("%d record(s) of the prediction log are lost.", lost)
            self.metrics.spool_lost.inc(lost)

    def _tell_dropped(self, spool: Spool) -> None:
        if spool.dropped > self._told.get(spool.name, 0):
            dropped = spool.dropped
            with writing(self.engine).begin() as connection:
                store.insert_dropped(connection, spool.name, dropped)
            self._told[spool.name] = dropped

    def _measure(self) -> None:
        spools = [self.own, *self.adopted]
        self.metrics.spool_lag.set(sum(spool.accepted - spool.settled for spool in spools))
        self.own.elsewhere = sum(spool.size() for spool in self.adopted)
        self.metrics.spool_bytes.set(self.own.size() + self.own.elsewhere)
        dropped = self.own.dropped
        self.metrics.spool_dropped.inc(dropped - self._dropped)
        self._dropped = dropped


def drain_leftovers(settings: LogSettings) -> None:
    """Move what dead processes left in the spool into the database, once."""
    drain = Drain(settings, Metrics(), Writer(Path(settings.spool), max_bytes=0))
    try:
        drain.once()
    finally:
        drain.close()
