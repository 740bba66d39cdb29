"""A look at live traffic: what is read, what is kept, who is told, and what every bad day leaves."""

import errno
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import made
import numpy as np
import pytest
import yaml
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st
from traffic import EVIL, Traffic, check

from flows import alerts, evidence, history, observations, observe, store
from flows.forget import forget
from flows.observe import monitor_line
from flows.telling import markdown, say
from flows.window import _places
from serving.log.settings import KEY, URL
from tasks.core.errors import BusyError, SettingsError
from tasks.core.files import read_json
from tasks.core.line import STATE
from tasks.core.settings import PARAMS
from tasks.drift.examine import Findings

TEXTS = made.texts(400, seed=5)


@pytest.fixture
def settled(workdir):
    """Change the line's monitor settings, or those of the log."""

    def change(log=None, **monitor):
        params = yaml.safe_load(PARAMS.read_text())
        params["lines"]["sentiment"]["monitor"] = monitor
        params["serving"] = {"log": log or {}}
        PARAMS.write_text(yaml.safe_dump(params))

    return change


@pytest.fixture
def windows(monkeypatch):
    """What examine was given: pairs of reference and current window."""
    given = []

    def keep(reference, current, *_, **__):
        given.append((reference, current))
        return Findings("none", "No drift was found.")

    monkeypatch.setattr(observe, "examine", keep)
    return given


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
    assert not any(evil in page.read_text() for evil in ("</script><img", "<!--<script"))
    assert EVIL not in markdown(seen)
    assert len(list(history.WORKSPACE.glob("*/snapshots/*.json"))) == 1


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


def test_labels_that_show_a_loss_are_another_alert(watched, found):
    watched.send(TEXTS)
    found(Findings("severe", "It answers worse.", [check(), check(name="performance")]))
    assert say(monitor_line("sentiment")) == 3
    assert [alert.kind for alert in alerts.open_alerts("sentiment")] == ["performance"]


def test_a_drift_that_is_not_confirmed_leaves_alerts_as_they_are(watched, found):
    watched.send(TEXTS)
    found(Findings("severe", "The texts are others.", [check()]))
    monitor_line("sentiment")
    found(Findings("warning", "The texts may be others.", [check("warning")]))
    seen = monitor_line("sentiment")
    assert (seen.health, seen.confirmed, say(seen)) == ("amber", False, 0)
    assert len(alerts.open_alerts("sentiment")) == 1


def test_windows_before_are_those_that_end_where_this_one_begins(watched, found, monkeypatch):
    given = []
    monkeypatch.setattr(observe, "confirmed", lambda _, before, **__: bool(given.append(before)))
    watched.send(TEXTS)
    now = datetime.now(UTC)
    old = [monitor_line("sentiment").model_copy(update={"id": observations.new_id(now - timedelta(hours=hours))})
           for hours in (30, 25, 24, 3)]  # fmt: skip
    for one in old:
        observations.keep(one)
    monitor_line("sentiment", window="1d")
    assert [one.id for one in given[-1]] == [one.id for one in old[:3]]


@pytest.mark.parametrize(("rows", "others"), [(None, 250), (1000, 150)])
def test_rows_of_another_release_are_told_and_left_out(watched, found, rows, others):
    watched.send(TEXTS[:150])
    watched.send(TEXTS[150:], release="0123456789ab")
    seen = monitor_line("sentiment", rows=rows)
    assert seen.rows == 150 and f"{others} rows of the window were answered by other releases" in seen.reason


def test_a_sample_is_of_the_champion_alone(watched, settled, windows):
    settled(sample_rows=500, min_rows=20)
    watched.send(TEXTS[:30])
    for _ in range(3):
        watched.send(TEXTS, release="0123456789ab")
    monitor_line("sentiment")
    ((_, current),) = windows
    assert sorted(current.text) == sorted(TEXTS[:30])


@pytest.mark.parametrize("policy", ["hmac", "off"])
def test_hashes_are_no_texts(workdir, watched, settled, windows, monkeypatch, policy):
    monkeypatch.setenv(KEY, "k" * 32)
    settled({"text": policy})
    Traffic(store.STORE / "sentiment" / watched.release).send(TEXTS)
    assert monitor_line("sentiment").rows == 400
    ((known, current),) = windows
    assert set(current.text) == {None} and len(set(known.text)) > 1


def test_projections_of_another_width_are_not_compared(watched, settled, windows):
    watched.send(TEXTS[:200])
    settled({"projection": 16})
    Traffic(store.STORE / "sentiment" / watched.release, since=watched).send(TEXTS[200:])
    monitor_line("sentiment")
    ((known, current),) = windows
    assert known.projection.shape == (240, 16) and current.projection.shape == (400, 16)
    assert np.isnan(current.projection).all(axis=1).sum() == 200
    assert np.isfinite(current.projection).all(axis=1).sum() == 200


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


def test_without_a_champion_there_is_nothing_to_watch(assignments, capsys):
    seen = monitor_line("sentiment")
    assert (seen.health, seen.problem) == ("grey", None) and "sentiment has no champion" in seen.reason
    assert not alerts.open_alerts("sentiment")
    assert say(seen) == 1 and "`tidegate promote sentiment` makes one" in capsys.readouterr().out


