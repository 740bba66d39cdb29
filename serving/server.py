"""The process of the service: one socket, answers until it is told to end, and nothing lost at the end."""

import asyncio
import logging
import os
import signal
import socket
import sys
import threading
import time
from types import FrameType

import psutil
import uvicorn

from serving.app import create_app
from serving.bundled import Products
from serving.deployment import ServingFolder
from serving.hub import Hub
from serving.listener import announce, inherited, open_listener
from serving.log.record import Answered, Feedback
from serving.log.recorder import LogRecorder
from serving.metrics import Metrics
from serving.options import Options
from serving.protocol import bounded
from serving.security import Keys, check_binding
from serving.settings import load_products
from tasks.core.errors import TidegateError
from tasks.core.line import STATE
from tasks.core.stage import PARENT_PIPE
from tasks.team import TEAM

log = logging.getLogger("tidegate")

SERVED = STATE / "served"
"""Local copies of a serving folder that is elsewhere."""
FAREWELL_SECONDS = 1.0
"""In which every caller with an open connection is answered with `Connection: close`, and so goes elsewhere."""
DRAIN_SECONDS = 5.0  # for what is left in the queue, which nobody waits for, such as a shadow's texts
LOADERS = frozenset({"loading", "pointers"})
"""Threads that load releases."""
SWITCH = 0.0005  # seconds; a worker that has its answer waits no longer for the interpreter (Python's default: 0.005)
MEGABYTE = 2**20


class NoLog:
    """Keeps nothing."""

    def start(self) -> None:
        """Nothing to begin."""

    def stop(self, timeout: float) -> bool:  # noqa: ARG002
        """Nothing to move."""
        return True

    def answered(self, answers: Answered) -> None:
        """Let the answers go."""

    def feedback(self, given: Feedback) -> None:
        """Let the label go."""


def serve(options: Options) -> int:
    """Serve until SIGTERM or SIGINT, then finish what is in flight; a second one hurries. Returns the exit code.

    Prints `listening on http://HOST:PORT` when it accepts. Raises TidegateError where it cannot begin.
    """
    settings, bundled = options.settings, load_products()
    keys = Keys(TEAM if options.keys else None)
    check_binding(settings.host, keys)
    listener = open_listener(settings.host, settings.port) if options.listener is None else inherited(options.listener)
    metrics = Metrics()
    recorder = LogRecorder(settings.log, metrics) if options.log else NoLog()
    hub = Hub(
        ServingFolder(settings.folder), SERVED, settings.batching, metrics, recorder,
        poll_seconds=settings.poll_seconds, lines=options.lines or None,
    )  # fmt: skip
    _end_with_parent(settings.stop_seconds)
    sys.setswitchinterval(SWITCH)
    try:
        return _Process(options, hub, metrics, recorder, keys, listener, bundled).run()
    finally:
        listener.close()


class _Process(uvicorn.Server):
    """uvicorn's server around a hub: loads beside accepting, says farewell before it closes connections."""

    def __init__(
        self,
        options: Options,
        hub: Hub,
        metrics: Metrics,
        recorder: LogRecorder | NoLog,
        keys: Keys,
        listener: socket.socket,
        bundled: Products,
    ) -> None:
        settings, limits = options.settings, options.settings.limits
        self.options, self.hub, self.recorder, self.listener = options, hub, recorder, listener
        self.ending = False
        self.failure: str | None = None
        self.loading = threading.Thread(target=self._load, name="loading", daemon=True)
        app = create_app(hub, settings, metrics, recorder, keys, draining=lambda: self.ending, bundled=bundled)
        config = uvicorn.Config(
            app,
            loop="uvloop" if sys.platform != "win32" else "asyncio",
            http=bounded(limits),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=limits.connections,
            timeout_keep_alive=limits.keep_alive_seconds,
            timeout_graceful_shutdown=round(settings.stop_seconds),
        )
        super().__init__(config)

    def run(self, sockets: list[socket.socket] | None = None) -> int:  # type: ignore[override]
        """Serve to the end; the exit code."""
        process = psutil.Process()
        log.info("imported in %.1f s, %s; process %d", time.time() - process.create_time(), _memory(), os.getpid())
        self.recorder.start()
        self.loading.start()
        super().run(sockets or [self.listener])
        patience = 0.0 if self.force_exit else DRAIN_SECONDS
        drained = self.hub.stop(patience)
        moved = self.recorder.stop(patience)
        if self.failure:
            log.error("%s", self.failure)
        kept = "" if moved else "; the log's spool goes into the database at the next start"
        log.info("ended%s%s", "" if drained else " with requests left", kept)
        code = 1 if self.failure else 0
        if not drained or any(thread.name in LOADERS for thread in threading.enumerate()):
            logging.shutdown()
            os._exit(code)  # a thread inside onnxruntime cannot be told to end, and aborts when it is cut off
        return code

    def _load(self) -> None:
        try:
            self.hub.start()
        except TidegateError as error:
            self.failure = str(error)
            self.should_exit = True
            return
        names = self.hub.lines()
        served = ", ".join(_named(self.hub, name) for name in names)
        state = "ready" if self.hub.ready() else "not ready"
        log.info("%s: %s; %s", state, served or "no line", _memory())

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept at once where this process is alone; under a supervisor, which has another at work, once warm."""
        while self.options.listener is not None and self.loading.is_alive() and not self.should_exit:
            await asyncio.sleep(0.02)
        if self.options.only_ready and not self.hub.ready() and not self.should_exit:
            self.failure = "The new process is not ready, so the one before it goes on."
            self.should_exit = True
        if self.options.listener is not None and self.should_exit:
            return
        await super().startup(sockets)
        if self.options.listener is None:
            announce(self.listener)
        if self.options.ready is not None:
            os.write(self.options.ready, b"ready")
            os.close(self.options.ready)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no new connection, part from the open ones, finish what is in flight."""
        log.info("ending: %d requests in flight", len(self.server_state.tasks))
        self.ending = True
        for server in self.servers:
            server.close()
        end = time.monotonic() + FAREWELL_SECONDS
        while self.server_state.connections and time.monotonic() < end and not self.force_exit:
            await asyncio.sleep(0.02)
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """End; at the second signal without waiting. uvicorn would raise the signal once more at the end."""
        self.force_exit = self.should_exit
        self.should_exit = True


def _named(hub: Hub, name: str) -> str:
    champion = hub.line(name).champion
    if champion is None:
        return f"{name} without a release"
    version = f", {champion.version}" if champion.version else ""
    return f"{name} {champion.release}{version} ({champion.variant}, {champion.provider})"


def _memory() -> str:
    return f"{psutil.Process().memory_info().rss / MEGABYTE:.0f} MB"


def _end_with_parent(seconds: float) -> None:
    """End as at SIGTERM when the process that started this one is gone: it holds the other end of a pipe open."""
    pipe = os.environ.pop(PARENT_PIPE, None)
    if pipe is not None:
        threading.Thread(target=_watch_parent, args=(int(pipe), seconds), name="parent", daemon=True).start()


def _watch_parent(pipe: int, seconds: float) -> None:
    os.read(pipe, 1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(2 * seconds)
    os.kill(os.getpid(), signal.SIGKILL)
