"""Retraining: the release flow in a worktree of its own, then a proposal or a promotion, as params.yaml says."""

import logging
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed
from pydantic import ValidationError

from flows import alerts, loop, observations, recovery, worktree
from flows.attempt import RESULT, Result
from flows.examine import current_champion
from flows.lock import hold
from flows.loop import Attempt, RefusedError
from flows.loop_settings import LoopSettings
from flows.process import child
from flows.release import failure
from flows.settings import load
from tasks import forgotten
from tasks.core.errors import RejectedError, TidegateError
from tasks.core.line import Line

log = logging.getLogger("tidegate")

LOG = "log.txt"
NAMES = {"promoted": "Promoted", "proposed": "Proposed", "nothing_new": "NothingNew"}
"""State names of runs that ended well."""
FAILED, STOPPED = "retraining failed", "retraining has stopped"
NOTHING_NEW = "it drifts, and nothing new has come to learn from"
"""Titles of alerts: what shows one says whose it is."""
EXIT_CODES = {"rejected": RejectedError.exit_code, "failed": TidegateError.exit_code}
"""Of attempts that did not."""


@flow(name="retrain", flow_run_name="retrain-{line}")
def retrain(line: str, observation: str | None = None, severity: str | None = None) -> State[Any]:
    """Answer a confirmed drift: retrain a line, where its loop may start now. A refusal is no failure."""
    if severity in ("none", "notice"):
        return Completed(name="Refused", message=f"Drift of severity {severity} costs nothing that matters.")
    try:
        done = retrain_line(line, observation)
    except RefusedError as error:
        return Completed(name="Refused", message=str(error))
    except TidegateError as error:
        return failure(error)
    if done.outcome in NAMES:
        return Completed(name=NAMES[done.outcome], message=done.reason)
    return Failed(name="Rejected" if done.outcome == "rejected" else "Failed", message=done.reason)


def retrain_line(line: str, observation: str | None = None, why: str = "") -> Attempt:
    """Retrain a line in a worktree of its own; what came of it.

    `observation` is the drift that asks for it: then the limits of `lines.<line>.loop` hold, and RefusedError says what
    forbids it. Without one a person or a schedule asks, for whom they do not. Raises BusyError where another attempt of
    the line is running. An attempt that fails is recorded and returned, not raised.
    """
    settings = load([line])[line].loop
    with hold(f"{line}.loop", f"Another retraining of {line} is going on. Wait for its end."):
        recovery.recover(line)
        if observation is not None:
            _refuse(line, observation, settings)
        attempt = loop.begin(line, observation, why, worktree.head())
        try:
            found = _run(line, attempt, why or (f"drift, observation {observation}" if observation else "retraining"))
        except BaseException as error:
            said = str(error) if isinstance(error, TidegateError) else f"It was cut short by {type(error).__name__}."
            done = loop.finish(line, attempt, "failed", said)
            recovery.tidy(line, done)
            if not isinstance(error, TidegateError):
                raise
        else:
            done = loop.finish(line, attempt, **found.model_dump())
            recovery.tidy(line, done)
    _tell(line, done, settings)
    return done


def _refuse(line: str, observation: str, settings: LoopSettings) -> None:
    """Raise RefusedError where drift may not start an attempt now; tell people where it is for them to go on."""
    answered = next((one for one in loop.attempts(line) if one.observation == observation), None)
    if answered is not None:
        raise RefusedError(f"Attempt {answered.id} of {line} answered observation {observation} already.")
    _of_the_champion(line, observation)
    refused = loop.refusal(line)
    if refused is not None:
        if refused == loop.stopped(line, settings):
            alerts.raise_alert(line, "loop", "warning", STOPPED, refused, observation)
        raise RefusedError(refused)


def _of_the_champion(line: str, observation: str) -> None:
    """Raise RefusedError where another release is champion since: that drift was answered while this one waited."""
    seen, current = observations.read(line, observation), current_champion(Line(line))
    if seen is None or seen.version is None or current is None or seen.version == current.version:
        return
    raise RefusedError(
        f"Observation {observation} of {line} looked at {seen.version}; {current.version} is champion since. "
        "The next look says whether that one drifts."
    )


def _run(line: str, attempt: Attempt, why: str) -> Result:
    """The attempt in a process and a worktree of its own; its output goes to the log and to a file."""
    kept = loop.evidence(line, attempt.id).absolute()
    kept.mkdir(parents=True)
    with worktree.worktree(line, attempt.id, attempt.base) as folder:
        _heed(line, folder)
        command = [sys.executable, "-m", "flows.attempt", line, attempt.id, "--why", why]
        command += ["--drift"] if attempt.observation else []
        with (
            (kept / LOG).open("w", encoding="utf-8") as written,
            child(command, stdout=subprocess.PIPE, merged=True, cwd=folder) as process,
        ):
            for said in process.stdout or ():
                written.write(said)
                written.flush()
                log.info("%s", said.rstrip("\n"))
            code = process.wait()
    try:
        return Result.model_validate_json((kept / RESULT).read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        raise TidegateError(
            f"The attempt ended with exit code {code} and no result. Its log is {kept / LOG}."
        ) from None


def _heed(line: str, folder: Path) -> None:
    """What people asked to be forgotten holds at once, committed or not."""
    listed = forgotten.path(Line(line))
    if listed.exists():
        shutil.copyfile(listed, folder / listed)


def _tell(line: str, done: Attempt, settings: LoopSettings) -> None:
    """Raise or resolve the loop's alert."""
    stopped = loop.stopped(line, settings)
    if done.outcome == "failed":
        alerts.raise_alert(line, "loop", "warning", FAILED, done.reason, done.observation)
    elif done.outcome == "nothing_new" and done.observation is not None:
        alerts.raise_alert(line, "loop", "warning", NOTHING_NEW, done.reason, done.observation)
    elif stopped is not None:
        said = f"{stopped} The last: {done.reason}"
        alerts.raise_alert(line, "loop", "warning", STOPPED, said, done.observation)
    else:
        alerts.resolve(line, "loop", done.reason)
