"""The commands: what is shown, and who may acknowledge."""

import pytest
import yaml
from commands import tidegate

from flows import alert_desk, alerts
from flows.alert_settings import URLS
from flows.approver import KEY, NotAllowedError
from tasks.core.errors import SettingsError, TidegateError
from tasks.team import hash_key

DRIFT = ("sentiment", "drift", "warning", "live traffic drifts", "It costs about 6 points.")


@pytest.fixture
def project(workdir, monkeypatch):
    """A folder with the line `sentiment`, and no channel."""
    (workdir / "params.yaml").write_text(yaml.safe_dump({"lines": {"sentiment": {}}}))
    monkeypatch.delenv(URLS, raising=False)
    return workdir


def test_what_is_open_is_shown_and_on_request_what_is_over(project):
    assert alert_desk.show(None, past=False) == "No alert is open."
    alert = alerts.raise_alert(*DRIFT)
    told = alert_desk.show("sentiment", past=False)
    assert told.startswith(f"{alert.id}  warning  sentiment: live traffic drifts\n  It costs about 6 points.")
    assert "told to nobody." in told
    alerts.resolve("sentiment", "drift", "Two windows without.")
    assert "Two windows without." in alert_desk.show(None, past=True)
    with pytest.raises(SettingsError, match="no line 'other'"):
        alert_desk.show("other", past=False)


def test_with_a_team_only_those_who_may_and_prove_it_acknowledge(project, monkeypatch):
    people = [
        {"name": "Otto", "email": "otto@example.org", "roles": ["ops"], "key": hash_key("the key of Otto")},
        {"name": "Anna", "email": "anna@example.org", "roles": ["annotator"], "key": hash_key("the key of Anna")},
    ]
    (project / "team.yaml").write_text(yaml.safe_dump({"people": people}))
    alert = alerts.raise_alert(None, *DRIFT[1:])
    monkeypatch.setenv(KEY, "the key of Anna")
    for name in ("Anna", "Otto", "Nobody"):
        with pytest.raises(NotAllowedError):
            alert_desk.acknowledge(alert.id, name, "a sale")
    assert alert_desk.acknowledge(alert.id, "Otto", "a sale", key="the key of Otto").acknowledged.by == "Otto"


def test_the_commands_say_what_is_wrong(project):
    alert = alerts.raise_alert(*DRIFT)
    done = tidegate("acknowledge", alert.id, "--by", "Otto", "--why", "a sale")
    assert done.returncode == 0 and "Otto looks after it" in done.stdout
    done = tidegate("acknowledge", "nonsense", "--by", "Otto", "--why", "a sale")
    assert done.returncode == 2 and alert.id in done.stdout
    done = tidegate("alerts", "--test")
    assert done.returncode == 2 and URLS in done.stdout


def test_a_test_that_fails_names_the_channel_without_its_secret(project, monkeypatch):
    monkeypatch.setenv(URLS, "json://127.0.0.1:9/secret")
    with pytest.raises(TidegateError, match="json-1: it was not taken") as told:
        alert_desk.test()
    assert "secret" not in str(told.value)
