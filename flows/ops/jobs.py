"""What people set going on the page: the very commands that they could give themselves, each a process of its own."""

import logging
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from flows.approver import KEY
from flows.process import child
from tasks.core.errors import BusyError, RejectedError

log = logging.getLogger("tidegate")

KEPT = 20
"""Jobs of a line that are remembered."""
LINES = 40
"""Of what a job said."""
SHOWN_SECONDS = 3600.0
"""A job that ended longer ago is history: the releases and their versions tell of it."""

Act = Literal["promote", "reject", "rollback"]
State = Literal["running", "done", "rejected", "failed"]


@dataclass
class Job:
    """One command, and what it said so far."""

    number: int
    line: str
    act: Act
    by: str
    about: str
    """The release or version that it concerns."""
    started: datetime
    state: State = "running"
    said: deque[str] = field(default_factory=lambda: deque(maxlen=LINES))
    ended: float | None = None

    @property
    def last(self) -> str:
        """Its newest words; of a failure the reason."""
        return self.said[-1] if self.said else ""


class Jobs:
    """Runs one job per line at a time, and remembers the last ones."""

    def __init__(self, changed: Callable[[str], object] = str) -> None:
        """`changed` is told the line of a job that ended."""
        self.changed = changed
        self._jobs: deque[Job] = deque(maxlen=KEPT)
        self._count = 0
        self._lock = threading.Lock()

    def start(self, line: str, act: Act, about: str, by: str, arguments: Sequence[str], key: str | None) -> Job:
        """Begin `tidegate ACT LINE ...`. Raises BusyError where a job of the line is running."""
        with self._lock:
            if any(job.line == line and job.state == "running" for job in self._jobs):
                raise BusyError(f"Something else is being done with {line}. Wait for its end, then again.")
            self._count += 1
            job = Job(self._count, line, act, by, about, datetime.now(UTC))
            self._jobs.appendleft(job)
        command = [sys.executable, "-m", "flows.cli", act, line, *arguments]
        log.info("%s of %s (%s) by %s begins", act, line, about, by)
        threading.Thread(target=self._run, args=(job, command, key), name=f"job-{job.number}", daemon=True).start()
        return job

    def of(self, line: str) -> list[Job]:
        """The jobs of a line that still matter, the newest first."""
        now = time.monotonic()
        return [
            job for job in self._jobs if job.line == line and (job.ended is None or now - job.ended < SHOWN_SECONDS)
        ]

    def _run(self, job: Job, command: list[str], key: str | None) -> None:
        state: State = "failed"
        try:
            # without a team.yaml no key is asked for; one that nobody has is given, so that the command asks no one
            with child(command, stdout=subprocess.PIPE, merged=True, environment={KEY: key or "none"}) as process:
                for text in process.stdout or ():
                    self._hear(job, text.rstrip())
                state = _state(process.wait())
        except OSError as error:
            job.said.append(str(error))
        job.ended, job.state = time.monotonic(), state
        log.info("%s of %s (%s) by %s: %s", job.act, job.line, job.about, job.by, state)
        self.changed(job.line)

    def _hear(self, job: Job, text: str) -> None:
        if text:
            job.said.append(text.removeprefix("error: "))


def _state(code: int) -> State:
    return {0: "done", RejectedError.exit_code: "rejected"}.get(code, "failed")  # type: ignore[return-value]
