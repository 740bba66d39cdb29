"""The smallest whole line: made reviews in a csv, settings that take seconds."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from commands import dvc, tidegate
from conftest import BAD, GOOD, copy_code, sentences

from flows.settings import load
from tasks.core.line import Line
from tasks.core.stage import execute
from tasks.sync import sync

STAGES = [
    "ingest", "validate", "label", "split", "train", "evaluate", "quality_gate", "export", "release_gate", "release",
]  # fmt: skip

BLOCKER = '''
"""Let no process of a run speak to anybody but this machine, and write down who tried."""
import socket

def guarded(call):
    def connect(self, address):
        local = self.family == socket.AF_UNIX or str(address[0]) in ("127.0.0.1", "::1", "localhost")
        if not local:
            open({log!r}, "a").write(f"{{address}}\\n")
            raise OSError(f"no network in tests: {{address}}")
        return call(self, address)
    return connect

socket.socket.connect = guarded(socket.socket.connect)
socket.socket.connect_ex = guarded(socket.socket.connect_ex)

def lookup(host, *rest, _ask=socket.getaddrinfo, **more):
    if host not in (None, "127.0.0.1", "::1", "localhost", socket.gethostname()):
        open({log!r}, "a").write(f"{{host}}\\n")
        raise socket.gaierror(f"no network in tests: {{host}}")
    return _ask(host, *rest, **more)

socket.getaddrinfo = lookup
'''

BEHAVIOUR = """
lexicons:
  noun: [film, story, cast]
tests:
  - {name: praise, kind: minimum, expect: positive, templates: ["the {noun} was great and the {noun} is lovely"]}
  - {name: points, kind: invariance, test_rows: 20, perturb: [punctuation]}
  - {name: blame, kind: direction, label: positive, moves: down, test_rows: 20, append: [and the cast was awful]}
  - {name: nouns, kind: fairness, swap: noun, templates: ["the {noun} was dull and the {noun} is cold"]}
"""


def write_reviews(path, rows, seed=0):
    """A csv of made reviews: review_id, body, sentiment."""
    frame = sentences(rows, seed).set_axis(["review_id", "body", "sentiment"], axis=1)
    frame.to_csv(path, index=False)


ABOUT = {"ending": ["ending", "scene"], "music": ["music", "script"], "people": ["cast", "director"]}
"""Answers, and the words by which texts ask for them."""


def questions(rows, seed=0):
    """Texts of which each asks for one answer of three: columns question, answer."""
    rng = np.random.default_rng(seed)
    asked = rng.choice(sorted(ABOUT), rows)
    feelings = rng.choice(GOOD + BAD, rows)
    texts = [
        f"{rng.choice(['is', 'was', 'and'])} the {rng.choice(ABOUT[answer])} {feeling} {n}"
        for n, (answer, feeling) in enumerate(zip(asked, feelings, strict=True))
    ]
    return pd.DataFrame({"question": texts, "answer": asked})


ODD = ["where", "do", "i", "leave", "my", "car", "key", "coat", "dog"]
"""Words of texts that ask for none of the answers."""


def odd_questions(rows, seed=0):
    """Texts that ask for nothing the line knows: columns question, answer, which is `oos`."""
    rng = np.random.default_rng(seed)
    texts = [" ".join([*rng.choice(ODD, 5), str(n)]) for n in range(rows)]
    return pd.DataFrame({"question": texts, "answer": "oos"})


def question_params(path, encoder, kind):
    """Settings of one line `toy` over a csv of made questions."""
    params = toy_params(path, encoder)
    params["lines"]["toy"] |= {
        "kind": kind,
        "sources": [
            {"name": "made", "kind": "file", "path": str(path), "columns": {"text": "question", "label": "answer"}}
        ],
        "label": {"by": "column", "labels": sorted(ABOUT)},
    }
    return params


def toy_params(reviews, encoder):
    """Settings of one line `toy` over a csv of made reviews."""
    columns = {"id": "review_id", "text": "body", "label": "sentiment"}
    return {
        "lines": {
            "toy": {
                "kind": "classify",
                "text": {},
                "sources": [{"name": "made", "kind": "file", "path": str(reviews), "columns": columns}],
                "ingest": {},
                "validate": {"min_rows": 10},
                "label": {"by": "column", "labels": ["negative", "positive"]},
                "split": {},
                "train": {
                    "base_model": encoder, "epochs": 3, "learning_rate": 3e-3, "max_length": 32, "precision": "fp32",
                },
                "evaluate": {},
                "quality_gate": {
                    "checks": [{"metric": "accuracy", "min": 0.6}],
                    "leakage": {"max_near": 1.0},  # these sentences differ by a word or two
                },
                "export": {},
                "release_gate": {},
                "release": {},
            }
        }
    }  # fmt: skip


def walked(folder, params, questions, behaviour):
    """A checkout in which the line `toy` has gone through all stages, without git, DVC or Prefect."""
    kind = params["lines"]["toy"]["kind"]
    copy_code(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        questions.to_csv("questions.csv", index=False)
        Path("params.yaml").write_text(yaml.safe_dump(params))
        line = Line("toy", kind)
        line.folder.mkdir(parents=True)
        (line.folder / "expectations.yaml").write_text("[]\n")
        (line.folder / "behaviour.yaml").write_text(behaviour)
        (line.folder / "labelling").mkdir()
        settings = load()["toy"]
        sync(line, settings.sources, settings.text)
        for stage in STAGES:
            execute(getattr(importlib.import_module(f"tasks.{stage}"), stage), "toy")
    return folder


def make_toy(folder, encoder, reviews):
    """Fill a checkout with the line `toy` over 600 made reviews, written where they are missing."""
    if not reviews.exists():
        write_reviews(reviews, rows=600)
    (folder / "params.yaml").write_text(yaml.safe_dump(toy_params(reviews, encoder)))
    (folder / "data" / "toy").mkdir(parents=True)
    (folder / "data" / "toy" / "expectations.yaml").write_text("[]\n")
    (folder / "data" / "toy" / "behaviour.yaml").write_text(BEHAVIOUR)
    (folder / "data" / "toy" / "labelling").mkdir()
    (folder / "data" / "toy" / "labelling" / "README.md").write_text("Labelling functions.\n")
    make_repository(folder)


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


def both_ways(base, encoder, prefect_url):
    """The line `toy` in two checkouts: `run` by tidegate with the network closed, `repro` by DVC."""
    (base / "reviews").mkdir()
    made = {"reviews": base / "reviews" / "reviews.csv", "calls": base / "calls"}
    for name in ("run", "repro-in-a-folder-with-another-name"):
        folder = made[name.partition("-")[0]] = copy_code(base / name)
        make_toy(folder, encoder, made["reviews"])
    blocker = base / "blocker"
    blocker.mkdir()
    (blocker / "sitecustomize.py").write_text(BLOCKER.format(log=str(made["calls"])))
    made["environment"] = {
        **os.environ,
        "PREFECT_API_URL": prefect_url,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    closed = {**made["environment"], "PYTHONPATH": f"{blocker}{os.pathsep}{made['run']}"}
    made["log"] = tidegate("run", "toy", cwd=made["run"], env=closed)
    tidegate("sync", "toy", **here(made, "repro"))
    made["repro_log"] = dvc("repro", **here(made, "repro"))
    return made


def here(lines, which):
    """Where and with what environment a command works on one of the two."""
    environment = {**lines["environment"], "PYTHONPATH": str(lines[which])}
    return {"cwd": lines[which], "env": environment}
