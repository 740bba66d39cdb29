"""Retraining in a worktree of its own: what is left when it is rejected, refused or killed, and whose edits it sees."""

import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

import ops_state
import psutil
import pytest
import yaml
from commands import started, tidegate
from releases import wait_until

from flows import alerts, loop, observations, retrain
from flows.git import git
from flows.lock import hold
from flows.loop import RefusedError
from flows.registry import Assigned
from flows.retrain import retrain_line
from tasks.core.errors import BusyError
from tasks.core.files import write_text

SEEN = "20260501T000000-abcdef"


@pytest.fixture
def line(fake):
    """The small project `fake`, whose second stage rejects; its loop stops after the first rejection."""
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["lines"]["toy"]["loop"] = {"retrain": True, "cool_down_hours": 0, "stop_after": 1}
    Path("params.yaml").write_text(yaml.safe_dump(params))
    Path("limit").write_text("0.9")
    git("commit", "-qam", "a loop")
    return fake


def left():
    """What of an attempt is still here: worktrees and branches."""
    return [*Path(".tidegate/worktrees").glob("*")], git("branch", "--list", "tidegate/*").split()


def test_a_rejected_attempt_leaves_its_evidence_and_nobodys_edits_are_touched(line):
    write_text(Path("params.yaml"), Path("params.yaml").read_text() + "# somebody edits\n")
    write_text(Path("limit"), "0.1")
    before = git("status", "--porcelain")
    done = retrain_line("toy", SEEN)
    assert done.outcome == "rejected"
    assert "at least 0.9 is needed" in done.reason
    assert left() == ([], [])
    assert git("status", "--porcelain") == before
    assert "second: ran" in (loop.evidence("toy", done.id) / "log.txt").read_text()
    (alert,) = alerts.open_alerts("toy")
    assert (alert.kind, alert.observation) == ("loop", SEEN)
    assert "a person must look" in alert.reason
    with pytest.raises(RefusedError, match="a person must look"):
        retrain_line("toy", observations.new_id(loop.datetime.now(loop.UTC)))
    with pytest.raises(RefusedError, match="answered observation"):
        retrain_line("toy", SEEN)


def test_a_drift_of_the_champion_before_is_not_answered(line, monkeypatch):
    seen = ops_state.observation(datetime(2026, 5, 1, tzinfo=UTC), "red", line="toy", id=SEEN, version="v0.1.0")
    observations.keep(seen)
    monkeypatch.setattr(retrain, "current_champion", lambda _: Assigned("v0.2.0", "abc", seen.time, 2, None))
    with pytest.raises(RefusedError, match=r"looked at v0\.1\.0; v0\.2\.0 is champion since"):
        retrain_line("toy", SEEN)
    assert loop.attempts("toy") == []


def test_never_two_at_once(line):
    with hold("toy.loop", "busy"), pytest.raises(BusyError, match="Another retraining of toy"):
        retrain_line("toy")
    assert loop.attempts("toy") == []


@pytest.mark.long
def test_killed_in_mid_run_the_next_start_puts_it_in_order(line, tmp_path):
    Path("wait").write_text("60")
    git("commit", "-qam", "slow")
    at_work = Path(".tidegate/worktrees/toy/started")
    with started(sys.executable, "-m", "flows.cli", "retrain", "toy", log=tmp_path / "log") as process:
        assert wait_until(lambda: at_work.exists() and at_work.read_text())
        stage = int(at_work.read_text())
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert wait_until(lambda: not psutil.pid_exists(stage) or psutil.Process(stage).status() == psutil.STATUS_ZOMBIE)
    assert [one.outcome for one in loop.dead("toy")] == ["running"]
    Path("wait").write_text("0")
    git("commit", "-qam", "quick")
    done = retrain_line("toy", why="again")
    assert done.outcome == "rejected"
    first = loop.attempts("toy")[0]
    assert (first.outcome, first.reason) == ("failed", "Its process was killed.")
    assert left() == ([], [])


def test_an_attempt_that_cannot_begin_is_recorded_and_told(line):
    Path("tasks/first.py").write_text("raise SystemExit(1)\n")
    git("commit", "-qam", "broken")
    done = tidegate("retrain", "toy", "--why", "try")
    assert done.returncode == 1
    assert "failed: first of toy ended with exit code 1" in done.stdout
    assert [alert.title for alert in alerts.open_alerts("toy")] == ["retraining failed"]
    assert left() == ([], [])
