"""The clean-up in a real repository: what goes, and what never does."""

import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import gto.api
import pytest
import yaml
from answers import answered
from commands import tidegate
from filelock import FileLock

from flows import alerts, deploy, loop, observations, store, tidy
from flows.champion import champion
from flows.lock import hold
from serving.deployment import Pointer
from serving.log.recorder import LogRecorder
from serving.log.settings import LogSettings
from serving.metrics import Metrics
from tasks.core.errors import BusyError, StageError
from tasks.core.line import STATE, Line
from tasks.drift.result import Observation

LINE = Line("sentiment")
BUNDLE = Path("data/sentiment/release/bundle")
NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """No Prefect server unless a test brings one."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)


@pytest.fixture
def project(project):
    """Two releases in a store, and neither git nor DVC."""
    with Path("params.yaml").open("a") as params:
        params.write("housekeeping: {dvc_cache: false}\n")
    return project


def aged(path, days, content="{}"):
    """A file, or a folder with one, that was written so long ago."""
    file = path if path.suffix else path / "file"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    then = (NOW - timedelta(days=days)).timestamp()
    for each in (file, path):
        os.utime(each, (then, then))
    return path


def cached():
    return {path for path in Path(".dvc/cache/files").rglob("*") if path.is_file()}


def drafted():
    """Record another release without a commit, then go back: as a trial of settings does. What it left in the cache."""
    before = cached()
    (BUNDLE / "draft.txt").write_text("a draft")
    subprocess.run([sys.executable, "-m", "dvc", "commit", "-q", "-f"], check=True)
    subprocess.run(["git", "checkout", "-q", "dvc.lock"], check=True)
    subprocess.run([sys.executable, "-m", "dvc", "checkout", "-q", "-f"], check=True)
    return cached() - before


def test_a_registered_release_survives_and_can_be_fetched(assignments):
    gto.api.assign(".", "sentiment", "production", version="v0.0.1")
    garbage = drafted()
    assert garbage, "or this test shows nothing"
    before = cached()
    found = tidy.tidy(dry_run=True)
    assert cached() == before and f"files of old versions in DVC's cache: {len(garbage)}" in str(found)
    found = tidy.tidy()
    assert not found.failed and cached() == before - garbage
    shutil.rmtree(store.STORE)
    assert champion(LINE).name == assignments["bad"], "which no branch's head names"
    assert tidy.tidy().done == []


def test_a_clone_that_holds_a_part_of_the_data_is_tidied_too(assignments):
    gto.api.assign(".", "sentiment", "production", version="v0.0.1")
    garbage = drafted()
    (out,) = yaml.safe_load(Path("dvc.lock").read_text())["stages"]["release@sentiment"]["outs"]
    Path(".dvc/cache/files/md5", out["md5"][:2], out["md5"][2:]).unlink()  # of the other release, which is checked out
    assert not tidy.tidy().failed and not cached() & garbage
    shutil.rmtree(store.STORE)
    assert champion(LINE).name == assignments["bad"]


def test_what_a_branch_of_the_loop_proposes_survives(assignments):
    subprocess.run(["git", "checkout", "-qb", "tidegate/sentiment/x"], check=True)
    (BUNDLE / "draft.txt").write_text("a proposal")
    subprocess.run([sys.executable, "-m", "dvc", "commit", "-q", "-f"], check=True)
    subprocess.run(["git", "commit", "-qam", "proposal"], check=True)
    subprocess.run(["git", "checkout", "-q", "-"], check=True)
    subprocess.run([sys.executable, "-m", "dvc", "checkout", "-q", "-f"], check=True)
    before = cached()
    assert not tidy.tidy().failed and cached() == before


def test_the_cache_stays_while_something_runs(assignments):
    drafted()
    before = cached()
    with hold("sentiment.loop", "busy"):
        found = tidy.tidy()
    assert cached() == before and not found.failed
    assert "DVC's cache: left for the next time. Something of sentiment is going on." in found.done


def test_of_the_store_old_unregistered_releases_go(project, monkeypatch):
    made = [aged(store.STORE / "sentiment" / f"{n:012x}", 40) for n in range(11)]
    for n, folder in enumerate(made):
        (folder / "provenance.json").write_text(f'{{"time": "2025-01-{n + 1:02}T00:00:00+00:00"}}')
    monkeypatch.setattr(deploy, "spared", lambda _: {made[0].name})
    tidy.tidy(dry_run=True)
    assert all(folder.exists() for folder in made)
    tidy.tidy()
    assert [folder.name for folder in made if not folder.exists()] == [folder.name for folder in made[1:3]]


def test_of_the_serving_folder_what_nothing_points_to_goes_after_a_day(project):
    folder = deploy.serving_folder()
    for name in ("good", "bad"):
        folder.put("sentiment", store.STORE / "sentiment" / project[name])
    folder.point(Pointer(line="sentiment", release=project["good"], variant="fp32"))
    assert not tidy.tidy().failed
    assert len(list(Path(folder.root).glob("sentiment/releases/*"))) == 2, "a promotion puts it there before it points"
    tidy.tidy(now=NOW + timedelta(days=2))
    assert [path.name for path in Path(folder.root).glob("sentiment/releases/*")] == [project["good"]]
    (Path(folder.root) / "sentiment/current.json").write_text("{")
    assert "current.json is broken" in str(tidy.tidy(now=NOW + timedelta(days=4)).failed)
    assert folder.holds("sentiment", project["good"])


def observation(days, confirmed):
    """An observation with its report, so old."""
    name = observations.new_id(NOW - timedelta(days=days))
    found = Observation(
        id=name, line="sentiment", time=NOW.isoformat(), release=None, version=None, since=None, until=None, rows=0,
        labelled=0, rows_reference=0, requests_per_hour=None, latency_ms_p50=None, latency_ms_p95=None,
        severity="none", health="green", reason="well", confirmed=confirmed,
    )  # fmt: skip
    path = observations.keep(found)
    aged(path, days, path.read_text())
    return path, aged(path.with_suffix(".html"), days, "<html>")


def test_reports_go_before_observations_and_those_of_confirmed_drift_last(project):
    fresh, weeks, confirmed, old = (observation(*each) for each in ((1, False), (20, False), (21, True), (200, True)))
    snapshot = aged(observations.FOLDER / "workspace/project/snapshots/run.json", 20)
    attempts = [aged(loop.evidence("sentiment", f"attempt{days}"), days) for days in (20, 200)]
    tidy.tidy()
    assert [folder.exists() for folder in attempts] == [True, False]
    there = [[path.exists() for path in pair] for pair in (fresh, weeks, confirmed, old)]
    assert there == [[True, True], [True, False], [True, True], [False, False]]
    assert not snapshot.exists()


def test_alerts_that_are_long_over_go_and_open_ones_stay(project):
    for line in ("a", "b"):
        alerts.raise_alert(line, "drift", "warning", "drifts", "why")
    alerts.resolve("a", "drift", "over")
    tidy.tidy(now=NOW + timedelta(days=360))
    assert len(alerts.alerts()) == 2
    tidy.tidy(now=NOW + timedelta(days=370))
    assert [alert.line for alert in alerts.alerts()] == ["b"]


def test_checkpoints_go_unless_a_training_holds_them(project):
    folders = {name: aged(STATE / "checkpoints" / name, days) for name, days in (("a", 1), ("b", 9), ("c", 9))}
    with FileLock(STATE / "checkpoints/c.lock"):
        tidy.tidy()
    assert [name for name, folder in folders.items() if folder.exists()] == ["a", "c"]


def test_a_worktree_goes_unless_something_runs(project):
    folder = aged(STATE / "worktrees/sentiment", 0)
    (folder / ".tidegate").symlink_to(STATE.absolute(), target_is_directory=True)
    with hold("sentiment.loop", "busy"):
        tidy.tidy()
    assert folder.exists()
    tidy.tidy()
    assert not folder.exists() and STATE.exists()


def test_old_rows_of_the_log_go(project):
    recorder = LogRecorder(LogSettings(keep_days=36_500), Metrics())
    recorder.start()
    for days in (100, 0):
        recorder.answered(answered(f"r{days}", time=NOW - timedelta(days=days)))
    assert recorder.stop(20)
    said = "rows of the prediction log older than serving.log.keep_days: 1"
    assert said in tidy.tidy(dry_run=True).done
    assert said in tidy.tidy().done
    assert said not in tidy.tidy().done


def test_a_part_that_fails_stops_no_other_and_is_said(project, monkeypatch):
    def broken(*_):
        raise StageError("it is broken")

    aged(STATE / "checkpoints/a", 9)
    monkeypatch.setattr(deploy, "spared", broken)
    found = tidy.tidy()
    assert "releases: it is broken" in found.failed and not (STATE / "checkpoints/a").exists()


def test_one_at_a_time(project):
    with hold(tidy.LOCK, "busy"), pytest.raises(BusyError, match="clean-up or backup"):
        tidy.tidy()


def test_the_command(project):
    aged(STATE / "checkpoints/a", 9)
    done = tidegate("cleanup", "--dry-run")
    assert "checkpoint of a broken training, a: 2" in done.stdout and (STATE / "checkpoints/a").exists()
