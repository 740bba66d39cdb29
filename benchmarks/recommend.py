"""The line `recommend` and known methods of recommendation on MovieLens, paired over the same users.

    python benchmarks/recommend.py                                  # ml_100k, from the package index
    TIDEGATE_DATA=/path/to/data python benchmarks/recommend.py      # and ml_latest_small
    python benchmarks/recommend.py --data ml_100k_one_cut           # one cut in time for all users

Each user's last 20% of ratings by time judge, the 10% before them choose the settings (tasks.timed). A method is fitted
on train with every setting of its grid, the one with the best NDCG@10 on validation is fitted again on train and
validation, and test judges that one alone, once. Every item that anyone rated is ranked but those that the user rated
before; what was rated 4 or more later should come first. Users without such an item are not judged. `ours` is the block
of params.yaml with the stages train and evaluate; it was chosen on validation of ml_100k. On ml_latest_small how it
starts is chosen on validation there (starts.py), and how long it learns from there, as ever. With one cut in time most
of those who are judged have no history: a known method gives these what is popular, and ours what is popular of late,
for it learned how much that tells.

ALS is from the library implicit, which is no dependency: without it its row is left out. Intervals are 95% over users,
by bootstrap. A resample has fewer users, whose lists hold fewer items, so coverage has the value and 1.96 standard
errors of its resamples instead of their quantiles.
"""

import argparse
import hashlib
import importlib.util
import sys
from pathlib import Path

import films
import judged
import numpy as np
import pandas as pd
import recommenders
import starts
import towers
from judged import chosen, figures, known, ndcg
from project import Figures, remember
from recommenders import METHODS
from rich.console import Console
from rich.table import Table

from tasks.core.errors import SourceError, TidegateError
from tasks.core.files import sha256

OURS = "ours"
OTHER = ("ml_latest_small",)  # data that the block of params.yaml was not chosen on
DATA = {"ml_100k": films.ml_100k, "ml_latest_small": films.ml_latest_small, "ml_100k_one_cut": films.ml_100k_one_cut}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=DATA, action="append", help="default: all")
    for name in parser.parse_args().data or DATA:
        try:
            rows = DATA[name]()
        except SourceError as error:
            print(f"{name} is skipped: {error}", file=sys.stderr)
            continue
        Console(width=150).print(told(name, rows, compared(rows, name in OTHER)))


def compared(rows: pd.DataFrame, other: bool) -> Figures:
    """Per method its settings and figures, ours last; where the data are `other`, its start is chosen on them."""
    methods = {method: METHODS[method] for method in METHODS if method != "ALS" or importlib.util.find_spec("implicit")}
    if "ALS" not in methods:
        print("ALS is skipped: implicit is not installed.", file=sys.stderr)
    data = hashlib.sha256(rows.to_csv().encode()).hexdigest()
    files = [sha256(Path(path)) for path in (judged.__file__, recommenders.__file__)]
    found = {
        method: remember({"rows": data, "method": method, "code": files}, lambda _, one=one: chosen(rows, *one))
        for method, one in methods.items()
    }
    start = starts.chosen(rows, towers.corpus(rows, rows)) if other else {"settings": {}, "tried": 1, "seconds": 0}
    ours = towers.listed(rows, start["settings"])
    ours["settings"] = {**start["settings"], "epochs": ours["epochs"]}
    found[OURS] = ours | {"tried": start["tried"], "lists": numbered(rows, ours["lists"])}
    found[OURS]["seconds"] = start["seconds"] + sum(seconds or 0 for seconds in ours["seconds"].values())
    test = known(rows, "test")
    gains = {method: ndcg(np.array(one["lists"]), test) for method, one in found.items()}
    return {
        method: one | figures(np.array(one["lists"]), test, gains["EASE"], gains[OURS]) for method, one in found.items()
    }


def numbered(rows: pd.DataFrame, lists: dict[str, list[str]]) -> list[list[int]]:
    """Lists of items by number, in the order of the users' numbers."""
    users, items = (dict(zip(rows[name], rows[number], strict=True)) for name, number in
                    (("group", "user"), ("label", "item")))  # fmt: skip
    return [[items[item] for item in lists[user]] for user in sorted(lists, key=users.__getitem__)]


def told(name: str, rows: pd.DataFrame, methods: Figures) -> Table:
    """A row per method, in percent; below it the settings that were chosen."""
    users, items, new = (methods["EASE"][key] for key in ("users", "items", "new"))
    columns = ("method", "NDCG@10", "recall@10", "coverage", "NDCG@10 less EASE's", "ours less it")
    shown = Table(*columns, caption_justify="left")
    shown.title = f"{name}: {users:,} users judged, {new:,} without history, {items:,} items, {len(rows):,} ratings"
    notes: list[str] = []
    for method, found in methods.items():
        cells = [cell(found[key]) for key in ("ndcg", "recall", "coverage")]
        cells += ["-" if method == "EASE" else cell(found["less_base"], "+")]
        shown.add_row(method, *cells, "-" if method == OURS else cell(found["ours_less"], "+"))
        settings = ", ".join(f"{key} {value}" for key, value in found["settings"].items()) or "none"
        best = f"{100 * found['validation']:.2f} on validation, {found['seconds']:.0f} s"
        notes.append(f"{method}: {settings}; one of {found['tried']}, {best}")
    shown.caption = "\n".join(notes)
    return shown


def cell(figure: list[float], sign: str = "") -> str:
    """A figure with its interval, in percent."""
    value, low, high = (100 * part for part in figure)
    return f"{value:{sign}.2f} ({low:{sign}.2f} to {high:{sign}.2f})"


if __name__ == "__main__":
    try:
        main()
    except TidegateError as error:
        sys.exit(f"error: {error}")
