"""What the page has at hand: settings, lines, who is signed in, what is watched, what goes on."""

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from flows.alert_settings import load_alerts
from flows.ops.jobs import Jobs
from flows.ops.sessions import Sessions
from flows.ops.view import Shared, Watch
from flows.ops_settings import OpsSettings
from flows.settings import load, products
from serving.security import Keys
from tasks.core.errors import TidegateError
from tasks.core.settings import PARAMS
from tasks.opinion.settings import OpinionSettings

log = logging.getLogger("tidegate")

THREADS = 8


@dataclass(frozen=True)
class Named:
    """A line, and what people call it."""

    name: str
    title: str


class Desk:
    """One per process."""

    def __init__(self, settings: OpsSettings, keys: Keys) -> None:
        """Raises SettingsError where params.yaml is wrong."""
        self.keys, self._stale_hours = keys, load_alerts().missed_after_hours
        self.sessions = Sessions(keys, settings.session_hours, settings.logins_per_minute)
        self.jobs = Jobs(self._changed)
        self._pool = ThreadPoolExecutor(THREADS, "ops")
        self._shared = Shared(self._pool)
        self._watches: dict[str, Watch] = {}
        self._seen = 0
        self._lines: dict[str, Named] = {}
        self._products: dict[str, OpinionSettings] = {}
        self._lines = self._load()

    def lines(self) -> dict[str, Named]:
        """The lines of params.yaml, by name; a broken file leaves the last ones in force."""
        if _changed(PARAMS) != self._seen:
            try:
                self._lines = self._load()
            except TidegateError as error:
                log.error("params.yaml changed and cannot be read; the lines of before are shown. %s", error)
        return self._lines

    def products(self) -> dict[str, OpinionSettings]:
        """The products of params.yaml, by name; as `lines` has it."""
        self.lines()
        return self._products

    def watch(self, line: str) -> Watch:
        """What is watched of a line."""
        if line not in self._watches:
            self._watches[line] = Watch(line, self._stale_hours, self._pool, self._shared)
        return self._watches[line]

    def warm(self) -> None:
        """Ask for everything in the background, so that the first look waits less."""
        for line in self.lines():
            self._pool.submit(self.watch(line).view)

    def close(self) -> None:
        """Wait for nothing."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _load(self) -> dict[str, Named]:
        self._seen = _changed(PARAMS)
        self._products = products()
        return {name: Named(name, settings.release.title or name) for name, settings in load().items()}

    def _changed(self, line: str) -> None:
        self.watch(line).registered.expire()


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
