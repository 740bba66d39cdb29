"""How many labels a model needs in the order of the queue, and how many in a random one.

    python benchmarks/active.py                       # both corpora, five seeds
    python benchmarks/active.py --corpora banking77   # one of them

A label costs a person time, a model none: so the model is a small one, logistic regression on the frozen default
encoder, fitted anew after every round. It says which rows teach, not how good the line's own model would be.
"""

import argparse
import hashlib
import itertools
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import corpora
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from project import KEPT, ROOT, remember
from rich.console import Console
from rich.table import Table
from scipy import stats

from tasks.annotation.embed import embed
from tasks.annotation.order import margins, order
from tasks.core.errors import SourceError
from tasks.core.files import sha256
from tasks.core.settings import line_params, read_params
from tasks.encoders import locate
from tasks.train import TrainSettings

DATA = Path(os.environ.get("TIDEGATE_DATA", ROOT.parent / "shared" / "data"))
ROUND = {"banking77": 100, "sentiment": 20}
"""Labels of the first round, and of a later one at least; or a tenth of those there are."""
SHARE = 0.95
"""Of the accuracy with all labels."""
ORDERS = ("random", "queue", "queue, nothing by lot", "least margin")


class Sides(NamedTuple):
    """Vectors and labels of the rows to be labelled, and of those that judge."""

    train: NDArray[np.float32]
    labels: NDArray[Any]
    test: NDArray[np.float32]
    truth: NDArray[Any]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpora", nargs="*", choices=ROUND, default=[*ROUND])
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    columns = ("corpus", "rows", "all labels", "order", "labels for 95 % of it", "of random's, 95 %", "after round 1")
    table = Table(*columns)
    for name in arguments.corpora:
        sides = read(name)
        whole = fitted(sides.train, sides.labels).score(sides.test, sides.truth)
        curves = {each: [curve(name, sides, each, seed, whole) for seed in range(arguments.seeds)] for each in ORDERS}
        base = needed(curves["random"], whole)
        for each, its in curves.items():
            many, first = needed(its, whole), np.mean([one[0][1] for one in its])
            row = (spread(many, "{:.0f}"), "" if each == "random" else ratio(many, base), f"{first:.3f}")
            table.add_row(name, f"{len(sides.train):,}", f"{whole:.4f}", each, *row)
    Console(width=150).print(table)


def read(name: str) -> Sides:
    """A corpus as vectors of the default line's base model. Raises SourceError where it is not there."""
    block = line_params(read_params(ROOT / "params.yaml"), "sentiment")
    if name == "sentiment":
        found = corpora.sentiment(block).sides
        frames = [found[side][["text", "label"]] for side in ("train", "test")]
    else:
        folder = DATA / "banking77"
        if not folder.is_dir():
            raise SourceError(f"{folder} is not there. Set TIDEGATE_DATA to the folder that holds banking77.")
        frames = [pd.read_csv(folder / f"{side}.csv", names=["text", "label"], header=0) for side in ("train", "test")]
    base = locate(TrainSettings.model_validate(block["train"]).base_model)
    vectors = [_vectors(frame["text"].tolist(), base) for frame in frames]
    train, test = (frame["label"].to_numpy(str) for frame in frames)
    return Sides(vectors[0], train, vectors[1], test)


def _vectors(texts: list[str], base: Path) -> NDArray[np.float32]:
    key = hashlib.sha256(repr((texts, sha256(base), sha256(ROOT / "tasks/annotation/embed.py"))).encode()).hexdigest()
    path = KEPT / f"vectors-{key[:16]}.npy"
    if not path.exists():
        KEPT.mkdir(parents=True, exist_ok=True)
        np.save(path, embed(texts, base))
    found: NDArray[np.float32] = np.load(path)
    return found


