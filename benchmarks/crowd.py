"""Labels from the votes of many: how often each method gives the label that experts gave.

    python benchmarks/crowd.py                 # 800 pairs of sentences, 10 votes each, of 164 people
    python benchmarks/crowd.py --draws 0       # without the rows of fewer votes an item

Textual entailment of Snow et al. 2008 ("Cheap and Fast - But is it Good?", EMNLP), from TIDEGATE_DATA. Published are
89.7 % by majority and 92.7 % by Dawid-Skene.
"""

import argparse
import os
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from project import ROOT
from rich.console import Console
from rich.progress import track
from rich.table import Table

from tasks.core.errors import SourceError, TidegateError
from tasks.core.quiet import silence
from tasks.crowd import agreement
from tasks.crowd.aggregate import aggregate
from tasks.crowd.annotators import examine
from tasks.crowd.settings import METHODS
from tasks.crowd.votes import Votes
from tasks.kinds.classify.scores import wilson

DATA = Path(os.environ.get("TIDEGATE_DATA", ROOT.parent / "shared" / "data"))
LABELS = ["0", "1"]
FEWER = (3, 5)
"""Votes an item, drawn by lot."""


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=5, help="of fewer votes an item")
    arguments = parser.parse_args()
    silence()
    console = Console(width=150)
    said = _said()
    gold = said.groupby("orig_id")["gold"].first()
    votes = _votes(said)
    table = Table("method", "accuracy, 95 %", "ties", "with each tie half right", "seconds")
    for method in METHODS:
        start = time.perf_counter()
        found = aggregate(votes, method)
        seconds = time.perf_counter() - start
        right = found.label == gold.loc[votes.items].astype(int).to_numpy()
        low, high = wilson(int(right.sum()), len(right))
        half = np.where(found.tied, 0.5, right).mean()
        accuracy = f"{right.mean():.4f} ({low:.3f} to {high:.3f})"
        table.add_row(method, accuracy, str(int(found.tied.sum())), f"{half:.4f}", f"{seconds:.1f}")
    console.print(table)
    _people(console, votes, gold)
    if arguments.draws:
        _fewer(console, said, gold, arguments.draws)


def _said() -> pd.DataFrame:
    path = DATA / "snow2008_crowd" / "rte.standardized.tsv"
    if not path.exists():
        raise SourceError(f"{path} is not there. Set TIDEGATE_DATA to the folder that holds snow2008_crowd.")
    return pd.read_csv(path, sep="\t", dtype=str).rename(columns={"!amt_worker_ids": "who"})


def _votes(said: pd.DataFrame) -> Votes:
    rows = zip(said["orig_id"], said["who"], said["response"], strict=True)
    return Votes.of(rows, sorted(said["orig_id"].unique()), LABELS)


def _people(console: Console, votes: Votes, gold: "pd.Series[str]") -> None:
    """Agreement, and how often those who seem to answer at random are right against the experts."""
    for name, figure in (("Krippendorff's alpha", agreement.alpha), ("Fleiss' kappa", agreement.fleiss)):
        found = figure(votes.counts, 1000, 0)
        if found:
            console.print(f"{name} {found['value']:.3f} ({found['low']:.3f} to {found['high']:.3f})")
    truth = gold.loc[votes.items].astype(int).to_numpy()
    table = Table("manner", "people", "votes", "right against the experts, 95 %")
    told = pd.DataFrame(
        [(one.manner, n) for n, one in enumerate(examine(votes, aggregate(votes, "dawid_skene")))],
        columns=["manner", "person"],
    )
    for manner, people in told.groupby("manner")["person"]:
        theirs = np.isin(votes.person, people)
        right = (votes.label == truth[votes.item])[theirs]
        low, high = wilson(int(right.sum()), len(right))
        table.add_row(str(manner), str(len(people)), f"{len(right):,}", f"{right.mean():.3f} ({low:.3f} to {high:.3f})")
    console.print(table)


def _fewer(console: Console, said: pd.DataFrame, gold: "pd.Series[str]", draws: int) -> None:
    """Accuracy with fewer votes an item, ties half right: a team is smaller than a crowd."""
    table = Table("votes an item", "majority", "dawid_skene", "draws")
    for many in FEWER:
        figures = []
        for seed in track(range(draws), f"{many} votes"):
            part = _votes(said.sample(frac=1, random_state=seed).groupby("orig_id").head(many))
            truth = gold.loc[part.items].astype(int).to_numpy()
            pair = [aggregate(part, "majority"), aggregate(part, "dawid_skene")]
            figures.append([np.where(found.tied, 0.5, found.label == truth).mean() for found in pair])
        table.add_row(str(many), *(f"{mean:.4f}" for mean in np.mean(figures, axis=0)), str(draws))
    console.print(table)


if __name__ == "__main__":
    try:
        main()
    except TidegateError as error:
        sys.exit(f"error: {error}")
