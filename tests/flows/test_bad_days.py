"""Bad input end to end: a message that says what, where and what to do, the exit code, nothing lost or half-written.

The modules' own tests go through the corners (tests/tasks: test_sources, test_packages, test_archives, test_sync,
test_validate, test_label, test_encoders, test_checkpoints; test_two_ways: two at once). Here the wiring is tried.
"""

import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import psutil
import pytest
import yaml
from commands import dvc, started, tidegate
from conftest import copy_code
from toy import make_toy, write_reviews

from tasks.release import release_id

STALL = '''
"""Stop the stage that STALL names when half of its files stand in their final place, a sync before its last step."""
import os, pathlib, shutil, sys, time

def stall(*_):
    pathlib.Path("stalled").write_text(str(os.getpid()))
    time.sleep(120)

def move_half(source, target):
    files = sorted(pathlib.Path(source).rglob("*"))
    pathlib.Path(target).mkdir()
    files[0].replace(pathlib.Path(target, files[0].name))
    stall()

stage = os.environ.get("STALL")
if stage == "sync":
    os.fsync = stall
elif f"tasks.{stage}" in sys.orig_argv:
    shutil.move = move_half
'''

EXPECTED = """
- {expectation: expect_column_values_to_be_unique, column: id, severity: quarantine, reason: the id is not unique}
- {expectation: expect_column_values_to_be_between, column: characters, max_value: 20000, severity: quarantine,
   reason: the text is too long}
- {expectation: expect_column_values_to_be_in_set, column: label, value_set: [negative, positive],
   severity: quarantine, reason: the label is unknown}
"""


