import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tasks.core import stage as entry
from tasks.core.errors import SettingsError, StageError
from tasks.core.line import Line
from tasks.core.settings import Settings

DAG = """
stages:
  toy:
    foreach: ${lines}
    do:
      cmd: python -m tasks.toy ${key}
      deps: [data/${key}/in.txt, code]
      params: [lines.${key}.toy]
      outs: [data/${key}/toy/out.txt]
"""


class ToySettings(Settings, block="toy"):
    times: int = 1


def toy(line: Line, settings: ToySettings, out: Path) -> None:
    """Repeat the input."""
    (out / "out.txt").write_text(line.folder.joinpath("in.txt").read_text() * settings.times)


@pytest.fixture
def project(workdir):
    (workdir / "dvc.yaml").write_text(DAG)
    (workdir / "params.yaml").write_text("lines: {a: {kind: classify, toy: {times: 2}}, b: {}}")
    (workdir / "data" / "a").mkdir(parents=True)
    (workdir / "data" / "a" / "in.txt").write_text("x")
    (workdir / "code").mkdir()
    return workdir


def test_a_body_gets_its_settings_and_its_output_takes_its_place(project):
    entry.execute(toy, "a")
    assert (project / "data/a/toy/out.txt").read_text() == "xx"
    assert not list((project / ".tidegate/scratch").iterdir())


def test_what_a_failed_body_wrote_is_dropped_and_what_was_there_stays(project):
    entry.execute(toy, "a")

    def broken(line: Line, out: Path) -> None:
        (out / "out.txt").write_text("half")
        raise RuntimeError

    broken.__name__ = "toy"
    with pytest.raises(RuntimeError):
        entry.execute(broken, "a")
    assert (project / "data/a/toy/out.txt").read_text() == "xx"
    assert not list((project / ".tidegate/scratch").iterdir())


@pytest.mark.parametrize(
    ("path", "content"),
    [("data/a/in.txt", "y"), ("code/new.py", ""), ("params.yaml", "lines: {a: {kind: classify, toy: {times: 3}}}")],
)
def test_an_edit_during_a_stage_makes_it_fail_and_keeps_nothing(project, path, content):
    def edited(line: Line, settings: ToySettings, out: Path) -> None:
        (out / "out.txt").write_text("of no known state")
        Path(path).write_text(content)

    edited.__name__ = "toy"
    with pytest.raises(StageError, match="changed while toy was running"):
        entry.execute(edited, "a")
    assert not (project / "data/a/toy").exists()


def test_an_edit_of_another_line_does_not_matter(project):
    def edited(line: Line, settings: ToySettings, out: Path) -> None:
        Path("params.yaml").write_text("lines: {a: {kind: classify, toy: {times: 2}}, b: {more: 1}}")

    edited.__name__ = "toy"
    entry.execute(edited, "a")
    assert (project / "data/a/toy").exists()


def test_a_missing_dependency_says_how_to_get_it(project):
    (project / "data/a/in.txt").unlink()
    with pytest.raises(StageError, match="dvc pull"):
        entry.execute(toy, "a")


def test_a_missing_file_that_a_line_brings_is_asked_for(project):
    (project / "dvc.yaml").write_text(DAG.replace("in.txt", "behaviour.yaml"))
    with pytest.raises(StageError, match=r"behaviour\.yaml is missing\. It is written by hand"):
        entry.execute(toy, "a")


def test_wrong_settings_and_unknown_lines(project):
    (project / "params.yaml").write_text("lines: {a: {toy: {time: 2}}}")
    with pytest.raises(SettingsError, match="did you mean 'times'"):
        entry.execute(toy, "a")
    with pytest.raises(SettingsError, match="no line 'c'"):
        entry.execute(toy, "c")


def test_a_stage_without_data_ends_with_a_message_and_no_traceback(checkout):
    (checkout / "params.yaml").write_text("lines: {a: {kind: classify, ingest: {}, text: {}}}")
    done = subprocess.run(
        [sys.executable, "-m", "tasks.ingest", "a"], capture_output=True, text=True, cwd=checkout, check=False
    )
    assert done.returncode == 1
    assert done.stdout.startswith("error: data/a/inbox is missing")
    assert "tidegate sync a" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_process_group_ends_with_its_parent(tmp_path):
    """A kill -9 of the parent closes its pipe; the child and the child's child follow."""
    child = (
        "import subprocess, sys, time; from tasks.core.stage import end_with_parent; end_with_parent();"
        "grandchild = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
        f"open(r'{tmp_path}/pids', 'w').write(f'{{grandchild.pid}}'); time.sleep(60)"
    )
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", child],
        env={**os.environ, entry.PARENT_PIPE: str(reading)},
        pass_fds=[reading],
        start_new_session=True,
    )
    os.close(reading)
    while not (tmp_path / "pids").exists() or not (tmp_path / "pids").read_text():
        assert process.poll() is None
        time.sleep(0.02)
    os.close(writing)
    assert process.wait(timeout=10) == -9
    grandchild = int((tmp_path / "pids").read_text())
    deadline = time.monotonic() + 10
    while Path(f"/proc/{grandchild}/cmdline").exists() and Path(f"/proc/{grandchild}/cmdline").read_bytes():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("command", ["{}", "{}; true"], ids=["a shell that becomes the stage", "a shell that stays"])
def test_a_stage_ends_with_a_killed_dvc(tmp_path, command):
    """DVC starts a stage by the user's shell, which may outlive DVC and stay the stage's parent."""
    stage = (
        "import os, time; from tasks.core.stage import end_with_parent; end_with_parent();"
        f"open(r'{tmp_path}/pid', 'w').write(str(os.getpid())); time.sleep(60)"
    )
    command = command.format(shlex.join([sys.executable, "-c", stage]))
    start = (
        f"import os, subprocess; subprocess.run(['/bin/sh', '-c', {command!r}], env={{**os.environ, 'DVC_STAGE': 'x'}})"
    )
    dvc = subprocess.Popen([sys.executable, "-c", start])
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert dvc.poll() is None
        time.sleep(0.02)
    stage_process = psutil.Process(int((tmp_path / "pid").read_text()))
    dvc.kill()
    dvc.wait()
    stage_process.wait(10)
