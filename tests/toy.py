"""The smallest whole line: made reviews in a csv, settings that take seconds."""

import subprocess
import sys

import yaml
from conftest import sentences


def write_reviews(path, rows, seed=0):
    """A csv of made reviews: review_id, body, sentiment."""
    frame = sentences(rows, seed).set_axis(["review_id", "body", "sentiment"], axis=1)
    frame.to_csv(path, index=False)


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
                "quality_gate": {"checks": [{"metric": "accuracy", "min": 0.6}]},
                "export": {},
                "release_gate": {},
                "release": {},
            }
        }
    }  # fmt: skip


def make_toy(folder, encoder, reviews):
    """Fill a checkout with the line `toy` over 600 made reviews."""
    write_reviews(reviews, rows=600)
    (folder / "params.yaml").write_text(yaml.safe_dump(toy_params(reviews, encoder)))
    (folder / "data" / "toy").mkdir(parents=True)
    (folder / "data" / "toy" / "expectations.yaml").write_text("[]\n")
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
