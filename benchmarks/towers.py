"""What the line `recommend` of params.yaml makes of a benchmark's ratings, by the stages themselves."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from corpora import Corpus
from project import Figures, measured

from tasks.core.files import read_json, read_parquet
from tasks.core.settings import line_params, read_params
from tasks.rows import LABELED
from tasks.split import SIDES
from tasks.trainer import SCORE

Read = Callable[[Path], Figures]


def listed(rows: pd.DataFrame, rank: Figures | None = None) -> Figures:
    """The list of each judged user of test, `lists` by user; with `chosen`, its figure on validation."""
    return learned(rows, ("train", "evaluate"), lists, rank=rank)


def learned(
    rows: pd.DataFrame,
    stages: tuple[str, ...],
    read: Read,
    films: pd.DataFrame | None = None,
    rank: Figures | None = None,
) -> Figures:
    """What `read` finds in the line's folder when the stages have run; with `epochs` and the best on validation.

    The items are those of the ratings `films`, by default of `rows`; `rank` are other settings of the block train.rank.
    """
    params = line_params(read_params(), "recommend")
    block = {name: params[name] for name in ("kind", "train", "evaluate", *stages)}
    block["train"] = {**block["train"], "rank": {**block["train"]["rank"], **(rank or {})}}
    with tempfile.TemporaryDirectory() as name:
        corpus(rows, rows if films is None else films).write(Path(name))
        (Path(name) / "behaviour.yaml").write_text("[]\n", encoding="utf-8")
        return measured("films", block, Path(name), stages, lambda data: {**read(data), **_chosen(data)})


def corpus(rows: pd.DataFrame, films: pd.DataFrame) -> Corpus:
    """The sides as the stage split writes them; in train a row of nobody for each item, which brings its text."""
    films = films.drop_duplicates("label").sort_values("label")
    films = films.assign(id="film-" + films["label"], group=None, rating=None, created_at=pd.NaT, side="train")
    told = pd.concat([films, rows]).rename(columns={"rating": "rating_mean"})
    told = told.assign(split_key=told["id"], source="movielens", decided_by="ratings", ambiguous=False)
    types = {"created_at": "datetime64[us, UTC]", "rating_mean": "float64"}
    frame = told.reindex(columns=LABELED.names).astype(types)
    sides = {side: frame[told["side"] == side].sort_values("id") for side in SIDES}
    return Corpus(sides, {}, films["label"].tolist())


def lists(data: Path) -> Figures:
    """What evaluate lists for a user; a row of its answers bears the id of the first rating of test that is judged."""
    answers = read_parquet(data / "evaluate" / "predictions.parquet", ["id", "listed"])
    owners = read_parquet(data / "split" / "test.parquet", ["id", "group"]).set_index("id")["group"]
    users = owners.loc[answers["id"]]
    return {"lists": {user: list(found) for user, found in zip(users, answers["listed"], strict=True)}}


def _chosen(data: Path) -> Figures:
    """The best pass over train, by NDCG@10 of validation, before the towers learned validation too."""
    entries = [entry for entry in read_json(data / "train" / "history.json") if SCORE in entry]
    best = max(entries, key=lambda entry: entry[SCORE])
    return {"epochs": best["epoch"], "validation": best[SCORE]}
