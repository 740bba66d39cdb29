"""The flow `monitor` on a Prefect server: states, artifacts, and the event that starts the loop."""

import errno
import os

import made
import pytest
from filelock import FileLock
from prefect.client.orchestration import get_client
from prefect.client.schemas.sorting import ArtifactSort
from prefect.settings import PREFECT_API_URL, temporary_settings
from releases import wait_until
from traffic import check

from flows import observations
from flows.monitor import monitor
from flows.observe import EVENT
from serving.log.settings import URL
from tasks.core.line import STATE
from tasks.drift.examine import Findings


@pytest.fixture(autouse=True)
def server(watched, prefect_url, monkeypatch):
    """Prefect's server, for what reads the environment and for what was imported before."""
    monkeypatch.setenv("PREFECT_API_URL", prefect_url)
    with temporary_settings({PREFECT_API_URL: prefect_url}):
        yield


def events(observation):
    with get_client(sync_client=True) as client:
        answer = client.request("POST", "/events/filter", json={"filter": {"event": {"name": [EVENT]}}})
        found = answer.json()["events"]
    return [event for event in found if event["payload"]["observation"] == observation]


def test_a_confirmed_drift_is_a_completed_run_with_artifacts_and_an_event(watched, found):
    watched.send(made.texts(200, seed=5))
    found(Findings("severe", "The texts are others.", [check()]))
    state = monitor("sentiment", return_state=True)
    assert (state.is_completed(), state.name) == (True, "Drift")
    assert state.message.startswith("sentiment is red: The texts are others.")
    with get_client(sync_client=True) as client:
        artifacts = client.read_artifacts(sort=ArtifactSort.CREATED_DESC, limit=2)
    assert {artifact.key for artifact in artifacts} == {"sentiment-monitor", "sentiment-monitor-checks"}
    assert "The texts are others." in next(one.data for one in artifacts if one.type == "markdown")
    name = next((STATE / "monitor/sentiment").glob("*.json")).stem
    (event,) = wait_until(lambda: events(name))
    assert event["resource"]["prefect.resource.id"] == "tidegate.line.sentiment"
    assert event["payload"] == {"line": "sentiment", "observation": name, "severity": "severe"}


def test_a_look_beside_another_is_skipped_and_one_without_a_log_fails(watched, monkeypatch):
    lock = STATE / "locks/sentiment.monitor.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):
        state = monitor("sentiment", return_state=True)
    assert (state.is_completed(), state.name) == (True, "Skipped")
    monkeypatch.setenv(URL, "sqlite:////proc/nowhere/predictions.db")
    assert monitor("sentiment", return_state=True).is_failed()
    assert monitor("sentimant", return_state=True).name == "WrongSettings"


def test_a_disk_on_which_nothing_fits_is_a_failed_run_that_says_so(watched, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(observations, "keep", full)
    state = monitor("sentiment", return_state=True)
    assert state.is_failed() and state.message.startswith("No space is left on the disk")
