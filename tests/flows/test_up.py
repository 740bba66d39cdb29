"""`tidegate up`, `down` and `ps` as a user gives them."""

import json
import os
import signal
import sqlite3
import sys
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
import yaml
from commands import started, tidegate
from services import until
from toy import toy_params

from flows import running
from flows.programs import chats, named
from flows.up_settings import UpSettings, load_up
from tasks.core.errors import SettingsError

UP = [sys.executable, "-m", "flows.cli", "up"]
PATIENCE = 240.0  # seconds for what a busy machine does with a whole Prefect

STANDIN = '''
"""Flows that leave files instead of doing their work."""
import json, os, sys, time
from pathlib import Path
from prefect import flow
from prefect.events import emit_event
from flows.process import child

STAGE = "import time; from tasks.core.stage import end_with_parent; end_with_parent(); time.sleep(300)"

@flow(name="monitor")
def monitor(line: str):
    Path("looked").write_text(os.getcwd())
    if Path("drift").exists():
        Path("drift").unlink()
        emit_event("tidegate.drift.confirmed", {"prefect.resource.id": f"tidegate.line.{line}"},
                   payload={"line": line, "observation": "x1", "severity": "severe"})

@flow(name="retrain")
def retrain(line: str, observation: str | None = None, severity: str | None = None):
    with child([sys.executable, "-c", STAGE]) as stage:
        about = {"given": [line, observation, severity], "pids": [os.getpid(), stage.pid]}
        Path("retraining.tmp").write_text(json.dumps(about))
        Path("retraining.tmp").rename("retraining")
        stage.wait()
'''


@pytest.fixture
def project(checkout, monkeypatch):
    """The line `toy`, stand-ins for its flows, and ports that the system chooses."""
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        monkeypatch.delenv(name)  # a server of the session would be used, or its database
    params = toy_params("reviews.csv", {"kind": "folder", "path": "encoder", "sha256": "0" * 64})
    params |= {"up": {"prefect_port": 0, "ready_seconds": PATIENCE}, "serving": {"port": 0, "stop_seconds": 5}}
    Path("params.yaml").write_text(yaml.safe_dump(params))
    Path("flows/standin.py").write_text(STANDIN)
    real = yaml.safe_load((Path(__file__).parents[2] / "prefect.yaml").read_text())
    kept = [one for one in real["deployments"] if one["name"] in ("release", "monitor", "retrain")]
    for one in kept:
        one["entrypoint"] = f"flows.standin.{'monitor' if one['name'] == 'monitor' else 'retrain'}"
        if "schedules" in one:
            interval = 10 if one["name"] == "monitor" else 10**6
            one["schedules"] = [
                {"slug": "toy", "interval": interval, "parameters": {"line": "toy"}, "active": interval == 10}
            ]
    Path("prefect.yaml").write_text(yaml.safe_dump({"deployments": kept}))
    return checkout


@contextmanager
def up(*only):
    """Everything, or some of it, up; its process."""
    log = Path("up.out")
    with started(*UP, *(f"--only={name}" for name in only), log=log) as process:

        def ready():
            assert process.poll() is None, log.read_text()
            return (now := running.found()) and now.pid == process.pid and now.ready

        until(ready, PATIENCE)
        yield process


def family(process):
    return psutil.Process(process.pid).children(recursive=True)


