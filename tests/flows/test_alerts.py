"""Alerts: one per line and kind, sent to real channels on loopback, and what a dead channel does."""

import errno
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flows import alerts, channels
from flows.alert_settings import URLS, AlertSettings
from tasks.core.errors import SettingsError
from tasks.core.settings import parse

DRIFT = ("sentiment", "drift", "warning", "live traffic drifts", "It costs about 6 points.")


def titles(webhook):
    return [body["title"] for body in webhook.got]


def test_an_alert_is_raised_once_updated_and_resolved(workdir, webhook):
    first = alerts.raise_alert(*DRIFT, observation="one")
    again = alerts.raise_alert(*DRIFT[:4], "It costs about 7 points.", observation="two")
    assert again.id == first.id and again.reason.endswith("7 points.") and again.observation == "two"
    assert [alert.id for alert in alerts.open_alerts("sentiment")] == [first.id]
    alerts.raise_alert("sentiment", "drift", "severe", *DRIFT[3:])
    alerts.resolve("sentiment", "drift", "Two windows without drift.")
    assert titles(webhook) == [
        "Tidegate: sentiment: live traffic drifts",
        "Tidegate: Worse: sentiment: live traffic drifts",
        "Tidegate: Resolved: sentiment: live traffic drifts",
    ]
    assert webhook.got[-1]["message"] == "Two windows without drift."
    assert not alerts.open_alerts() and alerts.resolve("sentiment", "drift", "again") is None
    assert alerts.raise_alert(*DRIFT).id != first.id


def test_lines_and_kinds_are_apart(workdir):
    for line, kind in (("a", "drift"), ("b", "drift"), ("a", "loop"), (None, "run_missed")):
        alerts.raise_alert(line, kind, "warning", "something", "happened")
    assert len(alerts.open_alerts()) == 4
    assert {alert.kind for alert in alerts.open_alerts("a")} == {"drift", "loop", "run_missed"}


def test_acknowledging_keeps_who_and_why_until_it_becomes_worse(workdir):
    alert = alerts.raise_alert(*DRIFT)
    alerts.acknowledge(alert.id, "Otto", "we know: a sale")
    assert alerts.raise_alert(*DRIFT).acknowledged.by == "Otto"
    assert alerts.raise_alert("sentiment", "drift", "severe", *DRIFT[3:]).acknowledged is None
    with pytest.raises(SettingsError, match=f"no open alert nonsense. Open: {alert.id}"):
        alerts.acknowledge("nonsense", "Otto", "why")


def test_a_dead_channel_is_tried_again_and_is_itself_an_alert(workdir, webhook, monkeypatch, caplog):
    monkeypatch.setenv(URLS, f"{webhook.url} json://127.0.0.1:1/other-secret")
    webhook.broken = True
    alerts.raise_alert(*DRIFT)
    assert {alert.kind for alert in alerts.open_alerts()} == {"drift", "channel"}
    webhook.broken = False
    channels.deliver()
    assert titles(webhook) == [], "not before the pause is over"
    later = datetime.now(UTC) + channels.PAUSE + timedelta(seconds=2)
    channels.deliver(later)
    dead = next(alert for alert in alerts.open_alerts() if alert.kind == "channel")
    assert "json-2" in dead.reason and "json-1" not in dead.reason
    assert titles(webhook)[0] == "Tidegate: sentiment: live traffic drifts"
    kept = "".join(file.read_text() for file in alerts.FOLDER.glob("*.json"))
    assert "secret" not in kept + caplog.text
    monkeypatch.setenv(URLS, webhook.url)
    alerts.raise_alert("other", *DRIFT[1:])
    assert "channel" not in {alert.kind for alert in alerts.open_alerts()}


def test_a_dead_channel_is_tried_ever_more_seldom_and_hears_of_what_still_holds_when_it_is_back(workdir, webhook):
    webhook.broken = True
    alert = alerts.raise_alert(*DRIFT)
    start = datetime.now(UTC)
    for minutes in range(1, 24 * 60, 5):
        channels.deliver(start + timedelta(minutes=minutes))
    assert 20 < len(alerts.read(alert.id).deliveries) < 40, "hourly after the first few"
    webhook.broken = False
    channels.deliver(start + timedelta(days=1, hours=1))
    assert titles(webhook) == ["Tidegate: sentiment: live traffic drifts"]
    assert not [one for one in alerts.open_alerts() if one.kind == "channel"]


def test_nobody_hears_that_something_is_over_who_never_heard_of_it(workdir, webhook):
    webhook.broken = True
    alerts.raise_alert(*DRIFT)
    webhook.broken = False
    alerts.resolve("sentiment", "drift", "Two windows without drift.")
    channels.deliver(datetime.now(UTC) + timedelta(hours=1))
    assert not webhook.got


def test_a_test_message_wakes_a_channel_that_was_dead(workdir, webhook):
    webhook.broken = True
    alerts.raise_alert(*DRIFT)
    assert channels.test() == {"json-1": "it was not taken"}
    webhook.broken = False
    assert channels.test() == {"json-1": ""}
    assert titles(webhook) == ["Tidegate: a test", "Tidegate: sentiment: live traffic drifts"]
    assert {alert.kind for alert in alerts.open_alerts()} == {"drift"}


