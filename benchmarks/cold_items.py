"""Items that nobody has had yet: the line `recommend` by text alone, beside kNN over the texts, on the same candidates.

    python benchmarks/cold_items.py                                         # ml_100k, from the package index
    TIDEGATE_DATA=/path/to/data python benchmarks/cold_items.py --data ml_latest_small --draws 1

A tenth of the items is drawn, and all that was rated of it is taken out of train, validation and histories. The drawn
items alone are ranked, without those that the user rated before test; what was rated 4 or more in test should come
first. Users without such an item are not judged. kNN chooses its settings on validation, of the same items: `TF-IDF`
are words, `embedding` is the base model of the line as it is published. `ours` is the block of params.yaml with the
stage train. `random` is what lists by lot would have. A user's figure is the mean of the draws that judge the user;
intervals are 95% over users, by bootstrap.
"""

import argparse
import contextlib
import sys
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import films
import numpy as np
import pandas as pd
from judged import TOP, known, mean, ndcg
from numpy.typing import NDArray
from project import ROOT, Figures
from recommend import cell
from recommenders import LIKED, SEED, Floats, Known
from retrieve import Encoder
from rich.console import Console
from rich.table import Table
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import ParameterGrid
from towers import learned

from tasks.core.errors import TidegateError
from tasks.core.files import read_parquet
from tasks.core.line import Line
from tasks.core.settings import line_params, parse, read_params
from tasks.encoders import locate
from tasks.kinds.rank.checkpoint import Checkpoint
from tasks.kinds.rank.shared import rankings
from tasks.kinds.rank.shared.users import judged
from tasks.train import TrainSettings

Items = NDArray[np.intp]

SHARE = 0.1
LOTS = 50
BATCH = 64
DATA = {"ml_100k": films.ml_100k, "ml_latest_small": films.ml_latest_small}
WEIGHTS: dict[str, list[Any]] = {"disliked": [0.0, -0.3], "neighbours": [3, 10, 30, 1000], "fall": [20, 60, 1e9]}
GRIDS: dict[str, dict[str, list[Any]]] = {"TF-IDF": {"words": [1, 2], **WEIGHTS}, "embedding": WEIGHTS}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=DATA, default="ml_100k")
    parser.add_argument("--draws", type=int, default=3)
    arguments = parser.parse_args()
    rows = DATA[arguments.data]()
    gains, notes = [], []
    for draw in range(arguments.draws):
        one, note = compared(rows, drawn(rows, draw))
        gains.append(one)
        notes.append(f"draw {draw}: {note}")
    Console(width=130).print(told(arguments.data, pd.concat(gains).groupby(level=0).mean(), notes))


def drawn(rows: pd.DataFrame, draw: int) -> Items:
    """The items of a draw, by number."""
    items = rows["item"].max() + 1
    return np.sort(np.random.default_rng([SEED, draw]).permutation(items)[: round(SHARE * items)])


def compared(rows: pd.DataFrame, cold: Items) -> tuple[pd.DataFrame, str]:
    """NDCG of each method [judged users], and the settings that were chosen."""
    validation, test = (judging(rows, cold, side) for side in ("validation", "test"))
    towers = ours(rows, test, cold)
    gains, notes = {"ours": ndcg(np.array(towers["lists"]), test)}, [f"ours epochs {towers['epochs']}"]
    for method, grid in GRIDS.items():
        tried = list(ParameterGrid(grid))
        values = [
            ndcg(lists(content(rows, validation, cold, **one), validation, cold), validation).mean() for one in tried
        ]
        best = tried[int(np.argmax(values))]
        gains[method] = ndcg(lists(content(rows, test, cold, **best), test, cold), test)
        notes.append(f"{method} {best}, one of {len(tried)}, {100 * max(values):.2f} on validation")
    rng = np.random.default_rng(SEED)
    lots = (rng.random((len(test.rating), len(cold))) for _ in range(LOTS))
    gains["random"] = np.mean([ndcg(lists(lot, test, cold), test) for lot in lots], axis=0)
    return pd.DataFrame(gains, index=np.flatnonzero(test.target.any(axis=1))), "; ".join(notes)


def judging(rows: pd.DataFrame, cold: Items, side: str) -> Known:
    """What is known before a side, and the cold ones of what is liked on it."""
    data = known(rows, side)
    target = np.zeros_like(data.target)
    target[:, cold] = data.target[:, cold]
    return replace(data, target=target)


