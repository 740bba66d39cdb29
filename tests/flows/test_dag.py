"""What is read of DVC's record while somebody writes it."""

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
def recorded(workdir):
    """A project whose stage was run: its dvc.lock."""
    Path("dvc.yaml").write_text(STAGES)
    make_repository(workdir)
    Repo().reproduce()
    return workdir / "dvc.lock"


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
