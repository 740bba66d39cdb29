"""Dashboard and alerts ask for what the service tells, and the alerts fire."""

import json
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest
import yaml

from serving.metrics import Metrics

DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARD = json.loads((DEPLOY / "grafana/dashboards/tidegate.json").read_text())
RULES = yaml.safe_load((DEPLOY / "prometheus/rules.yml").read_text())["groups"][0]["rules"]
ADDED = {"instance", "job", "le"}  # labels that Prometheus and histograms add
ABOUT_PROCESS = re.compile(r"process_\w+")


def told():
    """Every series of the service with its labels."""
    found = {"up": ADDED}
    for value in vars(Metrics()).values():
        for family in value.describe() if hasattr(value, "describe") else ():
            endings = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_sum", "_count"]}[family.type]
            found |= {family.name + ending: {*value._labelnames, *ADDED} for ending in endings}
    found |= {family.name: ADDED for family in Metrics().registry.collect() if ABOUT_PROCESS.match(family.name)}
    return found


def queries():
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for variable in DASHBOARD["templating"]["list"]:
        yield variable["name"], variable["query"]["query"]
    for note in DASHBOARD["annotations"]["list"]:
        yield note["name"], note["expr"]
    for rule in RULES:
        yield rule["alert"], rule["expr"]


@pytest.mark.parametrize(("where", "query"), list(queries()))
def test_asks_for_what_there_is(where, query):
    known = told()
    asked = re.findall(r"\b((?:tidegate|process)_\w+|up(?=\{))(?:\{([^}]*)\})?", query)
    assert asked
    for name, matchers in asked:
        assert name in known
        assert set(re.findall(r"(\w+)\s*(?:=|!=|=~|!~)\s*\"", matchers)) <= known[name]


def test_every_metric_is_shown():
    shown = " ".join(query for _, query in queries())
    assert not [name for name in told() if name.startswith("tidegate") and name.rpartition("_")[0] not in shown]


def test_panels_stand_side_by_side():
    cells = Counter()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells.update((x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"]))
    assert max(cells.values()) == 1
    assert max(Counter(panel["id"] for panel in DASHBOARD["panels"]).values()) == 1


def test_panels_read_the_provisioned_source():
    provisioned = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yaml").read_text())
    known = {source["uid"] for source in provisioned["datasources"]}
    assert {target["datasource"]["uid"] for panel in DASHBOARD["panels"] for target in panel["targets"]} <= known


def test_every_alert_says_what_to_do_and_has_a_test():
    tested = (DEPLOY / "prometheus/rules.test.yml").read_text()
    for rule in RULES:
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert {"summary", "do"} <= rule["annotations"].keys()
        assert f'alertname="{rule["alert"]}"' in tested


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not here; Debian's package prometheus has it")
def test_alerts_fire():
    command = ["promtool", "test", "rules", "rules.test.yml"]
    done = subprocess.run(command, cwd=DEPLOY / "prometheus", capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not here; Debian's package prometheus has it")
def test_prometheus_takes_its_configuration(tmp_path):
    shutil.copy(DEPLOY / "prometheus/rules.yml", tmp_path)
    (tmp_path / "key").touch()
    text = (DEPLOY / "prometheus/prometheus.yml").read_text()
    (tmp_path / "prometheus.yml").write_text(text.replace("/run/secrets/metrics_key", str(tmp_path / "key")))
    command = ["promtool", "check", "config", "prometheus.yml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