def curve(name: str, sides: Sides, how: str, seed: int, whole: float) -> list[tuple[int, float]]:
    """Number of labels and accuracy after each round, until two in a row are good enough; remembered."""
    what = {
        "active": name, "how": how, "seed": seed, "round": ROUND[name],
        "vectors": hashlib.sha256(sides.train.tobytes()).hexdigest(),
        "code": [sha256(ROOT / file) for file in ("tasks/annotation/order.py", "benchmarks/active.py")],
    }  # fmt: skip
    found = remember(what, lambda _: {"curve": _curve(sides, how, seed, ROUND[name], SHARE * whole)})["curve"]
    return [(many, score) for many, score in found]


def _curve(sides: Sides, how: str, seed: int, least: int, wanted: float) -> list[tuple[int, float]]:
    labelled, model, points = np.empty(0, np.int64), None, list[tuple[int, float]]()
    while len(labelled) < len(sides.train) and (len(points) < 2 or min(score for _, score in points[-2:]) < wanted):
        rows = max(least, len(labelled) // 10)
        labelled = np.append(labelled, _chosen(sides.train, labelled, model, how, rows, seed * 1_000 + len(points)))
        model = fitted(sides.train[labelled], sides.labels[labelled])
        points.append((len(labelled), model.score(sides.test, sides.truth)))
    return points


def _chosen(
    vectors: NDArray[np.float32], labelled: NDArray[np.int64], model: Any, how: str, rows: int, seed: int
) -> NDArray[np.int64]:
    """The next rows to be labelled; what was learned by lot says nothing of what was not."""
    left = np.setdiff1d(np.arange(len(vectors)), labelled)
    margin = None if model is None else margins(model.predict_proba(vectors[left])).astype(np.float32)
    if how == "random" or (how == "least margin" and margin is None):
        return np.random.default_rng(seed).permutation(left)[:rows]
    if how == "least margin":
        return left[np.argsort(margin, kind="stable")[:rows]]
    share = 0.0 if how == "queue, nothing by lot" else 0.2
    found = order(vectors[left], rows, margin, share, seed, known=vectors[labelled])
    return left[[place for place, _ in found]]


def fitted(vectors: NDArray[np.float32], labels: NDArray[Any]) -> Any:
    """Logistic regression; one label alone makes a model that says it always."""
    from sklearn.dummy import DummyClassifier
    from sklearn.linear_model import LogisticRegression

    several = len(set(labels)) > 1
    warnings.filterwarnings("ignore", "The number of unique classes")  # the first round has more of them than it can
    return (LogisticRegression(C=20, max_iter=300, tol=1e-3) if several else DummyClassifier()).fit(vectors, labels)


def needed(curves: Sequence[list[tuple[int, float]]], whole: float) -> NDArray[np.float64]:
    """By seed, the labels at which accuracy comes to stay: two rounds in a row; between rounds on a straight line."""
    found = []
    for points in curves:
        wanted, before = SHARE * whole, (0, 0.0)
        for this, after in itertools.pairwise(points):
            if min(this[1], after[1]) >= wanted:
                part = 0 if before[1] >= wanted else (wanted - before[1]) / (this[1] - before[1])
                found.append(this[0] if not part else before[0] + part * (this[0] - before[0]))
                break
            before = this
        else:
            found.append(points[-1][0])
    return np.array(found, np.float64)


def spread(values: NDArray[np.float64], form: str) -> str:
    """Mean over seeds with Student's 95 % interval."""
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return " ".join((form.format(values.mean()), f"({form.format(values.mean() - half)}",
                     f"to {form.format(values.mean() + half)})"))  # fmt: skip


def ratio(values: NDArray[np.float64], base: NDArray[np.float64]) -> str:
    """Geometric mean over seeds of the ratio, with Student's 95 % interval of its logarithm."""
    logs = np.log(values / base)
    half = stats.t.ppf(0.975, len(logs) - 1) * stats.sem(logs)
    return "{:.2f} ({:.2f} to {:.2f})".format(*np.exp([logs.mean(), logs.mean() - half, logs.mean() + half]))


if __name__ == "__main__":
    main()
