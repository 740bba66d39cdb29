"""`tidegate up`: everything that one machine needs, started, watched and ended together."""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

from flows import deployments, running
from flows.group import Group, Stop
from flows.lock import hold
from flows.programs import named, programs
from flows.settings import load
from flows.up_settings import load_up
from tasks.core.errors import BusyError, SettingsError, TidegateError

log = logging.getLogger("tidegate")

LOCK = "up"
POLL = 0.2  # seconds between looks at whether it is up, or down
DOWN_SECONDS = 90.0  # for everything to end itself, runs and requests in flight included
INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def up(only: Sequence[str] = ()) -> int:
    """Start everything and keep it running until SIGTERM (exit code 0) or Ctrl-C (130).

    `only` names some of flows.programs.PROGRAMS; without it pages are left out that nobody needs here. Where
    PREFECT_API_URL names a server, none is started. Raises SettingsError where params.yaml, prefect.yaml or what a
    program finds is wrong, BusyError where it runs already.
    """
    deployments.check(load())
    settings = load_up()
    chosen = named(only, settings)
    with hold(LOCK, _runs_already()), Stop().heeded() as stop:
        Group(programs(chosen, settings), settings, stop).run()
    return INTERRUPTED if stop.which == signal.SIGINT else 0


def up_detached(only: Sequence[str] = ()) -> None:
    """Start everything in the background; returns when everything has answered once.

    Raises TidegateError with what `up` said where it ended instead.
    """
    if running.found():
        raise BusyError(_runs_already())
    running.LOGS.mkdir(parents=True, exist_ok=True)
    written = running.LOGS / "up.log"
    command = [sys.executable, "-m", "flows.cli", "up", *(f"--only={name}" for name in only)]
    with written.open("w", encoding="utf-8") as stream:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True
        )
    deadline = time.monotonic() + load_up().ready_seconds
    while not ((now := running.found()) and now.pid == process.pid and now.ready):
        if process.poll() is not None:
            said = written.read_text(encoding="utf-8").rpartition("error: ")[2].strip()
            raise (SettingsError if process.returncode == SettingsError.exit_code else TidegateError)(said)
        if time.monotonic() > deadline:
            raise TidegateError(f"Not everything answers yet. `tidegate ps` says what does; logs: {running.LOGS}/.")
        time.sleep(POLL)


def down() -> str:
    """End the `tidegate up` of this project; what was done, in a sentence."""
    now = running.found()
    if now is None:
        return "Nothing runs here."
    with suppress(ProcessLookupError):
        os.kill(now.pid, signal.SIGTERM)
    deadline = time.monotonic() + DOWN_SECONDS
    while running.lives(now):
        if time.monotonic() > deadline:
            os.kill(now.pid, signal.SIGKILL)  # its programs end with it
            return f"It did not end within {DOWN_SECONDS:.0f} s and was killed, with all it ran."
        time.sleep(POLL)
    return f"Ended: {', '.join(program.name for program in now.programs)}."


def _runs_already() -> str:
    now = running.found()
    who = f" as process {now.pid} since {now.since:%Y-%m-%d %H:%M} UTC" if now else ""
    return f"`tidegate up` runs here already{who}. `tidegate ps` shows it, `tidegate down` ends it."
