"""Ratings of films in the order of time, each on a side, with the films' texts; three data sets of two."""

import contextlib
import hashlib
import json
import os
import tempfile
from pathlib import Path

import pandas as pd
from project import KEPT, ROOT, Project, code

from tasks import timed
from tasks.core.errors import SourceError
from tasks.core.files import read_parquet
from tasks.core.line import Line
from tasks.sources.package import PackageSource
from tasks.split import SIDES, SplitSettings
from tasks.sync import sync
from tasks.text import TextSettings

STAGES = ("ingest", "validate", "label", "split")
MEMBER = "recbole/dataset_example/ml-100k/ml-100k"
COLUMNS = {
    "label": "item_id:token", "group": "user_id:token", "ratings": "rating:float", "created_at": "timestamp:float",
}  # fmt: skip
TEXT = ["movie_title:token_seq", "release_year:token", "class:token_seq"]
SOURCE = {
    "name": "movielens", "kind": "package", "package": "recbole==1.2.1", "format": "tsv", "member": f"{MEMBER}.inter",
    "sha256": "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407", "columns": COLUMNS,
    "join": {"member": f"{MEMBER}.item", "id": "item_id:token", "key": "label", "columns": {"text": TEXT}},
}  # fmt: skip
PARAMS = {
    "kind": "classify",
    "text": {"group": "keep"},  # numbers that name nobody
    "ingest": {}, "validate": {"min_rows": 100},
    "label": {"by": "column", "labels": None, "scale": [1, 5], "neutral": 3},
    "split": {"by": "time_in_group", "complete_sides": ["train"]},
}  # fmt: skip
CUTS = (0.7, 0.8)  # shares of the ratings before validation, and before test, where all users have one cut


def ml_100k() -> pd.DataFrame:
    """The data that the line `recommend` has, by sync and the stages up to split; they run once."""
    what = [SOURCE, PARAMS, code(Line("recommend"), STAGES)]
    key = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]
    with tempfile.TemporaryDirectory() as data:
        (Path(data) / "expectations.yaml").write_text("[]\n", encoding="utf-8")
        (Path(data) / "labelling").mkdir()
        project = Project(KEPT / f"recommend-sides-{key}", "recommend", PARAMS, Path(data))
    if not (project.data / "ingest").exists():
        with contextlib.chdir(project.folder):
            sync(Line("recommend"), [PackageSource.model_validate(SOURCE)], TextSettings(group="keep"))
    for stage in STAGES:
        project.run(stage)
    parts = [read_parquet(project.data / "split" / f"{side}.parquet").assign(side=side) for side in SIDES]
    return _numbered(pd.concat(parts).rename(columns={"rating_mean": "rating"}))


def ml_100k_one_cut() -> pd.DataFrame:
    """The same ratings with one cut in time for all users: sides by quantiles of the time."""
    rows = ml_100k()
    first, second = (rows["created_at"].quantile(share) for share in CUTS)
    side = (rows["created_at"] > first).astype(int) + (rows["created_at"] > second)
    return rows.assign(side=side.map(dict(enumerate(SIDES))))


def ml_latest_small() -> pd.DataFrame:
    """The ratings as they are published, with the sides that the stage split would give them.

    A film's text is its title, with the year, and its genres. Tags are left out: most were given after the users' cuts.
    """
    folder = Path(os.environ.get("TIDEGATE_DATA", ROOT.parent / "shared" / "data"), "ml_latest_small")
    if not folder.exists():
        raise SourceError(f"{folder} is not there. Set TIDEGATE_DATA to the folder that holds ml_latest_small.")
    films = pd.read_csv(folder / "movies.csv", index_col="movieId")
    texts = films["title"].str.strip() + " " + films["genres"].str.replace("|", " ", regex=False)
    rows = pd.read_csv(folder / "ratings.csv")
    rows["created_at"] = pd.to_datetime(rows["timestamp"], unit="s", utc=True)
    rows["id"] = rows["userId"].astype(str) + "-" + rows["movieId"].astype(str)
    rows["text"] = rows["movieId"].map(texts)
    rows = rows.assign(group=rows["userId"].astype(str), label=rows["movieId"].astype(str))
    settings = SplitSettings()
    return _numbered(rows.assign(side=timed.sides(rows, settings.validation, settings.test, settings.group_min)))


def _numbered(rows: pd.DataFrame) -> pd.DataFrame:
    """In the order of time, with user and item by number, which is their place among the sorted names."""
    rows = rows.sort_values(["created_at", "id"], kind="stable", ignore_index=True)
    numbers = {"user": pd.factorize(rows["group"], sort=True)[0], "item": pd.factorize(rows["label"], sort=True)[0]}
    return rows[["id", "group", "label", "text", "created_at", "rating", "side"]].assign(**numbers)
