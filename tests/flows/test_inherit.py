"""The inbox of an attempt: the last commit's, the champion's beyond it, nothing that is to be forgotten."""

from pathlib import Path

import gto.api
import pyarrow.parquet as pq
import pytest
import yaml
from toy import make_repository, toy_params, write_reviews

from flows import inherit, world
from flows.dag import Dag
from flows.git import git
from flows.settings import load
from tasks import forgotten, inbox
from tasks.core.line import Line
from tasks.text import salt_digest, split_key

LINE = Line("toy")


@pytest.fixture
def project(checkout):
    """A committed inbox of one batch; the champion's commit, on a branch that nobody merged, has another beside it."""
    write_reviews(checkout / "reviews.csv", rows=20)
    params = toy_params(checkout / "reviews.csv", {"kind": "folder", "path": "encoder", "sha256": "0" * 64})
    Path("params.yaml").write_text(yaml.safe_dump(params))
    make_repository(checkout)
    commit()
    git("checkout", "-q", "-b", "tidegate/toy/then")
    write_reviews(checkout / "more.csv", rows=30, seed=1)
    other = {**params["lines"]["toy"]["sources"][0], "name": "live", "path": str(checkout / "more.csv")}
    params["lines"]["toy"]["sources"].append(other)
    Path("params.yaml").write_text(yaml.safe_dump(params))
    commit()
    gto.api.register(".", "toy", "HEAD")
    gto.api.assign(".", "toy", stage="production", ref="HEAD")
    git("checkout", "-q", "-")
    Dag().fetch(LINE.inbox.with_name("inbox.dvc"))
    return checkout


def commit():
    world.bring_in(LINE, load()["toy"], Dag())
    git("add", "data/toy/inbox.dvc", "params.yaml", "reviews.csv")
    git("commit", "-qm", "inbox")


def texts():
    return [text for batch in inbox.batches(LINE) for text in pq.read_table(batch)["text"].to_pylist()]


def test_the_champions_batches_are_brought_in_once(project):
    assert len(texts()) == 20
    inherit.inbox(LINE, load()["toy"])
    assert len(texts()) == 50
    pinned = LINE.inbox.with_name("inbox.dvc").read_text()
    inherit.inbox(LINE, load()["toy"])
    assert len(texts()) == 50
    assert LINE.inbox.with_name("inbox.dvc").read_text() == pinned
    assert Dag().matches(LINE.inbox.with_name("inbox.dvc"))


def test_what_is_forgotten_is_in_neither(project):
    inherit.inbox(LINE, load()["toy"])
    gone = [texts()[0], texts()[-1]]
    git("checkout", "-q", "--", "data/toy/inbox.dvc")
    salt = load()["toy"].text.split_salt
    lines = (f"{salt_digest(salt)} {split_key(text, salt)}\n" for text in gone)
    forgotten.path(LINE).write_text("".join(sorted(lines)))
    inherit.inbox(LINE, load()["toy"])
    assert len(texts()) == 48
    assert not set(gone) & set(texts())


def test_without_a_champion_it_is_the_last_commits(project):
    for tag in git("tag").split():
        git("tag", "-d", tag)
    inherit.inbox(LINE, load()["toy"])
    assert len(texts()) == 20


def test_what_live_rows_a_release_may_have_learned_from(project):
    assert inherit.rows_until(LINE) is None
