"""A program kept running: started again when it dies, its output in a log of bounded size, ended with this process."""

import logging
import re
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from typing import IO

from flows.process import child
from flows.running import LOGS, Running, State
from tasks.core.errors import SettingsError

log = logging.getLogger("tidegate")

FIRST_PAUSE, LAST_PAUSE = 0.5, 60.0  # seconds before a dead program starts again
LIVED = 60.0
"""Seconds after which a program's death is no longer counted with those before it."""
LISTENING = re.compile(r"listening on (http://\S+)")
KEPT_LOGS = 3
MEGABYTE = 2**20


@dataclass(frozen=True)
class Program:
    """What is to run."""

    name: str
    command: tuple[str, ...]
    address: str | None = None
    """Where it answers; None where it answers nobody, or prints `listening on http://…` itself."""
    health: str | None = None
    """Path below its address that answers 200 when it is well."""
    stop_seconds: float = 10.0
    """It may take to end itself before it is killed."""


class Keeper:
    """Keeps one program running, in a thread of its own."""

    def __init__(self, program: Program, log_megabytes: float, changed: Callable[[], None]) -> None:
        """`changed` is called, from that thread, when `now` says something new."""
        self.program = program
        self.now = Running(name=program.name, address=program.address, health=program.health)
        self.wrong: str | None = None
        """What its last process found wrong with its settings."""
        self._changed, self._bytes = changed, int(log_megabytes * MEGABYTE)
        self._stop = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        self._said: deque[str] = deque(maxlen=20)
        self._thread = threading.Thread(target=self._keep, name=program.name, daemon=True)

    def start(self) -> None:
        """Start the program, and again whenever it dies."""
        self._thread.start()

    def stop(self) -> None:
        """Ask it to end; `join` waits for that."""
        self._stop.set()
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.terminate()

    def join(self) -> None:
        """Wait until it has ended; kill it, with all that it started, where it takes too long."""
        self._thread.join(self.program.stop_seconds)
        if self._thread.is_alive() and self._process is not None:
            log.warning("%s does not end by itself and is killed", self.program.name)
            self._process.kill()
        self._thread.join()

    def _keep(self) -> None:
        deaths = 0
        LOGS.mkdir(parents=True, exist_ok=True)
        with closing(
            RotatingFileHandler(self.now.log, maxBytes=self._bytes, backupCount=KEPT_LOGS, encoding="utf-8")
        ) as writer:
            while not self._stop.is_set():
                born = time.monotonic()
                code = self._once(writer)
                if self._stop.is_set():
                    break
                reason = self._reason(code)
                self.wrong = reason if code == SettingsError.exit_code else None
                deaths = 1 if time.monotonic() - born > LIVED else deaths + 1
                pause = min(FIRST_PAUSE * 2 ** (deaths - 1), LAST_PAUSE)
                log.error("%s %s; it starts again in %.1f s", self.program.name, reason, pause)
                self._tell("waits", pid=None, restarts=self.now.restarts + 1)
                self._stop.wait(pause)
        self._tell("ended", pid=None)

    def _once(self, writer: RotatingFileHandler) -> int:
        """Run the program to its end; its exit code. What it left behind is ended with it."""
        self._said.clear()
        with child(list(self.program.command), stdout=subprocess.PIPE, merged=True) as process:
            self._process = process
            assert process.stdout is not None  # noqa: S101 - a pipe was asked for
            reader = threading.Thread(target=self._copy, args=(process.stdout, writer), daemon=True)
            reader.start()
            self._tell("runs", pid=process.pid, since=datetime.now(UTC))
            if self._stop.is_set():  # since it was last asked
                process.terminate()
            code = process.wait()
        reader.join()  # its children held the pipe open, and are gone now
        return code

    def _copy(self, output: IO[str], writer: RotatingFileHandler) -> None:
        for text in output:
            line = text.rstrip("\n")
            writer.emit(logging.makeLogRecord({"msg": "%s", "args": (line,)}))
            self._said.append(line)
            if self.program.address is None and (found := LISTENING.search(line)):
                self._tell("runs", address=found[1])

    def _tell(self, state: State, **changes: object) -> None:
        self.now = self.now.model_copy(update={"state": state, **changes})
        self._changed()

    def _reason(self, code: int) -> str:
        errors = [text.removeprefix("error: ") for text in self._said if text.startswith("error: ")]
        said = f": {errors[-1]}" if errors else f" (its log is {self.now.log})"
        return f"ended with {f'signal {-code}' if code < 0 else f'exit code {code}'}{said}"
