import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from flows import ps, running
from flows.running import Running
from tasks.core.files import read_json, write_json


def change(**fields):
    write_json(running.FILE, read_json(running.FILE) | fields)


def test_what_runs_is_found(workdir):
    assert running.found() is None
    running.keep(running.here())
    assert running.found().pid == os.getpid()
    running.forget()
    assert running.found() is None


@pytest.mark.parametrize(
    "changes", [{"pid": 2**22 + 1}, {"started": 1.0}, {"host": "another"}, {"pid": "x"}, {"programs": [{}]}]
)
def test_what_a_killed_one_left_is_not_taken_for_a_running_one(workdir, changes):
    running.keep(running.here())
    change(**changes)
    assert running.found() is None


def test_a_broken_record_is_none(workdir):
    running.FILE.parent.mkdir()
    running.FILE.write_text("{")
    assert running.found() is None


@pytest.fixture
def environment(monkeypatch):
    """Without PREFECT_API_URL; what the test sets goes with it."""
    monkeypatch.setenv("PREFECT_API_URL", "kept by monkeypatch")
    del os.environ["PREFECT_API_URL"]


def up_with(**server):
    running.keep(running.here().model_copy(update={"programs": [Running(name=running.SERVER, **server)]}))


def test_commands_use_the_server_that_is_up(workdir, environment):
    running.join()
    assert "PREFECT_API_URL" not in os.environ
    up_with(state="waits", address="http://127.0.0.1:1")
    running.join()
    assert "PREFECT_API_URL" not in os.environ
    up_with(state="runs", address="http://127.0.0.1:1")
    running.join()
    assert os.environ["PREFECT_API_URL"] == "http://127.0.0.1:1/api"


def test_a_server_that_is_named_is_used(workdir, environment):
    os.environ["PREFECT_API_URL"] = "http://prefect.example/api"
    up_with(state="runs", address="http://127.0.0.1:1")
    running.join()
    assert os.environ["PREFECT_API_URL"] == "http://prefect.example/api"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/good" else 500)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def address():
    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_well_is_what_answers_or_lives(address):
    assert running.well(Running(name="a", state="runs"))
    assert not running.well(Running(name="a", state="waits"))
    assert not running.well(Running(name="a", state="starting"))
    assert running.well(Running(name="a", state="runs", address=address, health="/good"))
    assert not running.well(Running(name="a", state="runs", address=address, health="/bad"))
    assert not running.well(Running(name="a", state="runs", health="/good"))
    assert not running.well(Running(name="a", state="waits", address=address, health="/good"))
    assert not running.well(Running(name="a", state="runs", address="http://127.0.0.1:1", health="/good"))


def test_the_table_says_what_is_not_well(workdir, capsys):
    assert ps.show() == 1
    assert "Nothing runs" in capsys.readouterr().out
    programs = [Running(name="one", state="runs", pid=7), Running(name="two", state="waits", restarts=3)]
    running.keep(running.here().model_copy(update={"programs": programs[:1]}))
    assert ps.show() == 0
    running.keep(running.here().model_copy(update={"programs": programs}))
    assert ps.show() == 1
    assert "died; starts again" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3700, "1 h 1 min"), (90_000, "1 d 1 h")]
)
def test_how_long_ago(seconds, said):
    assert ps.ago(seconds) == said