def test_a_log_that_is_gone_is_an_alert_until_it_is_back(watched, found, monkeypatch):
    watched.send(TEXTS)
    monkeypatch.setenv(URL, "sqlite:////proc/nowhere/predictions.db")
    seen = monitor_line("sentiment")
    assert seen.health == "grey" and seen.problem and say(seen) == 1
    (alert,) = alerts.open_alerts("sentiment")
    assert alert.kind == "run_failed" and seen.problem.rstrip(".") in alert.reason
    monkeypatch.delenv(URL)
    assert monitor_line("sentiment").rows == 400
    assert not alerts.open_alerts("sentiment")


def test_an_error_of_the_program_is_seen_and_raised(watched, monkeypatch):
    watched.send(TEXTS)

    def broken(*_, **__):
        raise KeyError("a text of a user")

    monkeypatch.setattr(observe, "examine", broken)
    with pytest.raises(KeyError):
        monitor_line("sentiment")
    seen = observations.latest("sentiment")
    assert seen.health == "grey" and seen.problem.startswith("KeyError in the program")
    (alert,) = alerts.open_alerts("sentiment")
    assert alert.kind == "run_failed" and "a text of a user" not in alert.reason


def test_a_full_disk_costs_the_report_alone(watched, found, monkeypatch, capsys):
    watched.send(TEXTS)

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "somewhere")

    monkeypatch.setattr(evidence, "write_report", full)
    seen = monitor_line("sentiment")
    assert seen.rows == 400 and seen.checks and seen.report is None
    assert "No space is left" in seen.problem and say(seen) == 1
    assert "Problem: The report could not be written" in capsys.readouterr().out


def test_a_workspace_that_was_broken_is_mended(watched, found):
    watched.send(TEXTS)
    monitor_line("sentiment")
    (metadata,) = history.WORKSPACE.glob("*/metadata.json")
    metadata.write_text("{")
    half = history.WORKSPACE.with_name(".sentiment.workspace")
    half.mkdir()
    assert monitor_line("sentiment").problem is None
    assert read_json(metadata)["name"] == "sentiment" and not half.exists()
    assert len(list(metadata.parent.glob("snapshots/*.json"))) == 2


def test_an_old_page_is_drawn_anew(watched, found, monkeypatch):
    monkeypatch.setattr(evidence, "PAGES", 1)
    monkeypatch.setenv("PYTHONPATH", str(Path(evidence.__file__).parents[1]))
    watched.send(TEXTS)
    seen = monitor_line("sentiment")
    later = seen.model_copy(update={"id": "20990101T000000-aaaaaa"})
    page = observations.path("sentiment", seen.id).with_suffix(".html")
    evidence.write_report(later)
    assert not page.exists()
    assert evidence.page("sentiment", seen.id) == page and "Curves show the share of rows" in page.read_text()
    assert evidence.page("sentiment", "20260101T000000-aaaaaa") is None


def test_examples_are_forgotten_with_the_texts(watched, found):
    watched.send(TEXTS)
    found(Findings("severe", "The texts are others.", [check(), check(name="length")]))
    seen = monitor_line("sentiment")
    assert forget("sentiment", ["request-1"], [], []).done[1] == (
        "reports of the monitor: examples of texts taken out of 1 observation(s)"
    )
    again = observations.read("sentiment", seen.id)
    assert [check.evidence.keys() for check in again.checks] == [{"terms", "edges", "reference", "current"}] * 2
    assert again.reason == seen.reason
    kept = [file.read_text() for file in observations.FOLDER.rglob("*") if file.is_file()]
    assert not any("<!--" in text and "script>" in text for text in kept)
    assert not list(history.WORKSPACE.glob("*/snapshots/*.json"))
    with FileLock(STATE / "locks/sentiment.monitor.lock"):
        assert "give the command again" in forget("sentiment", ["request-1"], [], []).left[0]


def test_two_looks_at_once_are_refused(watched):
    lock = STATE / "locks/sentiment.monitor.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock), pytest.raises(BusyError, match="Another look at sentiment is going on"):
        monitor_line("sentiment")


@pytest.mark.parametrize("window", ["1", "d", "0d", "1y", "-1d", "1 d"])
def test_a_window_that_is_none_is_refused(watched, window):
    with pytest.raises(SettingsError, match="--window was given as"):
        monitor_line("sentiment", window=window)


def test_what_a_killed_monitor_left_is_cleared_or_left_out(watched, found):
    watched.send(TEXTS)
    seen = monitor_line("sentiment")
    folder = observations.path("sentiment", seen.id).parent
    (folder / ".20260101T000000-aaaaaa.html.123.tmp").write_text("half")
    (folder / "20260101T000000-aaaaaa.json").write_text("{")
    newer = observations.path("sentiment", seen.id).read_text().replace('"schema_version": 1', '"schema_version": 99')
    (folder / "20260101T000000-bbbbbb.json").write_text(newer)
    again = monitor_line("sentiment")
    assert observations.history("sentiment") == [seen, again]
    assert not list(folder.glob(".*.tmp"))


@given(st.integers(0, 5000), st.integers(1, 500), st.integers(0, 9))
def test_a_sample_has_a_place_in_every_stretch(rows, wanted, seed):
    places = _places(rows, wanted, seed)
    assert len(places) == min(rows, wanted) and len(set(places.tolist())) == len(places)
    if rows > wanted:
        edges = np.arange(wanted + 1) * rows // wanted
        assert ((edges[:-1] <= places) & (places < edges[1:])).all()
