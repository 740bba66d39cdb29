"""A project `fake` whose two stages only sleep and write; a project with two releases to compare."""

import json
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import gto.api
import made
import pytest
import yaml
from dvc.repo import Repo
from toy import make_repository, toy_params, write_reviews
from traffic import Traffic, check

from flows import observe, promote, store
from flows.alert_settings import URLS
from serving.deployment import Pointer, ServingFolder
from tasks.core.files import write_json
from tasks.core.line import STATE
from tasks.drift.examine import Findings

BUNDLE = Path("data/sentiment/release/bundle")

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


RELEASES = """
stages:
  release:
    foreach: ${lines}
    do:
      cmd: python -m tasks.release ${key}
      deps:
        - data/${key}/behaviour.yaml
        - made_by.py
      params:
        - lines.${key}.train
      outs:
        - data/${key}/release/bundle
artifacts:
  sentiment: {path: data/sentiment/release/bundle, type: model}
"""


@pytest.fixture(scope="session")
def project_made(tmp_path_factory, released, tiny_encoder):
    """The folder of `project`, made once, and the ids of its releases."""
    folder = tmp_path_factory.mktemp("project")
    block = toy_params("reviews.csv", tiny_encoder)["lines"]["toy"]
    block["compare"] = {"draws": 200, "variants": ["fp32"]}
    (folder / "params.yaml").write_text(yaml.safe_dump({"lines": {"sentiment": block}}))
    (folder / "dvc.yaml").write_text(RELEASES)
    (folder / "made_by.py").write_text("# code of the line\n")
    (folder / "data/sentiment").mkdir(parents=True)
    (folder / "data/sentiment/behaviour.yaml").write_text("[]\n")
    kept = {}
    for name, day in (("bad", 1), ("good", 2)):
        bundle = shutil.copytree(released / BUNDLE, folder / name)
        kept[name] = made.resealed(bundle, turned=name == "bad", params={"lines.sentiment.train": block["train"]})
        who = {"name": "Mara", "email": "mara@example.org"}
        write_json(bundle / "provenance.json", {"time": f"2026-01-0{day}T00:00:00+00:00", "who": who})
        target = folder / store.STORE / "sentiment" / kept[name]
        target.parent.mkdir(parents=True, exist_ok=True)
        bundle.rename(target)
    return folder, kept


def copied(folder, workdir, monkeypatch):
    """Fill the working directory with a copy of a project, whose trial of the service is left out."""
    shutil.copytree(folder, workdir, dirs_exist_ok=True)
    monkeypatch.setenv("PYTHONPATH", str(Path(sys.modules["flows"].__path__[0]).parent))
    monkeypatch.setattr(promote, "tried", lambda line, bundle: promote.Chosen("fp32"))  # seconds each: see test_infra


@pytest.fixture
def project(workdir, project_made, monkeypatch):
    """A project with two releases in the store: `good`, the newest, and `bad`, which says the opposite."""
    folder, kept = project_made
    copied(folder, workdir, monkeypatch)
    return dict(kept)


def recorded(bundle):
    """Let the working tree's dvc.lock say that the line's release is `bundle`, as a run does."""
    shutil.rmtree(BUNDLE, ignore_errors=True)
    shutil.copytree(bundle, BUNDLE, ignore=shutil.ignore_patterns("provenance.json", "comparisons"))
    with Repo() as repo:
        repo.commit("release@sentiment", force=True)


def commit(bundle, message):
    """A commit whose release is `bundle`, tracked by DVC."""
    recorded(bundle)
    subprocess.run(["git", "add", "-A"], check=True)
    subprocess.run(["git", "commit", "-qm", message], check=True)


@pytest.fixture(scope="session")
def repository_made(tmp_path_factory, project_made):
    """The folders of `assignments` and `unrecorded`, made once: DVC and git take seconds."""
    folder, kept = project_made
    made_here = {}
    for name in ("assignments", "unrecorded"):
        made_here[name] = tmp_path_factory.mktemp(name)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(made_here[name])
            shutil.copytree(folder, ".", dirs_exist_ok=True)
            Path(".gitignore").write_text("/.tidegate/\n/data/*/release/\n")
            make_repository(Path())
            commit(store.STORE / "sentiment" / kept["bad"], "bad")
            if name == "unrecorded":
                recorded(store.STORE / "sentiment" / kept["good"])
                continue
            gto.api.register(".", "sentiment", "HEAD")
            commit(store.STORE / "sentiment" / kept["good"], "good")
            gto.api.register(".", "sentiment", "HEAD")
    return made_here


@pytest.fixture
def assignments(workdir, project_made, repository_made, monkeypatch):
    """Both releases committed and registered: `bad` as v0.0.1 and `good` as v0.0.2, none assigned."""
    copied(repository_made["assignments"], workdir, monkeypatch)
    return dict(project_made[1])


@pytest.fixture
def unrecorded(workdir, project_made, repository_made, monkeypatch):
    """A repository whose last commit records `bad`; of `good` only the working tree's dvc.lock knows."""
    copied(repository_made["unrecorded"], workdir, monkeypatch)
    return dict(project_made[1])


@pytest.fixture
def watched(assignments, monkeypatch):
    """`good` is champion and served; what it is sent is logged. No Prefect server is told."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    gto.api.assign(".", "sentiment", stage="production", version="v0.0.2")
    bundle = store.STORE / "sentiment" / assignments["good"]
    folder = ServingFolder(str(STATE / "serving"))
    folder.put("sentiment", bundle)
    folder.point(Pointer(line="sentiment", release=assignments["good"], version="v0.0.2", variant="fp32"))
    return Traffic(bundle)


@pytest.fixture
def found(monkeypatch):
    """Let examine say something."""

    def let(findings):
        monkeypatch.setattr(observe, "examine", lambda *_, **__: findings)

    let(Findings("none", "No drift was found.", [check("none")]))
    return let


@pytest.fixture
def webhook(monkeypatch):
    """A web server that keeps what it is sent, and fails while `broken` is set."""

    class Kept(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if not server.broken:
                server.got.append(body)
            self.send_response(500 if server.broken else 200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Kept)
    server.got, server.broken = [], False
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.url = f"json://127.0.0.1:{server.server_port}/secret-token"
    monkeypatch.setenv(URLS, server.url)
    yield server
    server.shutdown()
    server.server_close()
