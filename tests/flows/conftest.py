"""Projects to run: `fake` with two stages that only sleep and write, `toy` with the real ten on a tiny encoder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from toy import toy_params, write_reviews

from flows.server import server

FAKE_DAG = """
stages:
  first:
    foreach: ${lines}
    do:
      cmd: python -m tasks.first ${key}
      deps:
        - data/${key}/inbox
        - tasks/first.py
      params:
        - lines.${key}.label
      outs:
        - data/${key}/first/out.txt
  second:
    foreach: ${lines}
    do:
      cmd: python -m tasks.second ${key}
      deps:
        - data/${key}/first/out.txt
        - tasks/second.py
      outs:
        - data/${key}/second/out.txt
        - data/${key}/second/verdict.json
"""

FIRST = '''
"""Say that it started, wait as long as the file `wait` says, write."""
import os, time
from pathlib import Path
from tasks.core.line import Line
from tasks.core.stage import run_stage

def first(line: Line, out: Path) -> None:
    """First."""
    print("first is at work", flush=True)
    Path("started").write_text(str(os.getpid()))
    time.sleep(float(Path("wait").read_text()))
    (out / "out.txt").write_text(Path("params.yaml").read_text())

if __name__ == "__main__":
    run_stage(first)
'''

SECOND = '''
from pathlib import Path
from tasks.core.line import Line
from tasks.core.stage import run_stage
from tasks.verdict import Verdict, limit, write

def second(line: Line, out: Path) -> None:
    """Second: a gate with the limit that the file `limit` gives."""
    (out / "out.txt").write_text("done")
    write(out / "verdict.json", Verdict.of("second", [limit("accuracy", 0.5, float(Path("limit").read_text()), None)]))

if __name__ == "__main__":
    run_stage(second)
'''


@pytest.fixture(scope="session")
def prefect_url(tmp_path_factory):
    """A Prefect server for the whole session: its start takes seconds."""
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("prefect"))
    os.environ["PREFECT_HOME"] = str(Path.cwd())
    os.environ["PYTHONPATH"] = str(Path(__file__).parent.parent.parent)
    try:
        with server() as url:
            os.chdir(before)
            yield url
    finally:
        os.chdir(before)


def make_repository(folder):
    """Git and DVC set up, everything committed."""
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]
    for command in (
        ["git", "init", "-q"],
        [sys.executable, "-m", "dvc", "init", "-q"],
        ["git", "config", "user.name", "Tester"],
        ["git", "config", "user.email", "tester@example.org"],
        [*git, "add", "-A"],
        [*git, "commit", "-qm", "start"],
    ):
        subprocess.run(command, cwd=folder, check=True)


@pytest.fixture
def fake(checkout, tiny_encoder, prefect_url, monkeypatch):
    """A project with two small stages; the files `wait` and `limit` steer them."""
    monkeypatch.setenv("PREFECT_API_URL", prefect_url)
    (checkout / "dvc.yaml").write_text(FAKE_DAG)
    (checkout / "tasks" / "first.py").write_text(FIRST)
    (checkout / "tasks" / "second.py").write_text(SECOND)
    (checkout / "wait").write_text("0")
    (checkout / "limit").write_text("0.4")
    write_reviews(checkout / "reviews.csv", rows=40)
    (checkout / "params.yaml").write_text(yaml.safe_dump(toy_params(checkout, tiny_encoder)))
    make_repository(checkout)
    return checkout


@pytest.fixture
def toy(checkout, tiny_encoder, prefect_url, monkeypatch):
    """A project with the real stages, a tiny encoder and 600 made reviews."""
    monkeypatch.setenv("PREFECT_API_URL", prefect_url)
    make_toy(checkout, tiny_encoder)
    return checkout


def make_toy(folder, tiny_encoder):
    """Fill a checkout with the line `toy`."""
    write_reviews(folder / "reviews.csv", rows=600)
    (folder / "params.yaml").write_text(yaml.safe_dump(toy_params(folder, tiny_encoder)))
    (folder / "data" / "toy").mkdir(parents=True)
    (folder / "data" / "toy" / "expectations.yaml").write_text("[]\n")
    make_repository(folder)