def test_an_entry_that_is_no_channel_is_shown_without_being_repeated(workdir, webhook, monkeypatch, caplog):
    monkeypatch.setenv(URLS, f"hooks.example.org/secret-path {webhook.url}")
    alerts.raise_alert(*DRIFT)
    assert "entry-1 (no URL that apprise knows)" in alerts.open_one(None, "channel").reason
    assert titles(webhook) == ["Tidegate: sentiment: live traffic drifts", "Tidegate: an alert channel is dead"]
    assert "secret" not in "".join(file.read_text() for file in alerts.FOLDER.glob("*.json")) + caplog.text
    monkeypatch.delenv(URLS)
    channels.deliver()
    assert alerts.open_one(None, "channel") is None


def test_a_channel_that_does_not_answer_holds_nobody_up(workdir, webhook, monkeypatch):
    monkeypatch.setattr(channels, "SECONDS", 0.2)
    answer = threading.Event()
    monkeypatch.setattr(channels, "_message", lambda *_: lambda: answer.wait(30) and "late")
    alert = alerts.raise_alert(*DRIFT)
    answer.set()
    assert [one.error for one in alert.deliveries] == ["no answer within 0 s"]


def test_an_alert_that_cannot_be_kept_is_sent_all_the_same(workdir, webhook, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(alerts, "write_json", full)
    alerts.raise_alert("sentiment", "drift", "severe", *DRIFT[3:])
    assert titles(webhook) == ["Tidegate: sentiment: live traffic drifts"]


def test_two_processes_that_raise_the_same_alert_make_one(workdir):
    command = "from flows.alerts import raise_alert; raise_alert('a', 'drift', 'warning', 'drifts', 'why')"
    environment = {**os.environ, "PYTHONPATH": str(Path(alerts.__file__).parent.parent)}
    running = [subprocess.Popen([sys.executable, "-c", command], env=environment) for _ in range(3)]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    assert len(alerts.alerts()) == 1


def test_quiet_hours_wait_for_all_but_severe_alerts(workdir, webhook, monkeypatch):
    monkeypatch.setattr(channels, "load_alerts", lambda: AlertSettings(quiet="00:00-23:59"))
    noon = datetime.now(UTC).replace(hour=12)
    monkeypatch.setattr(channels, "datetime", type("Noon", (datetime,), {"now": classmethod(lambda *_: noon)}))
    alerts.raise_alert(*DRIFT)
    assert not webhook.got
    alerts.raise_alert("other", "drift", "severe", *DRIFT[3:])
    assert titles(webhook) == ["Tidegate: other: live traffic drifts"]
    monkeypatch.setattr(channels, "load_alerts", AlertSettings)
    channels.deliver()
    assert titles(webhook)[1:] == ["Tidegate: sentiment: live traffic drifts"]


@pytest.mark.parametrize(
    ("hours", "zone", "time", "expected"),
    [
        ("22:00-07:00", "UTC", "2026-11-24T23:30", True),
        ("22:00-07:00", "UTC", "2026-11-24T07:00", False),
        ("22:00-07:00", "Europe/Berlin", "2026-07-01T04:59", True),  # 6:59 in summer
        ("22:00-07:00", "Europe/Berlin", "2026-07-01T05:00", False),
        ("22:00-07:00", "Europe/Berlin", "2026-12-01T05:30", True),  # 6:30 in winter
        ("02:00-03:00", "Europe/Berlin", "2026-10-25T00:30", True),  # the hour that comes twice is quiet twice
        ("02:00-03:00", "Europe/Berlin", "2026-10-25T01:30", True),
        ("02:00-03:00", "Europe/Berlin", "2026-10-25T02:00", False),
        ("02:00-03:00", "Europe/Berlin", "2026-03-29T01:00", False),  # the hour that is left out: 3:00
        ("12:00-13:00", "UTC", "2026-11-24T12:59", True),
        (None, "UTC", "2026-11-24T12:59", False),
    ],
)
def test_quiet_hours_go_by_the_clock_of_the_place(hours, zone, time, expected):
    given = AlertSettings(quiet=hours, timezone=zone)
    assert channels.quiet(given, datetime.fromisoformat(time).replace(tzinfo=UTC)) is expected


def test_a_broken_record_is_left_out(workdir):
    alert = alerts.raise_alert(*DRIFT)
    (alerts.FOLDER / "20990101T000000-ffffff.json").write_text("{")
    assert [one.id for one in alerts.alerts()] == [alert.id]


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"timezone": "Berlin"}, "alerts.timezone: is no time zone"),
        ({"timezone": "/etc/passwd"}, "alerts.timezone: is no time zone"),
        ({"quiet": "22:00-22:00"}, "alerts.quiet: begins and ends at the same minute"),
        ({"quiet": "22-7"}, "alerts.quiet: must match"),
    ],
)
def test_wrong_settings_are_said(given, complaint):
    with pytest.raises(SettingsError, match=complaint):
        parse(AlertSettings, given, "alerts")