def gone(processes):
    return not [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def test_up_ps_down(project):
    assert tidegate("ps").returncode == 1
    with up("watch") as process:
        children = family(process)
        second = tidegate("up")
        assert second.returncode == 1
        assert f"runs here already as process {process.pid}" in second.stdout
        shown = tidegate("ps")
        assert shown.returncode == 0
        assert "watch" in shown.stdout
        assert tidegate("down").stdout == "Ended: watch.\n"
        assert process.wait(60) == 0
    assert children
    assert gone(children)
    assert running.found() is None
    assert tidegate("down").stdout == "Nothing runs here.\n"


def test_ctrl_c_ends_everything(project):
    with up("watch", "service") as process:
        children = family(process)
        assert len(children) == 3  # the service is supervised
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    assert gone(children)


def test_a_killed_one_leaves_nothing_and_the_next_one_starts(project):
    with up("watch", "service") as process:
        children = family(process)
        process.kill()
        process.wait()
        until(lambda: gone(children))
    assert running.found() is None
    assert tidegate("ps").returncode == 1
    detached = tidegate("up", "--detach", "--only=watch")
    assert detached.returncode == 0, detached.stdout
    assert tidegate("down").stdout == "Ended: watch.\n"


def test_what_is_wrong_is_said(project):
    said = tidegate("up", "--only", "everything")
    assert said.returncode == 2
    assert "there are server, worker, service, ops, annotate, chat, watch" in said.stdout
    assert "Traceback" not in said.stdout
    detached = tidegate("up", "--detach", "--only", "everything")
    assert detached.returncode == 2
    assert detached.stdout == said.stdout
    Path("prefect.yaml").unlink()
    said = tidegate("up")
    assert said.returncode == 2
    assert "prefect.yaml" in said.stdout


def states(flow):
    """How the runs of a flow stand in Prefect's database, the oldest first."""
    query = (
        "select r.state_name from flow_run r join flow f on f.id = r.flow_id "
        "where f.name = ? and r.start_time is not null order by r.start_time"
    )
    with sqlite3.connect("file:.tidegate/prefect/prefect.db?mode=ro", uri=True) as database:
        return [state for (state,) in database.execute(query, [flow])]


def retraining():
    """What the retraining that goes on now was given, and its processes."""
    about = json.loads(until(lambda: Path("retraining").exists() and Path("retraining").read_text(), PATIENCE))
    Path("retraining").unlink()
    return about["given"], [psutil.Process(pid) for pid in about["pids"]]


@pytest.mark.long
@pytest.mark.timeout(900)
def test_schedules_and_events_start_runs_that_no_kill_leaves_unclear(project):
    with up("server", "worker") as process:
        assert until(lambda: Path("looked").exists() and Path("looked").read_text(), PATIENCE) == str(project)
        Path("drift").touch()
        given, runs = retraining()
        assert given == ["toy", "x1", "severe"]

        server = psutil.Process(running.found().program("server").pid)
        server.kill()  # the run goes on, and so do the schedules
        until(lambda: (now := running.found().program("server")).restarts == 1 and running.well(now), PATIENCE)
        Path("looked").unlink()
        until(lambda: Path("looked").exists(), PATIENCE)
        assert not gone(runs)
        assert states("retrain") == ["Running"]

        everything = [*family(process), *runs]
        process.kill()
        process.wait()
        until(lambda: gone(everything))
    assert states("retrain") == ["Running"]

    with up("server", "worker") as process:
        assert states("retrain") == ["Crashed"]
        Path("drift").touch()
        _, runs = retraining()  # the dead run holds the one slot no more
        everything = [*family(process), *runs]
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 130
        assert gone(everything)
    assert states("retrain") == ["Crashed", "Cancelled"]
    assert set(states("monitor")) <= {"Completed", "Crashed", "Cancelled"}  # one may have run at the kill, or the end


def test_the_labelling_page_is_started_where_somebody_could_label(project, monkeypatch):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    assert "annotate" not in named((), UpSettings())
    assert named(("annotate",), UpSettings()) == ("annotate",)
    queue = Path(".tidegate/annotation/toy/items.jsonl")
    queue.parent.mkdir(parents=True)
    queue.touch()
    assert "annotate" in named((), UpSettings())
    queue.unlink()
    person = {"name": "Anna", "email": "anna@example.org", "roles": ["annotator"]}
    Path("team.yaml").write_text(yaml.safe_dump({"people": [person]}))
    assert "annotate" in named((), UpSettings())
    Path("team.yaml").write_text(yaml.safe_dump({"people": [{**person, "roles": ["ops"]}]}))
    assert "annotate" not in named((), UpSettings())


def test_the_labelling_page_answers(project):
    params = yaml.safe_load(Path("params.yaml").read_text())
    Path("params.yaml").write_text(yaml.safe_dump(params | {"annotate": {"port": 0}}))
    with up("annotate"):
        assert "annotate" in tidegate("ps").stdout
        assert httpx.get(f"{running.found().program('annotate').address}/health").text == "ok"


def products(**names):
    """Add products of kind answer, by name with what they say besides, and ask `up` for their chats."""
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["lines"]["toy"] |= {"kind": "retrieve", "label": {"by": "column"}}
    params["products"] = {name: {"kind": "answer", "answers": "toy", **more} for name, more in names.items()}
    params["up"]["chat"], params["chat"] = True, {"port": 0}
    Path("params.yaml").write_text(yaml.safe_dump(params))


def test_chats_are_started_where_params_ask_for_them(project):
    assert "chat" not in named((), UpSettings(chat=True))
    with pytest.raises(SettingsError, match="no product of kind answer"):
        chats()
    products(help={}, shop={"port": 8093})
    assert "chat" in named((), load_up()) and "chat" not in named((), UpSettings())
    assert named(("chat",), UpSettings()) == ("chat",)
    assert [one.name for one in chats()] == ["chat-help", "chat-shop"]
    products(help={"port": 8093}, shop={"port": 8093})
    with pytest.raises(SettingsError, match=r"chats of help and shop have the same port, 8093.*products\.shop\.port"):
        chats()


def test_the_chat_of_each_product_answers_and_goes_down(project):
    products(help={}, shop={"title": "The shop"})
    with up("chat") as process:
        children = family(process)
        shown = tidegate("ps").stdout
        assert "chat-help" in shown and "chat-shop" in shown
        for name, title in (("chat-help", "help"), ("chat-shop", "The shop")):
            assert f'<h1 class="plain">{title}</h1>' in httpx.get(running.found().program(name).address).text
        assert tidegate("down").stdout == "Ended: chat-help, chat-shop.\n"
        assert process.wait(60) == 0
    assert gone(children)
