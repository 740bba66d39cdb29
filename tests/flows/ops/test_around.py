"""What stands around the model, when it is there and when it is not."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer

import ops_state
import pytest
from services import until

from flows import running
from flows.ops import around
from flows.ops.fresh import Fresh
from flows.running import Running
from tasks.core.line import STATE


@pytest.fixture
def answering():
    """A server on loopback that answers as it is told: path to (status, content)."""
    told = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            status, content = told.get(self.path, (404, {}))
            body = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            self.do_GET()

        def log_message(self, *_):
            return

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    told["port"] = server.server_port
    yield told
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(("status", "state"), [(200, "well"), (503, "ill")])
def test_the_service_is_asked_where_params_have_it_listen(status, state, answering, workdir):
    (workdir / "params.yaml").write_text(f"serving: {{port: {answering['port']}}}\n")
    answering["/v2/health/ready"] = (status, {})
    assert around.service().state == state


def test_what_tidegate_up_runs_is_asked_where_it_answers(answering, workdir, monkeypatch):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    (workdir / "params.yaml").write_text("serving: {port: 0}\n")
    address = f"http://127.0.0.1:{answering['port']}"
    programs = [Running(name=name, state="runs", address=address) for name in ("service", running.SERVER)]
    running.keep(running.here().model_copy(update={"programs": programs}))
    answering["/v2/health/ready"] = (200, {})
    assert around.service().state == "well"
    answering["/api/flow_runs/filter"] = answering["/api/flows/filter"] = (200, [])
    assert around.prefect().status.state == "well"


def test_a_service_that_is_not_there_or_has_wrong_settings(workdir):
    (workdir / "params.yaml").write_text("serving: {port: 1}\n")
    assert around.service().said == "service.silent"
    (workdir / "params.yaml").write_text("serving: {port: many}\n")
    assert around.service().said == "service.settings"


def test_where_a_service_on_any_port_listens_is_not_known(workdir):
    (workdir / "params.yaml").write_text("serving: {port: 0}\n")
    assert (around.service().state, around.service().said) == ("off", "service.unknown")


def test_the_runs_of_prefect_say_how_they_ended_and_of_which_line(answering, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{answering['port']}/api")
    run = {"id": "1-2", "flow_id": "f", "name": "brave-cat", "state_type": "FAILED", "state_name": "Failed",
           "start_time": "2026-03-01T00:00:00Z", "parameters": {"line": "sentiment"}}  # fmt: skip
    other = {**run, "state_type": "RUNNING", "flow_id": "gone", "parameters": {}, "start_time": None}
    answering["/api/flow_runs/filter"] = (200, [run, other])
    answering["/api/flows/filter"] = (200, [{"id": "f", "name": "monitor"}])
    found = around.prefect()
    assert found.status.state == "well"
    first, second = found.runs
    assert (first.flow, first.well, first.line) == ("monitor", False, "sentiment")
    assert first.href == f"http://127.0.0.1:{answering['port']}/runs/flow-run/1-2"
    assert (second.flow, second.well, second.line, second.started) == ("brave-cat", None, None, None)


@pytest.mark.parametrize("content", [b"<html>", {"detail": "no"}, [{"id": 1}]])
def test_a_prefect_that_answers_nonsense_is_ill(content, answering, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{answering['port']}/api")
    answering["/api/flow_runs/filter"] = answering["/api/flows/filter"] = (200, content)
    assert around.prefect().status.state == "ill"


def test_without_prefect_nothing_is_asked(monkeypatch, workdir):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    assert around.prefect().status.said == "prefect.none"
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    assert around.prefect().status.said == "prefect.silent"


def test_the_log_tells_of_the_last_hour(workdir):
    assert around.traffic("sentiment").status.said == "log.none"
    ops_state.logged(rows=200, minutes=100)
    found = around.traffic("sentiment")
    assert found.status.state == "well" and found.newest is not None
    assert 115 <= found.hour <= 125
    assert 4 < found.p95_ms < 15
    assert around.traffic("other").status.said == "log.empty"


def test_a_broken_or_newer_log_is_said_without_its_password(workdir, monkeypatch):
    ops_state.logged(rows=3)
    from serving.log.database import connected

    with connected(f"sqlite:///{STATE}/predictions.db") as engine, engine.begin() as connection:
        connection.exec_driver_sql("UPDATE tidegate_log_version SET version_num = '9999'")
    assert "schema 9999" in around.traffic("sentiment").status.values["error"]
    (STATE / "predictions.db").write_bytes(b"no database " * 100)
    assert around.traffic("sentiment").status.state == "ill"
    monkeypatch.setenv("TIDEGATE_LOG_URL", "postgresql://user:secret@127.0.0.1:1/x")
    found = around.traffic("sentiment").status
    assert found.state == "ill" and "secret" not in str(found)


def test_nobody_waits_for_a_slow_answer_once_there_is_one():
    gate, asked = threading.Event(), []

    def ask():
        asked.append(1)
        if len(asked) > 1:
            gate.wait(20)
        return len(asked)

    with ThreadPoolExecutor(1) as pool:
        value = Fresh(pool, ask, 0, seconds=0)
        assert value.value() == 1
        began = time.monotonic()
        assert value.value() == 1  # the second question is still out
        assert time.monotonic() - began < 5
        gate.set()
        until(lambda: value.value() >= 2)


def test_the_first_answer_is_waited_for_but_not_for_ever():
    gate = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        value = Fresh(pool, lambda: gate.wait(20) and "known", "unknown")
        assert value.value(patience=0.05) == "unknown"
        gate.set()
        until(lambda: value.value() == "known")
        value.expire()
        assert value.value() == "known"


def test_a_value_of_long_ago_is_not_shown_again(monkeypatch):
    clock, asked = [0.0], []
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    with ThreadPoolExecutor(1) as pool:
        value = Fresh(pool, lambda: asked.append(1) or len(asked), 0, seconds=5, stale_seconds=20)
        assert value.value() == 1
        clock[0] = 10
        assert value.value() == 1  # shown once more, while it is asked for
        until(lambda: len(asked) == 2)
        clock[0] = 900  # nobody looked meanwhile: the answer that then came is as old as its question
        assert value.value() == 3
