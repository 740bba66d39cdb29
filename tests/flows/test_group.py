import json
import os
import signal
import subprocess
import sys
import threading

import pytest
from services import until

from flows import group, running
from flows.group import Group, Stop
from flows.keeper import Program
from flows.up_settings import UpSettings
from tasks.core.errors import SettingsError

POLITE = """
import signal, time
def end(*_):
    open('ended', 'a').write('{name} '); raise SystemExit(0)
signal.signal(signal.SIGTERM, end); print('listening on http://127.0.0.1:1'); time.sleep(100)
"""


def program(name, code, **about):
    return Program(name, (sys.executable, "-uc", code), **about)


def polite(name):
    return program(name, POLITE.format(name=name))


def test_prefect_s_server_ends_last(workdir):
    stop = Stop()
    whole = Group([polite(name) for name in (running.SERVER, "worker", "ops")], UpSettings(), stop)
    thread = threading.Thread(target=whole.run)
    thread.start()
    up = until(lambda: (up := running.found()) and up.ready and all(p.address for p in up.programs) and up)
    assert [one.name for one in up.programs] == [running.SERVER, "worker", "ops"]
    stop.set()
    thread.join(60)
    ended = (workdir / "ended").read_text().split()
    assert sorted(ended) == ["ops", "server", "worker"]
    assert ended[-1] == "server"
    assert running.found() is None


def test_wrong_settings_end_it_with_what_was_said(workdir, monkeypatch):
    monkeypatch.setattr(group, "PATIENCE", 0.0)
    monkeypatch.setattr(group, "POLL", 0.05)
    bad = program("service", "print('error: the port is taken'); raise SystemExit(2)", health="/")
    with pytest.raises(SettingsError, match=r"service ended with exit code 2: the port is taken"):
        Group([polite("ops"), bad], UpSettings(), Stop()).run()
    assert running.found() is None


def test_what_is_late_is_told(workdir, monkeypatch, caplog):
    monkeypatch.setattr(group, "POLL", 0.05)
    stop = Stop()
    deaf = program("service", "import time; time.sleep(100)", address="http://127.0.0.1:1", health="/")
    whole = Group([polite("ops"), deaf], UpSettings(ready_seconds=0.1), stop)
    thread = threading.Thread(target=whole.run)
    thread.start()
    until(lambda: "no answer from service" in caplog.text)
    assert not running.found().ready
    stop.set()
    thread.join(60)


HEEDING = """
import json, time
from flows.group import Stop
with Stop().heeded() as stop:
    print('heeding', flush=True)
    stop.wait(60)
    print(json.dumps(stop.which), flush=True)
    time.sleep(60)
"""


def test_signals_are_heeded_and_a_second_ctrl_c_waits_for_nothing():
    with subprocess.Popen([sys.executable, "-c", HEEDING], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "heeding\n"
        os.kill(process.pid, signal.SIGINT)
        assert json.loads(process.stdout.readline()) == signal.SIGINT
        os.kill(process.pid, signal.SIGTERM)
        assert process.poll() is None
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(30) == -signal.SIGKILL
