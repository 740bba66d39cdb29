"""A stage body in a child process of its own: streamed, cancellable as a group, dead when its parent is."""

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tasks.core.errors import RejectedError, SettingsError, StageError, TidegateError
from tasks.core.stage import PARENT_PIPE

POLL = 2.0  # seconds between looks at whether the run was cancelled


class RunCancelled(Exception):
    """The run was cancelled from outside; its child process is gone."""


@contextmanager
def child(
    command: list[str],
    *,
    stdout: int | None = None,
    merged: bool = False,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator["subprocess.Popen[str]"]:
    """A child process in a session of its own that lives no longer than this block, nor than this process.

    `environment` is added to that of this process. Its errors go where this process's do when that is a terminal, else,
    or when `merged`, where its output goes.

    The child is told of a pipe whose other end this process holds: when that closes, the child ends its group.
    """
    reading, writing = os.pipe()
    process = None
    try:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**os.environ, **(environment or {}), PARENT_PIPE: str(reading)},
            pass_fds=[reading],
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=None if sys.stderr.isatty() and not merged else (subprocess.STDOUT if stdout else None),
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        yield process
    finally:
        if process is not None:
            _kill_group(process)
        os.close(reading)
        os.close(writing)


def run_stage(stage: str, line: str, log: Callable[[str], None], cancelled: Callable[[], bool]) -> None:
    """Run `python -m tasks.<stage> <line>`, its output going to `log` line by line.

    Raises RejectedError, SettingsError or StageError with the child's own message, RunCancelled when `cancelled`
    said so.
    """
    command = [sys.executable, "-m", f"tasks.{stage}", line]
    with child(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        tail = _stream(process.stdout, log, cancelled)
        code = process.wait()
    if code:
        raise _error(stage, line, code, tail)


def _stream(stdout: IO[str], log: Callable[[str], None], cancelled: Callable[[], bool]) -> list[str]:
    """Pass lines on until the child closes its output; returns the lines from its `error:` on."""
    lines: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        for text in stdout:
            lines.put(text.rstrip("\n"))
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    tail: list[str] = []
    look_at = time.monotonic() + POLL
    while True:
        if time.monotonic() >= look_at:
            if cancelled():
                raise RunCancelled
            look_at = time.monotonic() + POLL
        try:
            text = lines.get(timeout=POLL)
        except queue.Empty:
            continue
        if text is None:
            return tail
        if text.startswith("error: ") or tail:
            tail.append(text.removeprefix("error: "))
        else:
            log(text)


def _error(stage: str, line: str, code: int, tail: list[str]) -> TidegateError:
    kind = {SettingsError.exit_code: SettingsError, RejectedError.exit_code: RejectedError}.get(code, StageError)
    if tail:
        return kind("\n".join(tail))
    if code < 0:
        name = signal.Signals(-code).name
        hint = " The machine may have run out of memory." if name == "SIGKILL" else ""
        return StageError(f"{stage} of {line} was ended by {name}.{hint} Nothing was recorded; run it again.")
    return StageError(f"{stage} of {line} ended with exit code {code}; its log is above. Nothing was recorded.")


def _kill_group(process: "subprocess.Popen[str]") -> None:
    """End whatever is left of the child's group, politely first."""
    for which, seconds in ((signal.SIGTERM, 5.0), (signal.SIGKILL, None)):
        if process.poll() is None:
            _signal(process.pid, which)
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                continue
    _signal(process.pid, signal.SIGKILL)


def _signal(group: int, which: signal.Signals) -> None:
    try:
        os.killpg(group, which)
    except (ProcessLookupError, PermissionError):
        return
