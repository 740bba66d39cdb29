"""A look at live traffic: what is read, what is kept, who is told, and what every bad day leaves."""

import errno
import os
from datetime import UTC, datetime, timedelta

import gto.api
import made
import numpy as np
import pytest
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st
from traffic import Traffic

from flows import alerts, evidence, observations, observe, store
from flows.observe import monitor_line
from flows.window import _places
from serving.deployment import Pointer, ServingFolder
from serving.log.settings import URL
from tasks.core.errors import BusyError, SettingsError
from tasks.core.line import STATE
from tasks.drift.examine import Findings
from tasks.drift.result import Check

TEXTS = made.texts(400, seed=5)


def check(severity="severe", **more):
    content = {
        "name": "text", "statistic": "AUC", "value": 0.9, "limit": 0.6, "p": 0.001, "p_adjusted": 0.01,
        "drifted": severity != "none", "severity": severity, "reason": "Other words.", "rows_reference": 240,
        "rows_current": 200, "sampled": False, "detectable": 0.6,
        "evidence": {
            "terms": [{"term": "</script><img src=x onerror=alert(1)>", "reference": 0.0, "current": 0.5}],
            "lengths": {"edges": [0, 5, 10], "reference": [3, 4], "current": [9, 1]},
        },
    }  # fmt: skip
    return Check(**content | more)


@pytest.fixture
def watched(assignments):
    """`good` is champion and served; `found` is what examine is made to say."""
    gto.api.assign(".", "sentiment", stage="production", version="v0.0.2")
    bundle = store.STORE / "sentiment" / assignments["good"]
    folder = ServingFolder(str(STATE / "serving"))
    folder.put("sentiment", bundle)
    folder.point(Pointer(line="sentiment", release=assignments["good"], version="v0.0.2", variant="fp32"))
    return Traffic(bundle)


@pytest.fixture
def found(monkeypatch):
    """Let examine say something."""

    def say(findings):
        monkeypatch.setattr(observe, "examine", lambda *_, **__: findings)

    say(Findings("none", "No drift was found.", [check("none")]))
    return say


def test_an_observation_is_kept_with_its_figures_and_its_report(watched, found):
    truth = watched.model.predict(TEXTS, cleaned=True).labels
    wrong = [{"negative": "positive", "positive": "negative"}[label] for label in truth]
    watched.send(TEXTS, labels=[*truth[:150], *wrong[150:200], *[None] * 200])
    seen = monitor_line("sentiment", window="1h")
    assert (seen.rows, seen.labelled, seen.rows_reference) == (400, 200, 240)
    assert seen.accuracy_known.value == 0.75 and seen.accuracy_known.low < 0.75 < seen.accuracy_known.high
    assert seen.accuracy_reference.value == pytest.approx(0.9, abs=0.02)
    assert seen.requests_per_hour == 40 and seen.latency_ms_p50 > 0
    assert (seen.release, seen.version, seen.health) == (watched.release, "v0.0.2", "green")
    assert observations.latest("sentiment") == seen
    page = observations.path("sentiment", seen.id).with_suffix(".html")
    assert page.name == seen.report and page.stat().st_size < 10e6
    assert "</script><img" not in page.read_text()
    assert list(evidence.WORKSPACE.glob("*/snapshots/*.json"))


def test_the_last_rows_whenever_they_came(watched, found):
    watched.send(TEXTS, time=datetime.now(UTC) - timedelta(days=40))
    assert monitor_line("sentiment").rows == 0
    assert monitor_line("sentiment", rows=150).rows == 150


def test_a_confirmed_drift_raises_an_alert_that_a_quiet_window_resolves(watched, found):
    watched.send(TEXTS)
    found(Findings("severe", "The texts are others.", [check()]))
    first = monitor_line("sentiment")
    assert (first.health, first.confirmed) == ("red", True)
    (alert,) = alerts.open_alerts("sentiment")
    assert (alert.kind, alert.observation, alert.reason) == ("drift", first.id, "The texts are others.")
    found(Findings("none", "No drift was found.", [check("none")]))
    assert monitor_line("sentiment").health == "green"
    assert not alerts.open_alerts("sentiment")


