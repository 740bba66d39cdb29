"""The round trip through a real Label Studio, where the environment names one.

Install it in an environment of its own, for its dependencies are not ours (seen with 1.23.2):

    python -m venv /elsewhere && /elsewhere/bin/pip install label-studio
    TIDEGATE_LABEL_STUDIO=/elsewhere/bin/label-studio pytest tests/flows/test_label_studio_itself.py
"""

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import httpx
import pytest
import yaml
from toy import toy_params

from flows.label_studio import export, take
from tasks.annotation.events import Item, person_id
from tasks.annotation.journal import Journal
from tasks.core.line import Line

PROGRAM = os.environ.get("TIDEGATE_LABEL_STUDIO")
USER, TOKEN = "ada@example.org", "0123456789abcdef" * 2 + "01234567"
READY = 240  # seconds; the first start makes a database

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not PROGRAM, reason="TIDEGATE_LABEL_STUDIO does not name the program label-studio"),
]


@pytest.fixture
def studio(tmp_path):
    """A client of a server with an empty database and one user."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    silent = {
        "COLLECT_ANALYTICS": "false",
        "LATEST_VERSION_CHECK": "false",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
    }
    own = {"LABEL_STUDIO_BASE_DATA_DIR": str(tmp_path / "studio"), "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true"}
    command = [
        PROGRAM, "start", "--no-browser", "--internal-host", "127.0.0.1", "--port", str(port),
        "--username", USER, "--password", "not-secret-at-all", "--user-token", TOKEN,
    ]  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PORT")}
    with (tmp_path / "studio.log").open("w") as log:
        server = subprocess.Popen(
            command, env=environment | silent | own, stdout=log, stderr=log, cwd=tmp_path, start_new_session=True
        )
    try:
        headers = {"Authorization": f"Token {TOKEN}"}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60, trust_env=False) as client:
            _wait(client, server, tmp_path / "studio.log")
            yield client
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


def _wait(client, server, log):
    for _ in range(READY):
        try:
            if client.get("/health").status_code == 200:
                return
        except httpx.TransportError:
            pass
        assert server.poll() is None, log.read_text()[-2000:]
        time.sleep(1)
    raise AssertionError(log.read_text()[-2000:])


def asked(client, method, path, **content):
    answer = client.request(method, path, **content)
    assert answer.is_success, answer.text
    return answer.json()


def result(name, kind, **value):
    return {"from_name": name, "to_name": "text", "type": kind, "value": value}


@pytest.mark.timeout(600)
def test_round_trip(studio, workdir, tiny_encoder):
    Path("params.yaml").write_text(yaml.safe_dump(toy_params("reviews.csv", tiny_encoder)))
    journal = Journal.of(Line("toy"))
    journal.add(
        [Item(id=f"i{n}", text=f"text {n} <b> 中文", rank=n, suggested="positive", probability=0.7) for n in range(4)]
    )
    export("toy", Path("tasks.json"), suggestions=True)
    interface = Path("tasks.xml").read_text()
    project = asked(studio, "POST", "/api/projects", json={"title": "toy", "label_config": interface})["id"]
    tasks = json.loads(Path("tasks.json").read_text())
    counts = asked(studio, "POST", f"/api/projects/{project}/import", json=tasks)
    assert (counts["task_count"], counts["prediction_count"]) == (4, 4)
    listed = asked(studio, "GET", "/api/tasks", params={"project": project, "fields": "all"})["tasks"]
    there = {task["data"]["item"]: task["id"] for task in listed}
    flag = [result("flag", "choices", choices=["flag"]), result("comment", "textarea", text=["ask somebody"])]
    for item, content in (
        ("i0", {"result": [result("label", "choices", choices=["negative"])], "lead_time": 3.5}),
        ("i1", {"result": [], "was_cancelled": True}),
        ("i2", {"result": flag}),
        ("i3", {"result": [result("label", "choices", choices=["positive"])], "ground_truth": True}),
    ):
        asked(studio, "POST", f"/api/tasks/{there[item]}/annotations", json=content)
    _exported(studio, project)
    assert take("toy", Path("export.json"), [f"1={USER}"]).startswith("5 new events")
    assert take("toy", Path("export.json"), [f"1={USER}"]).startswith("0 new events")
    found, ada = journal.state().standings, person_id(USER)
    assert (found["i0"].answers[ada].label, found["i0"].answers[ada].seconds) == ("negative", 3.5)
    assert (set(found["i1"].skips), found["i2"].state, found["i3"].decision.label) == ({ada}, "flagged", "positive")
    assert [event.comment for event in found["i2"].comments] == ["ask somebody"]
    annotation = asked(studio, "GET", f"/api/tasks/{there['i0']}/annotations")[0]["id"]
    changed = {"result": [result("label", "choices", choices=["positive"])]}
    asked(studio, "PATCH", f"/api/annotations/{annotation}", json=changed)
    _exported(studio, project)
    assert take("toy", Path("export.json"), [f"1={USER}"]).startswith("1 new events")
    assert journal.state().standings["i0"].answers[ada].label == "positive"


def _exported(client, project):
    answer = client.get(f"/api/projects/{project}/export", params={"exportType": "JSON", "download_all_tasks": "true"})
    Path("export.json").write_bytes(answer.content)
