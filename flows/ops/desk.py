"""What the page has at hand: settings, lines, who is signed in, what is watched, what goes on."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from flows.alert_settings import load_alerts
from flows.ops.fresh import Fresh
from flows.ops.jobs import Jobs
from flows.ops.queues import Queue, queue
from flows.ops.view import Shared, Watch
from flows.ops_settings import OpsSettings
from flows.web.lines import Lines, Named
from flows.web.sessions import Sessions
from serving.security import Keys
from tasks.dialogue.settings import AnswerSettings
from tasks.opinion.settings import OpinionSettings

THREADS = 8


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
        self._queues: dict[str, Fresh[Queue]] = {}
        self._lines = Lines()

    def lines(self) -> Mapping[str, Named]:
        """The lines of params.yaml, by name."""
        return self._lines()

    def products(self) -> Mapping[str, OpinionSettings]:
        """The products that watch opinion, by name: those that have a page here."""
        self._lines()
        return {name: one for name, one in self._lines.products.items() if isinstance(one, OpinionSettings)}

    def answering(self) -> Mapping[str, AnswerSettings]:
        """The products that answer, by name."""
        self._lines()
        return {name: one for name, one in self._lines.products.items() if isinstance(one, AnswerSettings)}

    def queues(self) -> Mapping[str, Queue]:
        """Who waits for people, by the product that they asked."""
        return {name: self._queue(name, settings).value() for name, settings in self.answering().items()}

    def links(self) -> Mapping[str, str]:
        """The pages of the products, by their addresses."""
        return {f"/products/{name}": one.title or name for name, one in self.products().items()}

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

    def _queue(self, name: str, settings: AnswerSettings) -> Fresh[Queue]:
        key = f"{name} {settings.address}"
        if key not in self._queues:
            self._queues[key] = Fresh(self._pool, lambda: queue(name, settings), Queue(known=False))
        return self._queues[key]

    def _changed(self, line: str) -> None:
        self.watch(line).registered.expire()
