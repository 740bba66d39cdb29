"""What known methods recommend on MovieLens: the marks for the task kind `rank`, which is still to come.

    python benchmarks/recommend.py                                            # ml_100k, from the package index
    TIDEGATE_DATA=/path/to/data python benchmarks/recommend.py                # and ml_latest_small

Each user's last 20% of ratings by time judge, the 10% before them choose the settings (tasks.timed). A method is fitted
on train with every setting of its grid, the one with the best NDCG@10 on validation is fitted again on train and
validation, and test judges that one alone, once. Every item that anyone rated is ranked but those that the user rated
before; what was rated 4 or more later should come first. Users without such an item are not judged.

ALS is from the library implicit, which is no dependency: without it its row is left out. Intervals are 95% over users,
by bootstrap. A resample has fewer users, whose lists hold fewer items, so coverage has the value and 1.96 standard
errors of its resamples instead of their quantiles.
"""

import argparse
import contextlib
import hashlib
import importlib.util
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import recommenders
from numpy.typing import NDArray
from project import KEPT, ROOT, Figures, Project, code, remember
from recommenders import LIKED, METHODS, SEED, Floats, Known
from rich.console import Console
from rich.table import Table
from sklearn.model_selection import ParameterGrid

from tasks import timed
from tasks.core.errors import SourceError, TidegateError
from tasks.core.files import read_parquet, sha256
from tasks.core.line import Line
from tasks.resampled import interval
from tasks.sources.package import PackageSource
from tasks.split import SIDES, SplitSettings
from tasks.sync import sync
from tasks.text import TextSettings

TOP = 10
DRAWS = 2000
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


def main() -> None:
    """Measure and print."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    for name, read in {"ml_100k": ml_100k, "ml_latest_small": ml_latest_small}.items():
        try:
            rows = read()
        except SourceError as error:
            print(f"{name} is skipped: {error}", file=sys.stderr)
            continue
        Console(width=120).print(told(name, rows, compared(rows)))


def ml_100k() -> pd.DataFrame:
    """The data that the line `recommend` is to have, by sync and the stages up to split; they run once."""
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
    return _rows(pd.concat(parts).rename(columns={"rating_mean": "rating"}))


def ml_latest_small() -> pd.DataFrame:
    """The ratings as they are published, with the sides that the stage split would give them."""
    path = Path(os.environ.get("TIDEGATE_DATA", ROOT.parent / "shared" / "data"), "ml_latest_small", "ratings.csv")
    if not path.exists():
        raise SourceError(f"{path} is not there. Set TIDEGATE_DATA to the folder that holds ml_latest_small.")
    rows = pd.read_csv(path).rename(columns={"userId": "group", "movieId": "label"})
    rows["created_at"] = pd.to_datetime(rows["timestamp"], unit="s", utc=True)
    rows["id"] = rows["group"].astype(str) + "-" + rows["label"].astype(str)
    settings = SplitSettings()
    return _rows(rows.assign(side=timed.sides(rows, settings.validation, settings.test, settings.group_min)))


def _rows(rows: pd.DataFrame) -> pd.DataFrame:
    """user and item by number, rating and side, in the order of time."""
    rows = rows.sort_values(["created_at", "id"], kind="stable", ignore_index=True)
    numbers = {"user": pd.factorize(rows["group"], sort=True)[0], "item": pd.factorize(rows["label"], sort=True)[0]}
    return rows[["rating", "side"]].assign(**numbers)


def known(rows: pd.DataFrame, judged: str) -> Known:
    """What stands before a side, and what of that side is liked."""
    shape = rows["user"].max() + 1, rows["item"].max() + 1
    before = rows[rows["side"].isin(SIDES[: SIDES.index(judged)])]
    liked = rows[(rows["side"] == judged) & (rows["rating"] >= LIKED)]
    rating, age, target = np.zeros(shape), np.zeros(shape), np.zeros(shape, dtype=bool)
    rating[before["user"], before["item"]] = before["rating"]
    age[before["user"], before["item"]] = before.groupby("user").cumcount(ascending=False)
    target[liked["user"], liked["item"]] = True
    return Known(rating, age, target)


def compared(rows: pd.DataFrame) -> Figures:
    """Per method its settings and figures."""
    methods = {method: METHODS[method] for method in METHODS if method != "ALS" or importlib.util.find_spec("implicit")}
    if "ALS" not in methods:
        print("ALS is skipped: implicit is not installed.", file=sys.stderr)
    files = [sha256(Path(path)) for path in (__file__, recommenders.__file__)]
    what = {"rows": hashlib.sha256(rows.to_csv().encode()).hexdigest(), "methods": [*methods], "code": files}
    return remember(what, lambda _: judged(rows, methods))


def judged(rows: pd.DataFrame, methods: dict[str, Any]) -> Figures:
    """Choose each method's settings on validation, and judge each once on test."""
    validation, test = (known(rows, side) for side in SIDES[1:])
    lists, chosen = {}, {}
    for method, (scores, grid) in methods.items():
        tried = list(ParameterGrid(grid))
        values = [ndcg(listed(scores(validation, **one), validation), validation).mean() for one in tried]
        chosen[method] = {"settings": tried[int(np.argmax(values))], "tried": len(tried), "validation": max(values)}
        lists[method] = listed(scores(test, **chosen[method]["settings"]), test)
    base = ndcg(lists["EASE"], test)
    return {method: chosen[method] | figures(found, test, base) for method, found in lists.items()}