def test_rows_of_another_release_are_told_and_left_out(watched, found):
    watched.send(TEXTS[:150])
    watched.send(TEXTS[150:], release="0123456789ab")
    seen = monitor_line("sentiment")
    assert seen.rows == 150 and "250 rows of the window were answered by other releases" in seen.reason


def test_rows_from_the_future_are_told_and_left_out(watched, found):
    watched.send(TEXTS[:200])
    watched.send(TEXTS[200:], time=datetime.now(UTC) + timedelta(hours=3))
    seen = monitor_line("sentiment")
    assert seen.rows == 200 and "200 rows bear a time in the future" in seen.reason


@pytest.mark.parametrize(("count", "told"), [(0, "No row came"), (10, "10 rows came")])
def test_too_few_rows_are_not_judged(watched, count, told):
    watched.send(TEXTS[:count])
    seen = monitor_line("sentiment")
    assert (seen.health, seen.problem) == ("grey", None) and told in seen.reason and not seen.confirmed


def test_without_a_champion_it_says_so(assignments):
    seen = monitor_line("sentiment")
    assert seen.health == "grey" and "sentiment has no champion" in seen.problem
    assert alerts.open_alerts("sentiment")[0].kind == "run_failed"


def test_a_log_that_is_gone_is_an_alert_until_it_is_back(watched, found, monkeypatch):
    watched.send(TEXTS)
    monkeypatch.setenv(URL, "sqlite:////proc/nowhere/predictions.db")
    seen = monitor_line("sentiment")
    assert seen.health == "grey" and seen.problem
    assert [alert.kind for alert in alerts.open_alerts("sentiment")] == ["run_failed"]
    monkeypatch.delenv(URL)
    assert monitor_line("sentiment").rows == 400
    assert not alerts.open_alerts("sentiment")


def test_a_full_disk_costs_the_report_alone(watched, found, monkeypatch):
    watched.send(TEXTS)

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "somewhere")

    monkeypatch.setattr(evidence, "write_report", full)
    seen = monitor_line("sentiment")
    assert seen.rows == 400 and seen.checks and seen.report is None
    assert "No space is left" in seen.problem
    monkeypatch.undo()


def test_a_broken_workspace_costs_the_history_alone(watched, found, caplog):
    watched.send(TEXTS)
    evidence.WORKSPACE.mkdir(parents=True)
    (evidence.WORKSPACE / "01a20e3a-5ca5-77a9-862e-26d3ce0bdf8f").mkdir()
    (evidence.WORKSPACE / "01a20e3a-5ca5-77a9-862e-26d3ce0bdf8f" / "metadata.json").write_text("{")
    seen = monitor_line("sentiment")
    assert seen.report and seen.problem is None


def test_two_looks_at_once_are_refused(watched):
    lock = STATE / "locks/sentiment.monitor.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock), pytest.raises(BusyError, match="Another look at sentiment is going on"):
        monitor_line("sentiment")


@pytest.mark.parametrize("window", ["1", "d", "0d", "1y", "-1d", "1 d"])
def test_a_window_that_is_none_is_refused(watched, window):
    with pytest.raises(SettingsError, match="--window was given as"):
        monitor_line("sentiment", window=window)


def test_a_record_that_a_newer_program_or_a_killed_one_wrote_is_left_out(watched, found):
    watched.send(TEXTS)
    seen = monitor_line("sentiment")
    folder = observations.path("sentiment", seen.id).parent
    (folder / "20990101T000000-aaaaaa.json").write_text("{")
    newer = observations.path("sentiment", seen.id).read_text().replace('"schema_version": 1', '"schema_version": 99')
    (folder / "20990101T000000-bbbbbb.json").write_text(newer)
    assert observations.history("sentiment") == [seen]


@given(st.integers(0, 5000), st.integers(1, 500), st.integers(0, 9))
def test_a_sample_has_a_place_in_every_stretch(rows, wanted, seed):
    places = _places(rows, wanted, seed)
    assert len(places) == min(rows, wanted) and len(set(places.tolist())) == len(places)
    if rows > wanted:
        edges = np.arange(wanted + 1) * rows // wanted
        assert ((edges[:-1] <= places) & (places < edges[1:])).all()
