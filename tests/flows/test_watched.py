"""The dead-man's switch, against a real Prefect server: what failed, what never came, and its end."""

from datetime import UTC, datetime, timedelta

import pytest
import yaml
from prefect.states import Completed, Crashed, Failed, Scheduled

from flows import alerts, approvals, observations, scheduled, watched
from tasks.core.line import Line

NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def project(workdir):
    """A folder with two lines and nothing else."""
    (workdir / "params.yaml").write_text(yaml.safe_dump({"lines": {"a": {}, "b": {}}}))
    return workdir


@pytest.fixture
def deployment(project, prefect_url, monkeypatch):
    """A deployment of the project: a function that makes a run of it for a line, in a state."""
    monkeypatch.setenv("PREFECT_API_URL", prefect_url)
    with scheduled.client() as client:
        flow = client.create_flow_from_name("monitor")
        made = client.create_deployment(flow_id=flow, name="monitor", tags=[scheduled.TAG])

        def run(line, state, age=HOUR):
            due = client.create_flow_run_from_deployment(
                made, parameters={"line": line}, state=Scheduled(scheduled_time=datetime.now(UTC) - age)
            )
            if state is not None:
                client.set_flow_run_state(due.id, state, force=True)
            return due

        # The server is the session's: runs that other tests ended stand in it, too.
        scheduled.delete_old(client, datetime.now(UTC) + HOUR, dry_run=False)
        yield run
        client.delete_deployment(made)
        scheduled.delete_old(client, datetime.now(UTC) + HOUR, dry_run=False)


def observed(line, age):
    """Let a line have been looked at so long ago."""
    path = observations.path(line, observations.new_id(datetime.now(UTC) - age))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{")  # whatever stands in it, there was a monitor


def kinds():
    return {(alert.line, alert.kind) for alert in alerts.open_alerts()}


def test_a_failed_run_is_an_alert_until_one_goes_well(deployment):
    deployment("a", Failed(message="some user's text"), age=2 * HOUR)
    deployment("b", Crashed(), age=2 * HOUR)
    watched.watch(datetime.now(UTC))
    assert kinds() == {("a", "run_failed"), ("b", "run_failed")}
    (alert,) = (alert for alert in alerts.open_alerts() if alert.line == "a")
    assert alert.reason.startswith("Monitor at 20") and "user" not in alert.reason
    deployment("b", Completed())
    watched.watch(datetime.now(UTC))
    assert kinds() == {("a", "run_failed")}
    assert alerts.alerts("b")[0].why_resolved == "It runs again."


def test_a_verdict_is_no_failure(deployment):
    deployment("a", Failed(name="Rejected"))
    watched.watch(datetime.now(UTC))
    assert not kinds()


def test_a_run_that_never_came_is_an_alert_until_one_comes(deployment):
    deployment("a", None)
    deployment("b", None, age=timedelta(minutes=1))
    deployment("b", Completed(), age=2 * HOUR)
    watched.watch(datetime.now(UTC))
    assert kinds() == {("a", "run_missed")}
    deployment("a", Completed(), age=timedelta(minutes=30))
    watched.watch(datetime.now(UTC))
    assert not kinds()


def test_a_run_that_waits_for_its_turn_is_not_missed(deployment):
    deployment("a", Scheduled(scheduled_time=datetime.now(UTC) - HOUR, name="AwaitingConcurrencySlot"))
    watched.watch(datetime.now(UTC))
    assert not kinds()


def test_a_monitor_that_fell_silent_is_an_alert_without_any_server(project, monkeypatch):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    observed("a", 4 * HOUR)
    observed("b", 2 * HOUR)
    observed("gone", 40 * HOUR)
    alerts.watch_runs(NOW)
    assert kinds() == {("a", "run_missed")}, "a line that was never looked at has no monitor to lose"
    observed("a", timedelta())
    alerts.watch_runs()
    assert not kinds()


def test_a_server_that_does_not_answer_is_an_alert_and_resolves_nothing(project, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.setattr(scheduled, "PATIENCE", 0)
    alerts.raise_alert("a", "run_failed", "warning", "a scheduled run failed", "Monitor failed.")
    watched.watch(NOW)
    assert kinds() == {("a", "run_failed"), (None, "run_missed")}
    assert "127.0.0.1:9" in alerts.open_one(None, "run_missed").reason
    monkeypatch.delenv("PREFECT_API_URL")
    watched.watch(NOW)
    assert not kinds()


def test_old_runs_are_deleted_and_those_of_others_kept(deployment):
    for _ in range(3):
        deployment("a", Completed(), age=2 * HOUR)
    waiting = deployment("a", None)
    with scheduled.client() as server:
        other = server.create_flow_from_name("another-project")
        made = server.create_deployment(flow_id=other, name="theirs")
        theirs = server.create_flow_run_from_deployment(made, state=Completed())
        later = datetime.now(UTC) + HOUR
        assert scheduled.delete_old(server, datetime.now(UTC) - 24 * HOUR, dry_run=False) == 0
        assert scheduled.delete_old(server, later, dry_run=True) == 3
        assert scheduled.delete_old(server, later, dry_run=False) == 3
        assert {server.read_flow_run(run.id).id for run in (theirs, waiting)} == {theirs.id, waiting.id}
        server.delete_flow_run(theirs.id)
        server.delete_deployment(made)


def test_a_release_that_waits_is_told_until_somebody_decides(project, monkeypatch):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    proposal = approvals.propose(Line("a"), "123456789abc", "the loop", 72, None)
    (project / approvals.FOLDER / "b").mkdir()
    (project / approvals.FOLDER / "b" / "broken.json").write_text("{")
    watched.watch(NOW)
    assert kinds() == {("a", "approval")}
    alert = alerts.open_one("a", "approval")
    assert alert.severity == "notice" and "123456789abc" in alert.reason
    approvals.decide(proposal, "A", "no need", False, "key")
    watched.watch(NOW)
    assert not kinds() and alerts.alerts("a")[0].why_resolved == "It waits no more."