def listed(scores: Floats, data: Known) -> NDArray[np.intp]:
    """[judged users, TOP], the best items first, none that the user rated; ties by the item's number."""
    users = data.target.any(axis=1)
    return np.argsort(np.where(data.rating[users] > 0, np.inf, -scores[users]), axis=1, kind="stable")[:, :TOP]


def _hits(lists: NDArray[np.intp], data: Known) -> tuple[Floats, Floats]:
    """Whether an item is a target [judged users, TOP], and the number of targets [judged users]."""
    target = data.target[data.target.any(axis=1)]
    return np.take_along_axis(target, lists, axis=1).astype(np.float64), target.sum(axis=1)


def ndcg(lists: NDArray[np.intp], data: Known) -> Floats:
    """[judged users]; the best list has as many targets in front as there are, TOP at most."""
    found, targets = _hits(lists, data)
    discounts = 1 / np.log2(np.arange(2, TOP + 2))
    return found @ discounts / np.cumsum(discounts)[np.minimum(targets, TOP).astype(int) - 1]


def figures(lists: NDArray[np.intp], data: Known, base: Floats) -> Figures:
    """Each figure as (value, low, high); `difference` is of NDCG, of the same users, to `base`."""
    found, targets = _hits(lists, data)
    gained = ndcg(lists, data)
    means = {"ndcg": gained, "recall": found.sum(axis=1) / targets, "difference": gained - base}
    return {name: _mean(values) for name, values in means.items()} | {
        "coverage": _coverage(lists, data.rating.shape[1]), "users": len(lists), "items": data.rating.shape[1],
    }  # fmt: skip


def _mean(values: Floats) -> list[float]:
    sums = np.column_stack([values, np.ones(len(values))])
    found = interval(sums, lambda drawn: drawn[..., 0] / drawn[..., 1], DRAWS, SEED) or {}
    return [found[key] for key in ("value", "low", "high")]


def _coverage(lists: NDArray[np.intp], items: int) -> list[float]:
    """The share of the items that stand in any list."""
    rng = np.random.default_rng(SEED)
    drawn = [len(np.unique(lists[rng.integers(len(lists), size=len(lists))])) / items for _ in range(DRAWS)]
    value, half = len(np.unique(lists)) / items, 1.96 * float(np.std(drawn))
    return [value, value - half, value + half]


def told(name: str, rows: pd.DataFrame, methods: Figures) -> Table:
    """A row per method, in percent; below it the settings that were chosen."""
    users, items = (methods["EASE"][key] for key in ("users", "items"))
    shown = Table("method", "NDCG@10", "recall@10", "coverage", "NDCG@10 less EASE's", caption_justify="left")
    shown.title = f"{name}: {users:,} users judged, {items:,} items, {len(rows):,} ratings"
    notes: list[str] = []
    for method, found in ((method, methods[method]) for method in METHODS if method in methods):
        cells = (_cell(found[key]) for key in ("ndcg", "recall", "coverage"))
        shown.add_row(method, *cells, "-" if method == "EASE" else _cell(found["difference"], "+"))
        settings = ", ".join(f"{key} {value}" for key, value in found["settings"].items()) or "none"
        notes.append(f"{method}: {settings}; one of {found['tried']}, {100 * found['validation']:.2f} on validation")
    shown.caption = "\n".join(notes)
    return shown


def _cell(figure: list[float], sign: str = "") -> str:
    value, low, high = (100 * part for part in figure)
    return f"{value:{sign}.2f} ({low:.2f} to {high:.2f})"


if __name__ == "__main__":
    try:
        main()
    except TidegateError as error:
        sys.exit(f"error: {error}")
