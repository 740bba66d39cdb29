"""`tidegate profile` as a user gives it."""

import subprocess
import sys

import pytest
import toy
from commands import tidegate

from flows.profile import profile_line
from flows.settings import load
from tasks.core.errors import TidegateError
from tasks.core.files import read_json
from tasks.core.line import Line
from tasks.core.stage import execute
from tasks.ingest import ingest
from tasks.sync import sync


@pytest.fixture
def project(checkout, tiny_encoder):
    """A line `toy` whose rows of 600 reviews are ingested."""
    toy.make_toy(checkout, tiny_encoder, checkout / "reviews.csv")
    settings = load(["toy"])["toy"]
    sync(Line("toy"), settings.sources, settings.text)
    execute(ingest, "toy")
    return checkout


def test_a_profile_without_an_earlier_version(project, capsys):
    page = profile_line("toy", propose=True)
    said = capsys.readouterr().out
    assert "600 rows from 1 source(s), 600 sampled." in said
    assert "There is no earlier version: the last commit has the same rows or none, and no release is kept." in said
    assert page.read_text().startswith("<!doctype html>")
    assert read_json(page.with_suffix(".json"))["labels"].keys() == {"negative", "positive"}
    assert (
        "expectation: expect_column_values_to_be_in_set"
        in (project / "data/toy/expectations.proposed.yaml").read_text()
    )


@pytest.mark.long
def test_drift_against_the_last_commit_and_wrong_names(project, capsys):
    for command in (
        [sys.executable, "-m", "dvc", "add", "-q", "data/toy/inbox"],
        [sys.executable, "-m", "dvc", "repro", "-q", "ingest@toy"],
        ["git", "add", "-A"],
        ["git", "commit", "-qm", "rows"],
    ):
        subprocess.run(command, check=True)
    toy.write_reviews(project / "reviews.csv", rows=900)
    done = tidegate("sync", "toy")
    assert done.returncode == 0, done.stdout
    subprocess.run([sys.executable, "-m", "dvc", "repro", "-q", "ingest@toy"], check=True)
    done = tidegate("profile", "toy", "--html", "pages/toy.html", "--sample", "300")
    assert done.returncode == 0, done.stdout
    assert "rows from 1 source(s), 300 sampled." in done.stdout
    assert "Drift against the rows of git revision HEAD: " in done.stdout
    assert "300 rows drawn at random" in (project / "pages/toy.html").read_text()
    assert read_json(project / ".tidegate/profiles/toy.json")["drift"]
    capsys.readouterr()
    profile_line("toy", against="HEAD", sample=300)
    assert "git revision HEAD" in capsys.readouterr().out
    with pytest.raises(TidegateError, match="There is no release nonsense of toy"):
        profile_line("toy", against="nonsense")


def test_no_rows_and_no_line_are_said(checkout, tiny_encoder):
    toy.make_toy(checkout, tiny_encoder, checkout / "reviews.csv")
    done = tidegate("profile", "toy")
    assert done.returncode == 1
    assert "data/toy/ingest/rows.parquet is missing. Run `tidegate run toy --until ingest`." in done.stdout
    done = tidegate("profile", "toi")
    assert done.returncode == 2
    assert "did you mean 'toy'" in done.stdout
