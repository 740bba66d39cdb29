"""A process that owns the listening socket and has another one answer: restarts then leave no gap.

- A child that dies is replaced, after a growing pause when it keeps dying. Callers wait in the socket's queue.
- At SIGHUP a new child is started beside the old one. Once it is warm and accepts, the old one finishes and ends. One
  that does not become ready is ended, and the old one goes on.
- At SIGTERM or SIGINT the child finishes, and so does this process; likewise when the process that started this one and
  holds the other end of its pipe is gone. If this process is killed, the child ends as well.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from asyncio.subprocess import Process
from collections.abc import Coroutine
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any

from serving.listener import announce, open_listener
from serving.options import Options
from serving.security import Keys, check_binding
from tasks.core.errors import SettingsError
from tasks.core.stage import PARENT_PIPE
from tasks.team import TEAM

log = logging.getLogger("tidegate")

FIRST_PAUSE, LAST_PAUSE = 0.2, 10.0  # seconds before a dead child is replaced
LIVED = 60.0
"""Seconds after which a child's death is no longer counted with those before it."""
START_SECONDS = 300.0  # to fetch, load and warm all releases
SPARE_SECONDS = 10.0  # beyond those that a child gives itself to end


def supervise(options: Options) -> int:
    """Serve through child processes until told to end; the exit code.

    Raises TidegateError where the settings are wrong or the socket cannot be had.
    """
    settings = options.settings
    check_binding(settings.host, Keys(TEAM if options.keys else None))
    with closing(open_listener(settings.host, settings.port)) as listener:
        announce(listener)
        return asyncio.run(Supervisor(listener, options).run())


@dataclass(frozen=True)
class Child:
    """A process that answers, and the end of the pipe that tells it that this one lives."""

    process: Process
    alive: int
    born: float

    def lives(self) -> bool:
        """Whether it has not ended."""
        return self.process.returncode is None


class Supervisor:
    """Keeps one child answering on the socket."""

    def __init__(self, listener: socket.socket, options: Options) -> None:
        self.listener, self.options = listener, options
        self._stop, self._renew = asyncio.Event(), asyncio.Event()
        self._partings: set[asyncio.Task[None]] = set()

    async def run(self) -> int:
        """Until told to end. Returns 0, or 2 when the first child finds its settings wrong."""
        loop = asyncio.get_running_loop()
        for which in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(which, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._renew.set)
        if (pipe := os.environ.pop(PARENT_PIPE, None)) is not None:
            loop.add_reader(int(pipe), self._orphaned, int(pipe))
        child = await self._start()
        if child.process.returncode == SettingsError.exit_code:
            return SettingsError.exit_code
        deaths = 0
        while not self._stop.is_set():
            await _first(child.process.wait(), self._stop.wait(), self._renew.wait())
            if self._stop.is_set():
                break
            if not child.lives():
                deaths = 1 if time.monotonic() - child.born > LIVED else deaths + 1
                child = await self._again(child, deaths)
            elif self._renew.is_set():
                child = await self._replaced(child)
        self._part(child)
        await asyncio.gather(*self._partings)
        return 0

    def _orphaned(self, pipe: int) -> None:
        asyncio.get_running_loop().remove_reader(pipe)
        self._stop.set()

    async def _start(self, only_ready: bool = False) -> Child:
        """A new child that accepts, or one that has ended."""
        ready, told = os.pipe()
        watched, alive = os.pipe()
        given = [self.listener.fileno(), told, watched]
        command = [*self.options.arguments(), "--listener", str(given[0]), "--ready", str(told)]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "serving", *command, *(["--only-ready"] if only_ready else []),
            pass_fds=given, stdin=asyncio.subprocess.DEVNULL, start_new_session=True,
            env={**os.environ, PARENT_PIPE: str(watched)},
        )  # fmt: skip
        os.close(told)
        os.close(watched)
        child = Child(process, alive, time.monotonic())
        accepts = asyncio.ensure_future(_said(ready))
        await _first(accepts, self._stop.wait(), asyncio.sleep(START_SECONDS))
        if not (accepts.done() and accepts.result()) and not self._stop.is_set():
            await self._end(child)
        return child

    async def _again(self, dead: Child, deaths: int) -> Child:
        """A child in the place of a dead one."""
        os.close(dead.alive)
        pause = min(FIRST_PAUSE * 2 ** (deaths - 1), LAST_PAUSE)
        log.error(
            "process %d ended with %s; another starts in %.1f s", dead.process.pid, dead.process.returncode, pause
        )
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), pause)
        return await self._start()

    async def _replaced(self, old: Child) -> Child:
        """A new child, beside which the old one ends; the old one where the new one is not ready."""
        self._renew.clear()
        new = await self._start(only_ready=True)
        if self._stop.is_set():
            self._part(old)
            return new
        if not new.lives():
            os.close(new.alive)
            log.error("the new process did not become ready; process %d goes on", old.process.pid)
            return old
        log.info("process %d takes over from %d", new.process.pid, old.process.pid)
        self._part(old)
        return new

    def _part(self, child: Child) -> None:
        """End a child while this goes on."""

        async def parting() -> None:
            await self._end(child)
            os.close(child.alive)

        task = asyncio.ensure_future(parting())
        self._partings.add(task)
        task.add_done_callback(self._partings.discard)

    async def _end(self, child: Child) -> None:
        """Let it finish; kill it when it takes too long."""
        with suppress(ProcessLookupError):
            child.process.terminate()
            try:
                await asyncio.wait_for(child.process.wait(), 2 * self.options.settings.stop_seconds + SPARE_SECONDS)
            except TimeoutError:
                child.process.kill()
                await child.process.wait()


async def _first(*waits: Coroutine[Any, Any, Any] | asyncio.Future[Any]) -> None:
    """Return with the first that is done; the others are given up."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()


async def _said(pipe: int) -> bool:
    """Whether something is written to a pipe before its other end closes."""
    loop = asyncio.get_running_loop()
    said: asyncio.Future[bool] = loop.create_future()

    def read() -> None:
        loop.remove_reader(pipe)
        said.set_result(bool(os.read(pipe, 16)))

    loop.add_reader(pipe, read)
    try:
        return await said
    finally:
        loop.remove_reader(pipe)
        os.close(pipe)
