"""`tidegate forget` and `tidegate log` in a project: what they erase, what they say they cannot."""

import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
import yaml
from answers import answered, labelled
from commands import tidegate
from conftest import copy_code
from toy import make_repository, toy_params

from flows.forget import forget
from flows.traces import holds
from serving.log.recorder import LogRecorder
from serving.log.settings import LogSettings
from serving.metrics import Metrics
from tasks.core.errors import SettingsError
from tasks.core.files import sha256
from tasks.forgotten import Subject

SECRET = "my neighbour Anna hates the film"


@pytest.fixture(scope="module")
def made(tmp_path_factory, tiny_encoder):
    """A line of 20 reviews, one of them the secret, synced and committed; the same text in its log."""
    folder = copy_code(tmp_path_factory.mktemp("forget") / "checkout")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("PYTHONPATH", str(folder))
        fill(folder, tiny_encoder)
    return folder


@pytest.fixture
def project(made, tmp_path, monkeypatch):
    """A copy of it as working directory."""
    folder = shutil.copytree(made, tmp_path / "checkout", symlinks=True)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    return folder


def fill(checkout, encoder):
    rows = [(f"r{n}", SECRET if n == 7 else f"a plain review number {n}", "positive") for n in range(20)]
    pd.DataFrame(rows, columns=["review_id", "body", "sentiment"]).to_csv("reviews.csv", index=False)
    (checkout / "params.yaml").write_text(yaml.safe_dump(toy_params("reviews.csv", encoder)))
    for name in ("expectations", "behaviour"):
        path = checkout / "data/toy" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("[]\n")
    make_repository(checkout)
    assert tidegate("sync", "toy").returncode == 0
    subprocess.run(["git", "add", "-A"], check=True)
    subprocess.run(["git", "commit", "-qm", "data"], check=True)
    answer(("q1", [SECRET, "fine"]), ("q2", ["other"]))


def answer(*requests, days=0):
    recorder = LogRecorder(LogSettings(), Metrics())
    recorder.start()
    for name, texts in requests:
        recorder.answered(answered(name, texts, line="toy", time=datetime.now(UTC) - timedelta(days=days)))
        recorder.feedback(labelled(name, line="toy"))
    assert recorder.stop(20)


def places():
    """Files of the project that hold the text or are the cache's copy of one that does."""
    wanted = Subject(frozenset([SECRET]))
    plain = [path for path in Path().rglob("*") if path.is_file() and not path.is_relative_to(".git")]
    return [path for path in plain if SECRET.encode() in path.read_bytes() or holds(path, wanted)]


def test_everywhere_on_this_machine(project):
    assert len(places()) >= 4  # source, inbox, cache, log
    aside = project / ".tidegate/sync/toy-feed/000000.arrow"  # as an interrupted sync of a feed leaves it
    aside.parent.mkdir(parents=True)
    aside.write_bytes(b"ARROW1\0\0" + SECRET.encode())
    (project / "text").write_text(SECRET + "\n")
    ran = tidegate("forget", "toy", "--text-file", "text")
    assert ran.returncode == 0, ran.stdout
    (project / "text").unlink()
    assert "prediction log: 1 row(s) deleted" in ran.stdout
    assert "inbox: 1 row(s) taken out of 1 batch(es)" in ran.stdout
    assert "what interrupted syncs had set aside removed" in ran.stdout
    assert "DVC's cache: 1 file(s) of old versions removed" in ran.stdout
    assert SECRET not in ran.stdout
    assert places() == [Path("reviews.csv")]
    assert "the sources themselves" in ran.stdout
    status = subprocess.run(["dvc", "status", "data/toy/inbox.dvc"], capture_output=True, text=True, check=True)
    assert "up to date" in status.stdout
    again = tidegate("sync", "toy")
    assert "no new rows" in again.stdout


