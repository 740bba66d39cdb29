"""DVC's record and cache: what is read while somebody writes, and what is said of it."""

import threading
import time
from pathlib import Path

import pytest
from dvc.repo import Repo
from toy import make_repository

from flows.dag import Dag

STAGES = """
stages:
  first:
    foreach: [toy]
    do:
      cmd: echo done > out.txt
      outs:
        - out.txt
"""


@pytest.fixture
def project(workdir):
    """A project with a stage that was never run."""
    Path("dvc.yaml").write_text(STAGES)
    make_repository(workdir)
    return workdir


@pytest.fixture
def recorded(project):
    """The dvc.lock of one whose stage was run."""
    Repo().reproduce()
    return project / "dvc.lock"


@pytest.mark.parametrize("written", [0.0, 0.5])
def test_a_record_that_is_being_written_is_waited_for(recorded, written):
    whole, half_there = recorded.read_text(), threading.Event()

    def write():
        with Repo().lock:
            recorded.write_text(whole[: int(written * len(whole))])
            half_there.set()
            time.sleep(0.5)
            recorded.write_text(whole)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        half_there.wait()
        dag = Dag()
        [stage] = dag.stages("toy")
    finally:
        writer.join()
    assert dag.status(stage) == [] and all(out.hash_info for out in stage.outs)


def test_what_was_never_run_is_no_word_when_garbage_is_collected(project, caplog):
    assert Dag().collect_garbage(dry_run=True) == (0, 0)
    assert caplog.messages == []
