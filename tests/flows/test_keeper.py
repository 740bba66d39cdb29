import sys
import time

import psutil
import pytest
from services import until

from flows import keeper as module
from flows.keeper import Keeper, Program
from flows.running import LOGS


@pytest.fixture
def keep(workdir, monkeypatch):
    """Keep `python -c CODE` running; ended with the test."""
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.05)
    kept = []

    def start(code, **about):
        program = Program("it", (sys.executable, "-uc", code), **about)
        kept.append(Keeper(program, log_megabytes=0.001, changed=lambda: None))
        kept[-1].start()
        return kept[-1]

    yield start
    for one in kept:
        one.stop()
        one.join()


def lines():
    return (LOGS / "it.log").read_text().splitlines() if (LOGS / "it.log").exists() else []


def test_what_dies_starts_again_and_its_output_is_kept(keep):
    keeper = keep("import os; print('one of', os.getpid()); raise SystemExit(1)")
    until(lambda: keeper.now.restarts >= 2)
    assert len(set(lines())) >= 2
    assert keeper.wrong is None


def test_a_killed_program_is_replaced(keep):
    keeper = keep("import time; print('up'); time.sleep(100)")
    first = until(lambda: keeper.now.state == "runs" and keeper.now.pid)
    psutil.Process(first).kill()
    second = until(lambda: keeper.now.pid not in (None, first) and keeper.now.pid)
    assert keeper.now.restarts == 1
    keeper.stop()
    keeper.join()
    assert keeper.now.state == "ended"
    assert not psutil.pid_exists(second)


def test_the_pauses_between_deaths_grow(keep, monkeypatch):
    monkeypatch.setattr(module, "LAST_PAUSE", 0.2)
    pauses = []
    keeper = keep("pass")
    monkeypatch.setattr(keeper._stop, "wait", lambda seconds: pauses.append(seconds) or time.sleep(0.01))
    until(lambda: len(pauses) >= 5)
    assert pauses[-1] == 0.2
    assert pauses[-5:] == sorted(pauses[-5:])


def test_wrong_settings_are_remembered_with_what_was_said(keep):
    keeper = keep("print('error: the port is taken'); raise SystemExit(2)")
    assert "the port is taken" in until(lambda: keeper.wrong)


def test_the_address_that_a_program_prints_is_known(keep):
    keeper = keep("import time; print('listening on http://127.0.0.1:8123'); time.sleep(100)")
    assert until(lambda: keeper.now.address) == "http://127.0.0.1:8123"
    fixed = keep("import time; print('listening on http://127.0.0.1:8123'); time.sleep(100)", address="http://a")
    assert fixed.now.address == "http://a"


def test_the_log_is_bounded(keep):
    keep("import time\nfor n in range(1000): print('x' * 40)\nprint('last'); time.sleep(100)")
    until(lambda: lines()[-1:] == ["last"])
    assert len(list(LOGS.glob("it.log*"))) == module.KEPT_LOGS + 1
    assert sum(file.stat().st_size for file in LOGS.glob("it.log*")) < 5 * 1100


CHILD = """
import subprocess, sys, time
print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(100)']).pid)
time.sleep(100)
"""


def test_children_of_a_killed_program_go_with_it(keep):
    keeper = keep(CHILD)
    child = psutil.Process(int(until(lines)[0]))
    psutil.Process(keeper.now.pid).kill()
    until(lambda: keeper.now.restarts == 1)  # though its child held the log open
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_what_does_not_end_is_killed(keep):
    keeper = keep(
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up'); time.sleep(100)",
        stop_seconds=0.1,
    )
    until(lambda: "up" in lines())
    process = psutil.Process(keeper.now.pid)
    keeper.stop()
    keeper.join()
    assert not process.is_running()


def test_a_program_hears_of_the_end(keep):
    keeper = keep(
        "import signal, time\n"
        "def end(*_):\n    print('farewell'); raise SystemExit(0)\n"
        "signal.signal(signal.SIGTERM, end); print('up'); time.sleep(100)"
    )
    until(lambda: "up" in lines())
    keeper.stop()
    keeper.join()
    assert lines()[-1] == "farewell"
    assert keeper.now.restarts == 0
