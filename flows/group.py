"""The programs of `tidegate up`, kept running together and written down for `tidegate ps`."""

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import FrameType

from flows import running
from flows.keeper import Keeper, Program
from flows.up_settings import UpSettings
from tasks.core.errors import SettingsError

log = logging.getLogger("tidegate")

POLL = 0.5  # seconds between looks at whether everything answers
LATE_POLL = 5.0  # the same once it took longer than it should
PATIENCE = 20.0
"""Seconds in which wrong settings are tried again: a port may still be that of a killed program that is ending."""


class Stop(threading.Event):
    """Set by SIGTERM, SIGHUP (a closed terminal) or Ctrl-C while `heeded`; a second Ctrl-C waits for nothing."""

    which: int = signal.SIGTERM

    @contextmanager
    def heeded(self) -> Iterator["Stop"]:
        """Heed these signals for the block. In the main thread only."""
        before = {which: signal.signal(which, self._tell) for which in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
        try:
            yield self
        finally:
            for which, handler in before.items():
                signal.signal(which, handler)

    def _tell(self, which: int, _: FrameType | None) -> None:
        if self.is_set() and which == signal.SIGINT:
            os.kill(os.getpid(), signal.SIGKILL)  # the programs end with this process, however it ends
        self.which = which
        self.set()


class Group:
    """Some programs, from their start to their end."""

    def __init__(self, programs: Sequence[Program], settings: UpSettings, stop: Stop) -> None:
        self.settings, self.stop = settings, stop
        self.up = running.here()
        self.keepers = [Keeper(program, settings.log_megabytes, self._note) for program in programs]
        self._writing = threading.Lock()

    def run(self) -> None:
        """Keep the programs running until `stop` is set, then end them.

        Raises SettingsError where one of them finds its settings wrong while not everything has answered once.
        """
        self._note()
        try:
            for keeper in self.keepers:
                keeper.start()
            self._await_ready()
            self.stop.wait()
        finally:
            self._end()
            running.forget()

    def _note(self) -> None:
        with self._writing:
            programs = [keeper.now for keeper in self.keepers]
            self.up = self.up.model_copy(update={"programs": programs})
            running.keep(self.up)

    def _await_ready(self) -> None:
        """Return when everything answers, or is to end. Says so, and what is late."""
        begun, late = time.monotonic(), False
        with ThreadPoolExecutor(len(self.keepers)) as pool:
            while not self.stop.wait(LATE_POLL if late else POLL):
                took = time.monotonic() - begun
                wrong = [f"{keeper.program.name} {keeper.wrong}" for keeper in self.keepers if keeper.wrong]
                if wrong and took > PATIENCE:
                    raise SettingsError("\n".join(wrong))
                missing = [
                    now.name
                    for now, well in pool.map(lambda keeper: (keeper.now, running.well(keeper.now)), self.keepers)
                    if not well
                ]
                if not missing:
                    self._say_ready(took)
                    return
                if took > self.settings.ready_seconds and not late:
                    late = True
                    log.error("After %.0f s no answer from %s; logs: %s/", took, ", ".join(missing), running.LOGS)

    def _say_ready(self, took: float) -> None:
        self.up = self.up.model_copy(update={"ready": True})
        self._note()
        shown = [(keeper.now, SHOWN.get(keeper.now.name.partition("-")[0])) for keeper in self.keepers]
        width = max(len(keeper.now.name) for keeper in self.keepers)
        for now, why in shown:
            if now.address and why:
                log.info("%-*s %-24s %s", width, now.name, now.address, why)
        log.info("Everything runs, after %.0f s. Ctrl-C or `tidegate down` ends it; logs: %s/", took, running.LOGS)

    def _end(self) -> None:
        """Prefect's server ends last: what else ends has to tell it how."""
        log.info("Ending; what is in flight is finished or taken back.")
        first = [keeper for keeper in self.keepers if keeper.program.name != running.SERVER]
        for wave in (first, [keeper for keeper in self.keepers if keeper not in first]):
            for keeper in wave:
                keeper.stop()
            for keeper in wave:
                keeper.join()


SHOWN = {
    running.SERVER: "Prefect: runs and schedules",
    "service": "answers, with its interface at /docs",
    "ops": "whether the models still work",
    "annotate": "where a team labels texts",
    "chat": "where customers ask, and staff answer at /staff",
}
"""What people open, and why."""
