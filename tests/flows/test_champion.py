"""Who is champion, in a real repository with GTO's tags."""

import shutil
import subprocess
from datetime import datetime

import gto.api
import pytest

from flows import store
from flows.champion import assigned, champion
from tasks.bundle import release_id
from tasks.core.errors import TidegateError
from tasks.core.files import read_json
from tasks.core.line import Line

SENTIMENT = Line("sentiment")


def test_no_repository_no_champion(workdir):
    assert champion(SENTIMENT) is None


def test_registered_is_not_assigned(assignments):
    assert champion(SENTIMENT) is None
    gto.api.assign(".", "sentiment", "staging", version="v0.0.1")
    gto.api.assign(".", "another", "production", ref="HEAD")
    assert champion(SENTIMENT) is None


def test_the_champion_is_the_newest_assignment_to_production(assignments):
    gto.api.assign(".", "sentiment", "production", version="v0.0.1")
    assert champion(SENTIMENT).name == assignments["bad"]
    gto.api.assign(".", "sentiment", "production", version="v0.0.2")
    assert assigned("sentiment").version == "v0.0.2"
    assert champion(SENTIMENT).name == assignments["good"]
    gto.api.assign(".", "sentiment", "production", version="v0.0.1", force=True)  # a rollback, within the same second
    assert assigned("sentiment").version == "v0.0.1"
    assert champion(SENTIMENT).name == assignments["bad"]


def test_a_champion_that_is_not_in_the_store_comes_out_of_dvc(assignments):
    gto.api.assign(".", "sentiment", "production", version="v0.0.1")
    shutil.rmtree(store.STORE / "sentiment" / assignments["bad"])
    folder = champion(SENTIMENT)
    assert folder == store.STORE / "sentiment" / assignments["bad"]
    assert release_id(folder) == assignments["bad"]
    record = read_json(folder / "provenance.json")
    assert record["restored"] is True
    committed = ["git", "log", "-1", "--format=%ct", "sentiment@v0.0.1"]
    seconds = int(subprocess.run(committed, capture_output=True, text=True, check=True).stdout)
    assert datetime.fromisoformat(record["time"]).timestamp() == seconds
    assert release_id(SENTIMENT.file("release", "bundle")) == assignments["good"]  # the working tree stays as it is


def test_a_champion_that_is_nowhere_is_an_error_with_a_remedy(assignments):
    gto.api.assign(".", "sentiment", "production", version="v0.0.1")
    shutil.rmtree(store.STORE / "sentiment" / assignments["bad"])
    shutil.rmtree(".dvc/cache")
    with pytest.raises(
        TidegateError, match=r"v0\.0\.1 of sentiment, at [0-9a-f]{7}, is neither in DVC's cache .*dvc fetch --all-tags"
    ):
        champion(SENTIMENT)
    assert store.releases("sentiment")[0].id == assignments["good"]
