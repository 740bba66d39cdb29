import os
import subprocess
import sys
import time

import psutil
import pytest

from flows.process import RunCancelled, run_stage
from tasks.core.errors import RejectedError, SettingsError, StageError

MODULE = """
import os, subprocess, sys, time
from pathlib import Path
{body}
"""


@pytest.fixture
def stage(workdir, monkeypatch):
    """Write tasks/<name>.py into a folder that comes first on the path."""
    (workdir / "tasks").mkdir()
    monkeypatch.setenv("PYTHONPATH", str(workdir))

    def write(body):
        (workdir / "tasks" / "odd.py").write_text(MODULE.format(body=body))

    return write


def run(cancelled=lambda: False):
    lines = []
    run_stage("odd", "a", lines.append, cancelled)
    return lines


def test_output_is_streamed_line_by_line(stage):
    stage("print('one'); print('two', file=sys.stderr); print('drei ü')")
    assert sorted(run()) == ["drei ü", "one", "two"]


@pytest.mark.parametrize(("code", "kind"), [(1, StageError), (2, SettingsError), (3, RejectedError)])
def test_the_child_s_own_message_and_kind_of_error_come_through(stage, code, kind):
    stage(f"print('error: first line'); print('second line'); sys.exit({code})")
    with pytest.raises(kind, match="first line\nsecond line"):
        run()


def test_a_crash_without_message_says_so(stage):
    stage("sys.exit(7)")
    with pytest.raises(StageError, match="exit code 7"):
        run()


def test_a_killed_child_is_named_with_its_signal(stage):
    stage("import signal; os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(StageError, match=r"SIGKILL.*memory.*Nothing was recorded"):
        run()


def test_cancelling_ends_a_chatty_child_and_its_children(stage, workdir):
    stage(
        "child = subprocess.Popen(['sleep', '60']); Path('pids').write_text(f'{os.getpid()} {child.pid}')\n"
        "while True: print('x', flush=True); time.sleep(0.01)"
    )
    with pytest.raises(RunCancelled):
        run(cancelled=lambda: True)
    deadline = time.monotonic() + 5
    for pid in map(int, (workdir / "pids").read_text().split()):
        while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_a_child_that_ignores_sigterm_is_killed(stage):
    stage("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)")
    started = time.monotonic()
    with pytest.raises(RunCancelled):
        run(cancelled=lambda: True)
    assert time.monotonic() - started < 30


def test_the_temporary_server_dies_with_a_killed_run(workdir):
    """kill -9 of a run leaves no server behind."""
    code = (
        "import os, time; from flows.server import server, settle; settle()\n"
        "with server() as url: print(url, flush=True); time.sleep(120)"
    )
    root = str(__import__("pathlib").Path(__file__).parent.parent.parent)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")} | {"PYTHONPATH": root}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout.readline().startswith("http://127.0.0.1:")
        (server,) = [c for c in psutil.Process(process.pid).children() if "flows.server" in c.cmdline()]
        process.kill()
        process.wait()
    assert server.wait(10) is None or not server.is_running()
