"""Retrieval on banking77: held-out questions find a question of their intent, before and after training.

    TIDEGATE_DATA=/path/to/data python benchmarks/retrieve.py                # all training questions, one seed
    python benchmarks/retrieve.py --seeds 5                                  # with the interval over seeds
    python benchmarks/retrieve.py --per-label 10                             # a reduced setting, in minutes

The base that is searched holds the training questions; of each intent 10 others are set aside to stop the training. A
question is found `by answer` where texts of one intent count once, which is what the service lists, and `by text` where
each counts. Test texts that stand in train are left out of train.
"""

import argparse
import contextlib
import csv
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from corpora import Corpus, table
from project import ROOT, Figures, measured, remember
from rich.console import Console
from rich.table import Table

from tasks import search
from tasks.core.errors import SourceError, TidegateError
from tasks.core.files import read_json, sha256
from tasks.core.settings import parse, read_params
from tasks.encoders import locate
from tasks.kinds.common.checkpoint import TextModel
from tasks.kinds.common.pooling import pooled
from tasks.text import TextSettings
from tasks.train import TrainSettings

NAME = "banking77"
ASIDE = 10  # training questions of each intent that stop the training
BATCH = 64
RECIPE = {"epochs": 5, "patience": 2, "batch_size": 64, "learning_rate": 1e-4, "warmup": 0.1, "max_length": 64}
FIGURES = {"recall_at_1": "recall@1", "recall_at_5": "recall@5", "mrr": "MRR@10"}


class Encoder(TextModel):
    """Any encoder, mean-pooled."""

    def forward(self, inputs: Any) -> Any:
        """Embeddings of a batch."""
        return pooled(self.model(**inputs).last_hidden_state, inputs["attention_mask"])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1, help="trainings; 5 give an interval")
    parser.add_argument("--per-label", type=int, help="training questions of each intent; default: all")
    arguments = parser.parse_args()
    corpus = banking77(arguments.per_label)
    base = read_params(ROOT / "params.yaml")["lines"]["sentiment"]["train"]["base_model"]
    rows = {"frozen": [frozen(corpus, base)]}
    rows["fine-tuned"] = [trained(corpus, base, seed) for seed in range(arguments.seeds)]
    Console().print(told(corpus, rows))


def banking77(per_label: int | None) -> Corpus:
    """The official sides; of train some questions of each intent as validation, and `per_label` others, or all."""
    folder = Path(os.environ.get("TIDEGATE_DATA", ROOT.parent / "shared" / "data")) / NAME
    if not folder.exists():
        raise SourceError(f"{folder} is not there. Set TIDEGATE_DATA to the folder that holds {NAME}.")
    train, test = (table(NAME, _rows(folder / f"{side}.csv"), TextSettings()) for side in ("train", "test"))
    same = train["split_key"].isin(test["split_key"])
    train = train[~same].drop_duplicates("split_key").sample(frac=1, random_state=0)
    place = train.groupby("label").cumcount()
    kept = train[(place >= ASIDE) & (place < ASIDE + (per_label or len(train)))].sort_values("id")
    sides = {"train": kept, "validation": train[place < ASIDE].sort_values("id"), "test": test}
    return Corpus(sides, {"training texts equal to a test text, removed": int(same.sum())}, sorted(set(test["label"])))


def _rows(path: Path) -> list[tuple[str, str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return [(f"{path.stem}-{n:05}", row["category"], row["text"]) for n, row in enumerate(csv.DictReader(stream))]


def frozen(corpus: Corpus, base: dict[str, Any]) -> Figures:
    """Figures of the base model as it is published."""
    settings = parse(TrainSettings, {"base_model": base}, "train")
    what = {"retrieve": "frozen", "base": base, "train": _digest(corpus), "code": sha256(Path(__file__))}

    def compute(_: str) -> Figures:
        with contextlib.chdir(ROOT):
            return figures(locate(settings.base_model).resolve(), corpus.sides["train"], corpus.sides["test"])

    return remember(what, compute)


def trained(corpus: Corpus, base: dict[str, Any], seed: int) -> Figures:
    """Figures of the stage train's checkpoint, and its seconds."""
    params = {"kind": "retrieve", "train": {"base_model": base, "seed": seed, **RECIPE}}
    with tempfile.TemporaryDirectory() as name:
        corpus.write(Path(name))

        def read(data: Path) -> Figures:
            found = figures(data / "train", corpus.sides["train"], corpus.sides["test"])
            return {**found, "epochs": read_json(data / "train" / "history.json")[-1]["epoch"]}

        return measured(NAME, params, Path(name), ("train",), read)


def _digest(corpus: Corpus) -> str:
    with tempfile.TemporaryDirectory() as name:
        corpus.write(Path(name))
        return sha256(Path(name))


def figures(checkpoint: Path, train: pd.DataFrame, test: pd.DataFrame) -> Figures:
    """Recall and reciprocal rank, by answer and by text."""
    model = Encoder(checkpoint, "AutoModel")
    entries, asked = (model.outputs(side["text"].tolist(), BATCH, NAME) for side in (train, test))
    labels = sorted(set(train["label"]))
    owners, actual = (search.owned(side["label"].tolist(), labels) for side in (train, test))
    by_answer = search.ranks(search.Exact(entries, owners, len(labels)).similarities(asked), actual)
    by_text = _first(asked @ entries.T, owners == actual[:, None])
    return {"by answer": _scores(by_answer), "by text": _scores(by_text), "queries": len(test), "base": len(train)}


def _first(cosines: np.ndarray, right: np.ndarray) -> np.ndarray:
    """[queries], the place of the first right text, from 1."""
    best = np.where(right, cosines, -np.inf).max(axis=1, keepdims=True)
    return 1 + ((cosines > best) & ~right).sum(axis=1)


def _scores(places: np.ndarray) -> dict[str, float]:
    return {
        "recall_at_1": float((places == 1).mean()),
        "recall_at_5": float((places <= 5).mean()),
        "mrr": float(search.reciprocal(places).mean()),
    }


def told(corpus: Corpus, rows: dict[str, list[Figures]]) -> Table:
    """A row per model and way of counting; with several seeds mean and 95% interval (Student's t)."""
    size = corpus.rows()
    shown = Table("model", "counted", *FIGURES.values(), "seconds of training")
    shown.title = f"{NAME}: {size['test']:,} held-out questions, {size['train']:,} in the base, 77 intents"
    for model, runs in rows.items():
        seconds = [run["seconds"]["train"] for run in runs if "seconds" in run]
        for way in ("by answer", "by text"):
            cells = [interval([run[way][name] for run in runs]) for name in FIGURES]
            shown.add_row(model, way, *cells, ", ".join(map(str, seconds)) or "-")
    return shown


def interval(values: Sequence[float]) -> str:
    """Their mean in percent, and with several its 95% interval."""
    from scipy.stats import sem, t

    mean = float(np.mean(values))
    if len(values) < 2:
        return f"{100 * mean:.2f}"
    half = float(t.ppf(0.975, len(values) - 1) * sem(values))
    return f"{100 * mean:.2f} ± {100 * half:.2f}"


if __name__ == "__main__":
    try:
        main()
    except TidegateError as error:
        sys.exit(f"error: {error}")