def lists(scores: Floats, data: Known, cold: Items) -> Items:
    """[judged users, TOP], the best of `scores` [users, cold items] by number, without what a user had before."""
    users = data.target.any(axis=1)
    return cold[rankings.top(np.where(data.rating[users][:, cold] > 0, -np.inf, scores[users]), TOP)]


def content(
    rows: pd.DataFrame, data: Known, cold: Items, disliked: float, neighbours: int, fall: float, words: int = 0
) -> Floats:
    """[users, cold items], cosines to the `neighbours` nearest of what is weighed in a history, added up.

    With all of them it ranks as the cosine to their mean does. Liked ones weigh 1, those rated below 3 `disliked`, and
    both fall by e within `fall` ratings. Vectors are of up to `words` words together, or else embeddings.
    """
    vectors = by_words(texts(rows), words) if words else embedded(texts(rows))
    cosines = vectors @ vectors[cold].T
    rated = np.select([data.rating >= LIKED, (data.rating > 0) & (data.rating < 3)], [1.0, disliked], 0.0)
    weights = rated * np.exp(-data.age / fall)
    weights[:, cold] = 0
    scores = np.zeros((len(weights), len(cold)))
    for user in np.flatnonzero(data.target.any(axis=1)):
        had = np.flatnonzero(weights[user])
        scores[user] = np.sort(weights[user, had, None] * cosines[had], axis=0)[-neighbours:].sum(axis=0)
    return scores


def texts(rows: pd.DataFrame) -> tuple[str, ...]:
    """The text of each item, by number."""
    return tuple(rows.drop_duplicates("item").sort_values("item")["text"])


@lru_cache(maxsize=2)
def by_words(texts: tuple[str, ...], words: int) -> Floats:
    """[items, terms], TF-IDF, of length 1."""
    found = TfidfVectorizer(ngram_range=(1, words), dtype=np.float32).fit_transform(texts)
    return np.asarray(found.todense())


@lru_cache(maxsize=1)
def embedded(texts: tuple[str, ...]) -> Floats:
    """[items, width], of length 1, by the base model of the line as it is published."""
    settings = parse(TrainSettings, line_params(read_params(ROOT / "params.yaml"), "recommend")["train"], "train")
    with contextlib.chdir(ROOT):
        base = locate(settings.base_model).resolve()
    found = Encoder(base, "AutoModel").outputs(list(texts), BATCH, "items")
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def ours(rows: pd.DataFrame, test: Known, cold: Items) -> Figures:
    """The `lists` of the judged users by what the towers give the cold items, and `epochs`, what was trained."""
    gone = rows["item"].isin(cold) & (rows["side"] != "test")
    names = rows.drop_duplicates("item").set_index("item")["label"].loc[cold]
    users = rows.drop_duplicates("group").set_index("group")["user"]

    def read(data: Path) -> Figures:
        with contextlib.chdir(data.parent.parent):
            asked = judged(Line(data.name, "rank"), "test")
            model = Checkpoint(Path("data") / data.name / "train")
        found = np.concatenate([*model.scores(asked["text"].tolist(), BATCH)])
        owners = read_parquet(data / "split" / "test.parquet", ["id", "group"]).set_index("id")["group"]
        scores = np.zeros((len(users), len(cold)))
        scores[users.loc[owners.loc[asked["id"]]]] = found[:, names.map(model.catalogue.numbers)]
        return {"lists": lists(scores, test, cold).tolist()}

    return learned(rows[~gone], ("train",), read, films=rows)


def told(name: str, gains: pd.DataFrame, notes: list[str]) -> Table:
    """A row per method, in percent; below it the settings that were chosen."""
    shown = Table("method", "NDCG@10", "ours less it", caption_justify="left", caption="\n".join(notes))
    shown.title = f"{name}, cold items: {len(gains):,} users judged in {len(notes)} draws"
    for method, found in gains.items():
        less = "-" if method == "ours" else cell(mean((gains["ours"] - found).to_numpy()), "+")
        shown.add_row(str(method), cell(mean(found.to_numpy())), less)
    return shown


if __name__ == "__main__":
    try:
        main()
    except TidegateError as error:
        sys.exit(f"error: {error}")
