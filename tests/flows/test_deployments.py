import importlib
import inspect
from types import SimpleNamespace

import pytest
import yaml
from conftest import ROOT

from flows import deployments
from flows.observe import EVENT
from flows.scheduled import TAG
from tasks.core.errors import SettingsError

FILE = yaml.safe_load((ROOT / "prefect.yaml").read_text())
DEPLOYMENTS = {one["name"]: one for one in FILE["deployments"]}
LINES = yaml.safe_load((ROOT / "params.yaml").read_text())["lines"]


def flow_of(deployment):
    module, _, name = deployment["entrypoint"].rpartition(".")
    return getattr(importlib.import_module(module), name)


def test_prefect_yaml_schedules_the_lines_of_params_yaml(monkeypatch):
    monkeypatch.chdir(ROOT)
    names = ["release", "monitor", "retrain", "cleanup", "approve", "opinion"]
    assert [one["name"] for one in deployments.check(LINES)] == names
    for name in deployments.PER_LINE:
        for schedule in DEPLOYMENTS[name]["schedules"]:
            assert schedule["parameters"] == {"line": schedule["slug"]}


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_what_a_deployment_runs_is_there_and_takes_what_it_is_given(name):
    deployment = DEPLOYMENTS[name]
    known = inspect.signature(flow_of(deployment).fn).parameters
    given = [one.get("parameters", {}) for one in [*deployment.get("schedules", []), *deployment.get("triggers", [])]]
    needed = {name for name, parameter in known.items() if parameter.default is parameter.empty}
    for parameters in given:
        assert needed <= parameters.keys() <= known.keys()
    assert deployment["tags"] == [TAG]
    assert deployment["work_pool"]["name"] == FILE["definitions"]["pool"]["name"]


def test_confirmed_drift_starts_retraining():
    (trigger,) = DEPLOYMENTS["retrain"]["triggers"]
    assert trigger["expect"] == [EVENT]
    assert trigger["match"] == {"prefect.resource.id": "tidegate.line.*"}
    assert trigger["parameters"] == {
        key: f"{{{{ event.payload.{key} }}}}" for key in ("line", "observation", "severity")
    }
    assert not DEPLOYMENTS["retrain"].get("schedules")


def write(folder, *names, **schedules):
    found = [{"name": name, "schedules": [{"slug": slug} for slug in schedules.get(name, ())]} for name in names]
    (folder / "prefect.yaml").write_text(yaml.safe_dump({"deployments": found}))


def test_every_line_wants_its_schedules_and_no_other_has_one(workdir):
    write(workdir, "release", "monitor", release=["a"], monitor=["a", "b", "gone"])
    with pytest.raises(SettingsError) as caught:
        deployments.check(["a", "b"])
    said = str(caught.value).splitlines()
    assert len(said) == 3
    assert "release has no schedule for the line b" in said[1]
    assert "monitor has a schedule 'gone'" in said[2]
    write(workdir, "monitor", monitor=["a"])
    with pytest.raises(SettingsError, match="no deployment release"):
        deployments.check(["a"])


@pytest.mark.parametrize("content", ["", "a: [", "deployments: 3", "deployments: [{}]", "deployments: [x]"])
def test_a_broken_file_is_said(workdir, content):
    (workdir / "prefect.yaml").write_text(content)
    with pytest.raises(SettingsError, match=r"prefect\.yaml"):
        deployments.load()


def test_a_missing_file_is_said(workdir):
    with pytest.raises(SettingsError, match="missing"):
        deployments.load()


class Client:
    """Prefect's, with two deployments."""

    def __init__(self):
        self.deleted = []

    def read_deployments(self, deployment_filter):
        assert deployment_filter.tags.all_ == [TAG]
        schedules = [SimpleNamespace(id=n, slug=slug) for n, slug in enumerate(["a", "gone", None])]
        return [SimpleNamespace(id=name, name=name, schedules=schedules) for name in ("monitor", "another")]

    def delete_deployment_schedule(self, deployment, schedule):
        self.deleted.append((deployment, schedule))


def test_schedules_that_the_file_has_no_more_go():
    client = Client()
    assert deployments.tidy(client, [{"name": "monitor", "schedules": [{"slug": "a"}]}]) == [
        "monitor/gone", "monitor/None",
    ]  # fmt: skip
    assert client.deleted == [("monitor", 1), ("monitor", 2)]