def stage(name):
    """Run a stage as DVC does, with the exit code and the message that it gives."""
    return subprocess.run(
        [sys.executable, "-m", f"tasks.{name}", "toy"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        check=False, timeout=120,
    )  # fmt: skip


def failed(done, code, *messages):
    """Whether a command ended with the code and each message, and without a traceback."""
    assert done.returncode == code, done.stdout
    for message in messages:
        assert message in done.stdout
    assert "Traceback" not in done.stdout
    assert "NoneType" not in done.stdout


def set_params(**blocks):
    path = Path("params.yaml")
    params = yaml.safe_load(path.read_text())
    for block, values in blocks.items():
        params["lines"]["toy"][block].update(values)
    path.write_text(yaml.safe_dump(params))


@pytest.fixture
def at_home(prefect_url, monkeypatch):
    """Make a project's folder the one in which commands work."""

    def enter(folder):
        monkeypatch.chdir(folder)
        monkeypatch.setenv("PREFECT_API_URL", prefect_url)
        monkeypatch.setenv("PYTHONPATH", str(folder))
        monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        return folder

    return enter


@pytest.fixture
def project(lines, tmp_path, at_home):
    """A copy of a line with a release, over reviews of its own in reviews.csv."""
    folder = at_home(shutil.copytree(lines["repro"], tmp_path / "project", symlinks=True))
    shutil.copy(lines["reviews"], folder / "reviews.csv")
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["lines"]["toy"]["sources"][0]["path"] = "reviews.csv"
    Path("params.yaml").write_text(yaml.safe_dump(params))
    return folder


def test_wrong_settings_end_with_2_and_are_said_all_at_once(project):
    set_params(train={"epochz": 3, "learning_rate": -1}, split={"train": "much"}, label={"by": "dice"})
    wrong = ["train.epochz", "did you mean 'epochs'", "train.learning_rate", "split.train", "label.by", "'dice'"]
    failed(tidegate("run", "toy"), 2, *wrong)
    failed(tidegate("check"), 2, *wrong)
    failed(stage("train"), 2, "lines.toy.train.epochz", "lines.toy.train.learning_rate")
    Path("params.yaml").unlink()
    for done in (tidegate("run", "toy"), stage("ingest")):
        failed(done, 2, "params.yaml is missing", "Run in a Tidegate project's folder")
    assert dvc("repro").returncode != 0
    assert release_id(project / "data/toy/release/bundle")


def test_a_source_that_is_gone_or_unreadable_loses_nothing(project, lines):
    before = Path("dvc.lock").read_text()
    reviews = Path("reviews.csv").read_text()
    inbox = sorted(Path("data/toy/inbox").iterdir())
    Path("reviews.csv").unlink()
    failed(tidegate("run", "toy"), 1, "there is no file reviews.csv", "Correct `path:`")
    for content, message in (
        (b"", "reviews.csv is empty"),
        (reviews.replace("great", "café").encode("latin-1"), "is not utf-8"),
        (b"id;words\n1;fine\n", "has no column"),
    ):
        Path("reviews.csv").write_bytes(content)
        failed(tidegate("sync", "toy"), 1, message)
    assert sorted(Path("data/toy/inbox").iterdir()) == inbox
    assert Path("dvc.lock").read_text() == before
    Path("reviews.csv").write_text(reviews)
    done = tidegate("run", "toy")  # the same rows from another path: nothing is taken twice
    assert done.returncode == 0, done.stdout
    assert "ingest: ran" not in done.stdout
    assert release_id(Path("data/toy/release/bundle")) == release_id(lines["repro"] / "data/toy/release/bundle")


@pytest.mark.long
def test_bad_rows_go_aside_or_stop_the_line(project):
    good = pd.read_csv("reviews.csv")
    odd = pd.DataFrame(
        {
            "review_id": ["long", "r1", "odd"],
            "body": ["great film " * 100_000, "another text of the same id", "a secret text"],
            "sentiment": ["positive", "negative", "meh"],
        }
    )
    pd.concat([good, odd]).to_csv("reviews.csv", index=False)
    Path("data/toy/expectations.yaml").write_text(EXPECTED)
    done = tidegate("run", "toy", "--until", "label")
    assert done.returncode == 0, done.stdout
    aside = pd.read_parquet("data/toy/validate/quarantine.parquet").set_index("id")["reason"]
    assert aside.groupby(level=0).first().to_dict() == {
        "made-long": "the text is too long", "made-odd": "the label is unknown", "made-r1": "the id is not unique",
    }  # fmt: skip
    assert len(aside) == 4  # both rows of the repeated id
    assert len(pd.read_parquet("data/toy/label/labeled.parquet")) == len(good) - 1

    Path("data/toy/expectations.yaml").write_text(EXPECTED.replace("severity: quarantine", "severity: reject"))
    rejected = tidegate("run", "toy", "--until", "label")
    failed(rejected, 3, "validate rejects", "id values to be unique", "The evidence is in")
    assert Path("data/toy/validate/docs/index.html").exists()

    Path("data/toy/expectations.yaml").write_text("[]\n")
    outside = dvc("repro", "label@toy")
    assert outside.returncode != 0
    for message in ("1 rows have a label outside the set: 'meh' (1)", "Allowed are negative, positive", "label.rename"):
        assert message in outside.stdout
    assert "secret" not in outside.stdout + rejected.stdout + done.stdout
    assert "Traceback" not in outside.stdout
    assert not Path("data/toy/label").exists() or not list(Path("data/toy/label").iterdir())


@pytest.mark.long
def test_one_class_only(project):
    write_reviews(Path("reviews.csv"), rows=60, seed=1)
    only = pd.read_csv("reviews.csv").query("sentiment == 'positive'")
    only.to_csv("reviews.csv", index=False)
    shutil.rmtree("data/toy/inbox")
    Path("data/toy/inbox.dvc").unlink()
    assert tidegate("sync", "toy").returncode == 0
    done = dvc("repro", "label@toy")
    assert done.returncode != 0
    assert f"No row has the label negative; there are positive ({len(only)})" in done.stdout
    assert "bring data that has them" in done.stdout
    assert "Traceback" not in done.stdout
    assert release_id(Path("data/toy/release/bundle"))


def test_a_base_model_without_its_pin_or_with_another(project, tiny_encoder):
    checkpoint = Path("data/toy/train/model.safetensors").read_bytes()
    unpinned = {key: value for key, value in tiny_encoder.items() if key != "sha256"}
    set_params(train={"base_model": unpinned})
    failed(stage("train"), 2, "is not pinned", f"Write train.base_model.sha256: {tiny_encoder['sha256']}")
    set_params(train={"base_model": {**unpinned, "sha256": "0" * 64}})
    failed(stage("train"), 1, f"wanted sha256 {'0' * 64}", f"got {tiny_encoder['sha256']}", "if you trust it")
    assert Path("data/toy/train/model.safetensors").read_bytes() == checkpoint


@contextmanager
def small_disk(folder):
    """A disk of 16 KB at a folder, for the time of the block; skips the test where none can be mounted."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16k", "none", folder], capture_output=True, check=False
    )
    if not mounted or mounted.returncode:
        pytest.skip("no right to mount a small disk; tests/tasks/test_sync.py has a full one without")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_full_disk(project):
    before = Path("dvc.lock").read_text()
    rows = Path("data/toy/ingest/rows.parquet").read_bytes()
    with small_disk(".tidegate/scratch"):
        failed(stage("ingest"), 1, "No space is left on the disk", "run again")
        failed(tidegate("run", "toy", "--until", "ingest", "--force", "ingest"), 1, "No space is left on the disk")
        assert not list(Path(".tidegate/scratch").iterdir())
    with small_disk(".dvc/cache"):
        failed(tidegate("run", "toy", "--until", "ingest", "--force", "ingest"), 1, "No space is left on the disk")
    assert Path("dvc.lock").read_text() == before
    done = tidegate("run", "toy", "--until", "ingest")
    assert done.returncode == 0, done.stdout
    assert Path("data/toy/ingest/rows.parquet").read_bytes() == rows
    assert Path("dvc.lock").read_text() == before


RUN = [sys.executable, "-m", "flows.cli", "run", "toy"]
REPRO = [sys.executable, "-m", "dvc", "repro"]
KILLS = [
    ("ingest", RUN, "stage", "half moved"),
    ("validate", RUN, "parent", "at work"),
    ("label", REPRO, "parent", "half moved"),
    ("split", REPRO, "stage", "half moved"),
    ("train", RUN, "stage", "at work"),
    ("evaluate", REPRO, "parent", "at work"),
    ("quality_gate", REPRO, "stage", "half moved"),
    ("export", RUN, "parent", "at work"),
    ("release_gate", REPRO, "stage", "at work"),
    ("release", RUN, "stage", "half moved"),
]
"""Each run goes on where the one before was killed: what, by which way in, which process, when."""


@pytest.fixture
def unbroken(lines, tiny_encoder, tmp_path, at_home):
    """The line's release as an unbroken run made it; the working directory is a fresh project of the same line."""
    folder = copy_code(tmp_path / "killed")
    make_toy(folder, tiny_encoder, lines["reviews"])
    (tmp_path / "stall").mkdir()
    (tmp_path / "stall" / "sitecustomize.py").write_text(STALL)
    at_home(folder)
    os.environ["PYTHONPATH"] += f"{os.pathsep}{tmp_path / 'stall'}"  # at_home takes it back
    return release_id(lines["run"] / "data/toy/release/bundle")


@pytest.mark.long
@pytest.mark.timeout(600)
def test_kill_9_in_sync_and_in_each_stage_and_go_on(unbroken, tmp_path, monkeypatch):
    log = tmp_path / "log"
    monkeypatch.setenv("STALL", "sync")
    with started(sys.executable, "-m", "flows.cli", "sync", "toy", log=log) as process:
        wait_for(lambda: number("stalled"), process, log)
        process.kill()
    assert not Path("data/toy/inbox").exists()
    monkeypatch.delenv("STALL")
    assert tidegate("sync", "toy").returncode == 0

    for name, command, victim, when in KILLS:
        Path("stalled").unlink(missing_ok=True)
        monkeypatch.setenv("STALL", name if when == "half moved" else "none")
        look = (lambda: number("stalled")) if when == "half moved" else (lambda name=name: scratch(name))
        with started(*command, log=log) as process:
            stage_process = psutil.Process(wait_for(look, process, log))
            (stage_process if victim == "stage" else process).kill()
            assert process.wait(60) != 0
        stage_process.wait(10)  # no orphan goes on
        said = log.read_text()
        assert "Traceback" not in said, said
        if victim == "stage" and command is RUN:
            assert f"{name} of toy was ended by SIGKILL" in said
        recorded = Path("dvc.lock").read_text() if Path("dvc.lock").exists() else ""
        assert f"  {name}@toy:" not in recorded
        assert recorded.count("    cmd: ") == [kill[0] for kill in KILLS].index(name)  # each stage before, by this run

    monkeypatch.delenv("STALL")
    done = tidegate("run", "toy")
    assert done.returncode == 0, done.stdout
    assert release_id(Path("data/toy/release/bundle")) == unbroken
    assert dvc("status").stdout.strip() == "Data and pipelines are up to date."


def number(path):
    return int(Path(path).read_text() or 0) if Path(path).exists() else None


def scratch(name):
    """The process of a stage whose body has begun."""
    pids = [int(folder.name.rsplit("-", 1)[1]) for folder in Path(".tidegate/scratch").glob(f"toy-{name}-*")]
    return next(filter(psutil.pid_exists, pids), None)


def wait_for(look, process, log):
    deadline = time.monotonic() + 120
    while not (found := look()):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.01)
    return found
