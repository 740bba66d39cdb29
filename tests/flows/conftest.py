"""A project `fake` whose two stages only sleep and write."""

import pytest
import yaml
from toy import make_repository, toy_params, write_reviews

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
    (checkout / "params.yaml").write_text(yaml.safe_dump(toy_params(checkout / "reviews.csv", tiny_encoder)))
    make_repository(checkout)
    return checkout