def test_by_standard_input_and_by_row(project):
    ran = tidegate("forget", "toy", "--text-stdin", input=SECRET)
    assert "prediction log: 1 row(s)" in ran.stdout, ran.stdout
    ran = tidegate("forget", "toy", "--row-id", "r3")
    assert "inbox: 1 row(s)" in ran.stdout
    assert "prediction log" not in ran.stdout


def test_by_request_the_inbox_is_not_looked_at(project):
    ran = tidegate("forget", "toy", "--id", "q1")
    assert "prediction log: 2 row(s) deleted" in ran.stdout, ran.stdout
    assert "inbox" not in ran.stdout
    assert "q1" not in tidegate("log").stdout


def test_what_cannot_be_reached_is_named(project, released):
    rows = pd.read_parquet(released / "data/sentiment/release/bundle/reference/rows.parquet")
    text = rows["text"][3]
    bundle = Path(".tidegate/releases/toy/aaaa")
    shutil.copytree(released / "data/sentiment/release/bundle", bundle)
    rows.to_parquet("data/toy/labeled.parquet")
    for folder in ("label", "split"):
        Path("data/toy", folder).mkdir()
        shutil.copy("data/toy/labeled.parquet", f"data/toy/{folder}/rows.parquet")
    Path("data/toy/labeled.parquet").unlink()
    Path(".tidegate/scratch/dead").mkdir(parents=True)
    shutil.copy("data/toy/label/rows.parquet", ".tidegate/scratch/dead/rows.parquet")
    subprocess.run(["dvc", "remote", "add", "store", "elsewhere"], check=True)
    report = forget("toy", [], [], [text])
    said = "\n".join(report.left)
    assert "outputs of label, split: run `tidegate run toy`" in said
    assert f"release {sha256(bundle / 'manifest.json')[:12]} of toy" in said
    assert str(bundle) in said
    assert "DVC remote(s) store" in said
    assert "1 file(s) of broken runs removed" in "\n".join(report.done)
    assert (bundle / "reference/rows.parquet").exists()
    assert text not in str(report)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Say what to forget"),
        (["--text-stdin"], "is empty"),
        (["--text-file", "nowhere"], "nowhere cannot be read"),
        (["--user-file", "nowhere"], "nowhere cannot be read"),
        (["--user", "ann", "--user", " "], "named by nothing"),
        (["--text-file", "latin"], "not UTF-8"),
    ],
)
def test_what_was_given_wrongly(project, arguments, said):
    (project / "latin").write_bytes(b"caf\xe9")
    ran = tidegate("forget", "toy", *arguments, input="")
    assert ran.returncode == 2
    assert said in ran.stdout
    assert "Traceback" not in ran.stdout


def test_a_text_on_the_command_line_is_no_option():
    ran = tidegate("forget", "--help")
    assert "--text-file" in ran.stdout
    assert "--text " not in ran.stdout


def test_the_log_at_a_glance(project):
    answer(("old", ["long ago"]), days=80)
    said = tidegate("log", env={**os.environ, "COLUMNS": "200"}).stdout
    assert "toy" in said
    assert "spool: 0 record(s) wait" in said
    assert "lost: nothing" in said
    params = yaml.safe_load(Path("params.yaml").read_text())
    Path("params.yaml").write_text(yaml.safe_dump({**params, "serving": {"log": {"keep_days": 30}}}))
    assert tidegate("log", "--purge").stdout.startswith("1 old row(s) deleted")
    assert "There is no line 'other'" in tidegate("log", "other").stdout


def test_a_log_that_cannot_be_reached(project, monkeypatch):
    monkeypatch.setenv("TIDEGATE_LOG_URL", "postgresql://me:secret@127.0.0.1:1/log")
    ran = tidegate("log")
    assert ran.returncode == 1
    assert "cannot be used" in ran.stdout
    assert "secret" not in ran.stdout


def test_an_empty_text_is_refused():
    with pytest.raises(SettingsError, match="Say what to forget"):
        forget("toy", [], [], [])
