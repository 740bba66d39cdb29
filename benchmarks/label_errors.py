"""Wrong labels found again: some are flipped by lot, and each way of ranking is asked for them.

    python benchmarks/label_errors.py                       # both corpora, 5 and 10 % flipped, five seeds
    python benchmarks/label_errors.py --corpora sentiment --rows 2000

Embeddings of the default line's base model. A flipped label is any other one, drawn by lot. What the corpora have of
wrong labels themselves counts as right here, so that every figure is a little too low.
"""

import argparse
from collections.abc import Callable

import numpy as np
from active import read
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy import stats
from sklearn.linear_model import LogisticRegression

from tasks.core.quiet import silence
from tasks.crowd.suspects import STRENGTH, cross_validated, suspects

CORPORA = ("banking77", "sentiment")
RATES = (0.05, 0.1)

Floats = NDArray[np.float64]
Ranking = Callable[[NDArray[np.int64], Floats, Floats], NDArray[np.int64]]
"""From labels, cross-validated and plain probabilities to rows, the most suspect first."""


def _ours(labels: NDArray[np.int64], held_out: Floats, _: Floats) -> NDArray[np.int64]:
    return suspects(labels, held_out).places


def _own(labels: NDArray[np.int64], held_out: Floats, _: Floats) -> NDArray[np.int64]:
    return np.argsort(held_out[np.arange(len(labels)), labels], kind="stable")


def _unsure(_: NDArray[np.int64], held_out: Floats, __: Floats) -> NDArray[np.int64]:
    return np.argsort(held_out.max(axis=1), kind="stable")


def _seen(labels: NDArray[np.int64], _: Floats, plain: Floats) -> NDArray[np.int64]:
    return np.argsort(plain[np.arange(len(labels)), labels], kind="stable")


WAYS: dict[str, Ranking] = {
    "tidegate suspects": _ours,
    "probability of the given label, cross-validated": _own,
    "the same of a model that saw the rows": _seen,
    "confidence alone: least sure first": _unsure,
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpora", nargs="*", choices=CORPORA, default=[*CORPORA])
    parser.add_argument("--rows", type=int, default=5_000, help="of each corpus, drawn by lot")
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    silence()
    table = Table("corpus", "rows", "flipped", "ranking", "precision = recall at k = flipped", "precision at half of k",
                  "recall at 2 k")  # fmt: skip
    for name in arguments.corpora:
        sides = read(name)
        names, truth = np.unique(sides.labels, return_inverse=True)
        for rate in RATES:
            found = [
                _trial(sides.train, truth, len(names), rate, seed, arguments.rows)
                for seed in track(range(arguments.seeds), f"{name} {rate:.0%}")
            ]
            for way in WAYS:
                figures = np.array([each[way] for each in found])
                rows = f"{min(arguments.rows, len(truth)):,}"
                table.add_row(name, rows, f"{rate:.0%}", way, *(_spread(column) for column in figures.T))
    Console(width=170).print(table)


def _trial(
    vectors: NDArray[np.float32], truth: NDArray[np.int64], count: int, rate: float, seed: int, most: int
) -> dict[str, tuple[float, float, float]]:
    """Precision at k, precision at half of k, recall at twice k, for k flipped labels, by ranking."""
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(truth))[:most]
    labels, vectors = truth[rows].copy(), vectors[rows]
    wrong = rng.choice(len(rows), round(rate * len(rows)), replace=False)
    labels[wrong] = (labels[wrong] + rng.integers(1, count, len(wrong))) % count
    flipped = np.zeros(len(rows), bool)
    flipped[wrong] = True
    held_out = cross_validated(vectors, labels, [str(row) for row in rows], count, seed)
    plain = np.zeros_like(held_out)
    model = LogisticRegression(C=STRENGTH, max_iter=300).fit(vectors, labels)
    plain[:, model.classes_] = model.predict_proba(vectors)
    result = {}
    for name, way in WAYS.items():
        hits = flipped[way(labels, held_out, plain)]
        k = len(wrong)
        result[name] = (hits[:k].sum() / k, hits[: k // 2].sum() / (k // 2), hits[: 2 * k].sum() / k)
    return result


def _spread(values: Floats) -> str:
    """Mean and its 95 % interval over seeds by the t distribution."""
    mean, half = values.mean(), 0.0
    if len(values) > 1:
        half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{mean:.3f} ({mean - half:.3f} to {mean + half:.3f})"


if __name__ == "__main__":
    main()
