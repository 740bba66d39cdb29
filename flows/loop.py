"""The loop's record: when it retrained a line, what came of it, and whether it may start again.

`.tidegate/loop/<line>.json`; the evidence of each attempt beside it, in `<line>/<attempt>/`.
"""

import logging
import secrets
import shutil
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from flows.leftovers import alive, tag
from flows.loop_settings import LoopSettings
from flows.record import one_line
from flows.settings import load
from tasks.core.errors import RejectedError, StageError
from tasks.core.files import read_json, write_json
from tasks.core.line import STATE

log = logging.getLogger("tidegate")

FOLDER = STATE / "loop"
SCHEMA = 1
WEEK = timedelta(days=7)

Outcome = Literal["running", "promoted", "proposed", "rejected", "failed", "nothing_new"]
"""proposed: a release that gates and comparison accept waits for a person. nothing_new: the line's release is champion
already, or was looked at before."""


class RefusedError(RejectedError):
    """The loop may not start now."""


class Attempt(BaseModel):
    """One retraining in a worktree of its own."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    """Time and a few hex digits; sorts by time. Names its branch `tidegate/<line>/<id>` and its folder of evidence."""
    started: str
    ended: str | None = None
    observation: str | None = None
    """The drift that it answers; None where a person or a schedule started it."""
    why: str = ""
    base: str = ""
    """The commit that it started from."""
    commit: str | None = None
    """Records the release, on the attempt's branch; None where there is none."""
    release: str | None = None
    outcome: Outcome = "running"
    reason: str = ""
    """Why it ended as it did, in a sentence."""
    rows_until: str | None = None
    """The newest row of the prediction log that it may have learned from, ISO 8601, UTC: rows after it are fair."""
    process: str = ""
    """Of leftovers.tag(): tells whether a running attempt still lives."""

    @property
    def asked_by(self) -> Literal["drift", "person", "schedule"]:
        """Who started it: an observation, a person, who says why, or neither."""
        return "drift" if self.observation is not None else "person" if self.why else "schedule"


class Loop(BaseModel):
    """All that is known of a line's attempts, oldest first."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_version: int = SCHEMA
    attempts: list[Attempt] = []

    @property
    def running(self) -> Attempt | None:
        """The attempt that goes on now."""
        last = self.attempts[-1] if self.attempts else None
        return last if last is not None and last.outcome == "running" and alive(last.process) else None

    @property
    def rejected(self) -> int:
        """Attempts in a row, up to the newest, that drift started and that were rejected.

        A person's attempt begins the count anew: somebody has looked. A schedule's rejection counts for nothing.
        """
        ended = [one for one in reversed(self.attempts) if one.outcome in ("promoted", "proposed", "rejected")]
        counted = [one for one in ended if one.outcome != "rejected" or one.asked_by != "schedule"]
        return len(list(takewhile(lambda one: one.outcome == "rejected" and one.asked_by == "drift", counted)))


def state(line: str) -> Loop:
    """The loop of a line. Raises StageError where its record is broken or a newer program's."""
    path = _path(line)
    try:
        found = Loop.model_validate(read_json(path))
    except FileNotFoundError:
        return Loop()
    except (ValueError, ValidationError) as error:
        said = str(error).splitlines()[0]
        raise StageError(f"{path} is broken ({said}). Move it away: the loop then begins to count anew.") from None
    if found.schema_version > SCHEMA:
        raise StageError(f"{path} has schema version {found.schema_version}; this program knows {SCHEMA}. Update.")
    return found


def attempts(line: str) -> list[Attempt]:
    """The attempts of a line, oldest first."""
    return state(line).attempts


def refusal(line: str, now: datetime | None = None) -> str | None:
    """Why a confirmed drift may not start a retraining now, in a sentence; None where it may."""
    settings = load([line])[line].loop
    if not settings.retrain:
        return f"params.yaml says lines.{line}.loop.retrain: false. `tidegate retrain {line} --why TEXT` starts one."
    return stopped(line, settings) or _too_soon(line, state(line), settings, now or datetime.now(UTC))


def stopped(line: str, settings: LoopSettings) -> str | None:
    """What to say where so many attempts in a row were rejected that a person must look; None where they may go on."""
    rejected = state(line).rejected
    if rejected < settings.stop_after:
        return None
    return (
        f"The last {rejected} attempts of {line} were rejected: a person must look "
        f"(loop.stop_after: {settings.stop_after}). `tidegate retrain {line} --why TEXT` begins the count anew."
    )


def _too_soon(line: str, loop: Loop, settings: LoopSettings, now: datetime) -> str | None:
    if loop.running is not None:
        return f"Attempt {loop.running.id} of {line} is running since {loop.running.started}."
    tried = [one for one in loop.attempts if one.outcome != "nothing_new"]  # it cost nothing: labels may come any hour
    ends = [datetime.fromisoformat(one.ended) for one in tried if one.ended]
    cool = max(ends, default=now) + timedelta(hours=settings.cool_down_hours)
    if ends and now < cool:
        return f"The last attempt of {line} ended {_said(max(ends))}; the next may start {_said(cool)}."
    starts = sorted(datetime.fromisoformat(one.started) for one in tried if one.observation is not None)
    recent = [start for start in starts if now - start < WEEK]
    if len(recent) >= settings.per_week:
        free = recent[-settings.per_week] + WEEK
        return (
            f"Drift had {line} retrained {len(recent)} times in seven days (loop.per_week: {settings.per_week}); "
            f"the next may start {_said(free)}."
        )
    return None


def begin(line: str, observation: str | None, why: str, base: str) -> Attempt:
    """Record that an attempt starts. Call it with the loop of the line held."""
    now = datetime.now(UTC)
    attempt = Attempt(
        id=f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(2)}", started=now.isoformat(timespec="seconds"),
        observation=observation, why=one_line(why), base=base, process=tag(),
    )  # fmt: skip
    _write(line, [*attempts(line), attempt])
    return attempt


def finish(line: str, attempt: Attempt, outcome: Outcome, reason: str, **more: str | None) -> Attempt:
    """Record how an attempt ended; `more` are fields of Attempt. Returns it.

    Of attempts without news that follow on each other the last stays alone: while labels are awaited there is one for
    every look of the monitor.
    """
    ended = datetime.now(UTC).isoformat(timespec="seconds")
    done = attempt.model_copy(update={"outcome": outcome, "reason": one_line(reason), "ended": ended, **more})
    before = [one for one in attempts(line) if one.id != attempt.id]
    while before and before[-1].outcome == done.outcome == "nothing_new":
        shutil.rmtree(evidence(line, before.pop().id), ignore_errors=True)
    _write(line, [*before, done])
    return done


def dead(line: str) -> list[Attempt]:
    """The attempts that nobody has ended and whose process is gone."""
    return [one for one in attempts(line) if one.outcome == "running" and not alive(one.process)]


def evidence(line: str, attempt: str) -> Path:
    """The folder in which an attempt keeps what a person may want to see: verdicts, pages, its log."""
    return FOLDER / line / attempt


def _write(line: str, found: list[Attempt]) -> None:
    write_json(_path(line), Loop(attempts=found).model_dump(mode="json"))


def _path(line: str) -> Path:
    return FOLDER / f"{line}.json"


def _said(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
