"""Whether the verdicts are true: how often each is said where the truth is known.

    python benchmarks/gates.py                   # everything, as tables
    python benchmarks/gates.py nothing-changed known-differences --draws 10000
    python benchmarks/gates.py sound planted cost    # needs data/sentiment up to date: `tidegate run` first

nothing-changed    two models whose answers are exchanged row by row at random: there is no difference to find
known-differences  challengers made worse or better in training; the truth is measured on a pool that no model has seen
sound              the default line's model on redrawn test sets: how often a gate rejects it
planted            faults put into the default line's files, and the check that finds each
cost               seconds of the two gates on 1,000 test rows beyond inference

Trainings are kept in .tidegate/benchmarks/: the first run takes an hour on two cores, a rerun minutes.
"""

import argparse
import contextlib
import functools
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import faults
import numpy as np
from challengers import Trained, pool, trained
from corpora import LABELS
from project import KEPT, ROOT
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.stats import beta

from tasks import paired
from tasks.comparison import CompareSettings
from tasks.core.errors import TidegateError
from tasks.core.files import read_json, write_json
from tasks.core.quiet import silence
from tasks.core.settings import line_params, parse, read_params
from tasks.kinds.common.scores import Indices

SIZES = (500, 1000, 2000)
TARGETS = (-0.05, -0.03, -0.02, -0.01, 0.02, 0.04)  # true differences in accuracy, challenger less champion
REDRAWS = 200
OUTCOMES = ("better", "not worse", "undecided", "worse")

Shares = dict[str, float]


class Pair(NamedTuple):
    """Two trained models, and which of the pool's rows each gets right."""

    champion: str
    challenger: str
    theirs: np.ndarray
    ours: np.ndarray

    @property
    def difference(self) -> float:
        """In accuracy, on all these rows."""
        return float(self.ours.mean() - self.theirs.mean())

    @property
    def won_lost(self) -> tuple[int, int]:
        """Rows that only the challenger gets right, and only the champion."""
        return int((self.ours & ~self.theirs).sum()), int((self.theirs & ~self.ours).sum())


def main() -> int:
    """Run the parts that are asked for."""
    silence()
    arguments = parser().parse_args()
    report: dict[str, Any] = {}
    try:
        with contextlib.chdir(ROOT):
            for name in arguments.parts or PARTS:
                report[name] = PARTS[name](arguments.draws)
    except TidegateError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    path = KEPT / "gates.json"
    known = read_json(path) if path.exists() else {}
    write_json(path, known | report)
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="PART", help=f"{', '.join(PARTS)} (all)")
    top.add_argument("--draws", type=int, default=4000, help="test sets drawn per cell (4000)")
    return top


@functools.cache
def models() -> tuple[Indices, list[Trained]]:
    """The true classes of the pool's rows, and all trained models."""
    corpus = pool()
    actual = corpus.sides["test"]["label"].map(LABELS.index).to_numpy()
    return actual, trained(corpus)


@functools.cache
def settings() -> CompareSettings:
    """The default line's."""
    return parse(CompareSettings, line_params(read_params(), "sentiment")["compare"], "compare")


@functools.cache
def said(won: int, lost: int, rows: int) -> paired.Outcome:
    """What `tidegate compare` says of these counts."""
    return paired.outcome(*paired.tango(won, lost, rows, settings().confidence), settings().margin)


def interval(hits: int, draws: int) -> tuple[float, float]:
    """95 % Clopper-Pearson interval of a share of draws: the Monte-Carlo error."""
    low = beta.ppf(0.025, hits, draws - hits + 1) if hits else 0.0
    high = beta.ppf(0.975, hits + 1, draws - hits) if hits < draws else 1.0
    return float(low), float(high)


def cell(hits: int, draws: int) -> str:
    """A share with its Monte-Carlo interval, in percent."""
    low, high = interval(hits, draws)
    return f"{100 * hits / draws:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def nothing_changed(draws: int) -> dict[str, Any]:
    """Answers of two seeds exchanged by a coin per row, and real seeds as they are."""
    actual, every = models()
    seeds = [model for model in every if model.name.startswith("seed")]
    rng = np.random.default_rng(0)
    exchanged = Table(title="Nothing changed: answers of two seeds exchanged row by row. Shares of verdicts, %")
    real = Table(title="Real seeds: the same recipe, another seed. No claim: seeds do differ")
    for table in (exchanged, real):
        for column in ("test rows", *OUTCOMES, "draws"):
            table.add_column(column, justify="right")
    report: dict[str, Any] = {"exchanged": {}, "seeds": {}}
    for rows in SIZES:
        counts = dict.fromkeys(OUTCOMES, 0)
        for ours, theirs in zip(seeds[::2], seeds[1::2], strict=True):
            pair = _pair(actual, theirs, ours)
            differ = rng.hypergeometric(sum(pair.won_lost), len(actual) - sum(pair.won_lost), rows, draws)
            for won, both in zip(rng.binomial(differ, 0.5), differ, strict=True):
                counts[said(int(won), int(both - won), rows)] += 1
        report["exchanged"][rows] = _row(exchanged, [str(rows)], counts)
        counts = dict.fromkeys(OUTCOMES, 0)
        for theirs in seeds:
            for ours in seeds:
                if ours is not theirs:
                    _count(counts, _pair(actual, theirs, ours), rows, max(1, draws // 20), rng)
        report["seeds"][rows] = _row(real, [str(rows)], counts)
    _print(exchanged, f"Nominal: better 5 % (one end of a {settings().confidence:.0%} interval); worse under 5 %.")
    accuracies = [float((model.predicted == actual).mean()) for model in seeds]
    _print(real, f"Accuracy of the {len(seeds)} seeds on the pool: {min(accuracies):.4f} to {max(accuracies):.4f}.")
    return report


def _row(table: Table, first: Sequence[str], counts: dict[str, int], last: Sequence[str] = ()) -> Shares:
    """Add a row with the share of each outcome; returns the shares."""
    draws = sum(counts.values())
    table.add_row(*first, *(cell(counts[outcome], draws) for outcome in OUTCOMES), *last, f"{draws:,}")
    return {outcome: count / draws for outcome, count in counts.items()}


def _pair(actual: Indices, champion: Trained, challenger: Trained) -> Pair:
    return Pair(champion.name, challenger.name, champion.predicted == actual, challenger.predicted == actual)


def _count(counts: dict[str, int], pair: Pair, rows: int, draws: int, rng: np.random.Generator) -> None:
    """Draw test sets without replacement, and count what is said of each."""
    won, lost = pair.won_lost
    cells = [won, lost, len(pair.ours) - won - lost]
    for drawn in rng.multivariate_hypergeometric(cells, rows, draws):
        counts[said(int(drawn[0]), int(drawn[1]), rows)] += 1


def known_differences(draws: int) -> dict[str, Any]:
    """Challengers whose true difference on the pool is near each target, and one at the margin to the row."""
    actual, every = models()
    pairs = [_pair(actual, a, b) for a in every for b in every if a is not b]
    rng = np.random.default_rng(1)
    table = Table(title="Known differences: shares of verdicts on test sets drawn from the pool, %", show_lines=False)
    for column in ("true difference", "test rows", *OUTCOMES, "promoted", "naive rule promotes", "draws"):
        table.add_column(column, justify="right")
    chosen = [min(pairs, key=lambda pair: abs(pair.difference - target)) for target in TARGETS]
    at_margin, kept = _trimmed(min(pairs, key=lambda pair: abs(pair.difference + settings().margin)), rng)
    report = {}
    for pair, rows_kept in [*((pair, None) for pair in chosen), (at_margin, kept)]:
        for rows in SIZES:
            counts = dict.fromkeys(OUTCOMES, 0)
            _count(counts, pair, rows, draws, rng)
            promoted = counts["better"] + counts["not worse"]
            naive = _naive(actual if rows_kept is None else actual[rows_kept], every, pair, rows_kept, rows, draws, rng)
            name = f"{100 * pair.difference:+.2f} points" + (" (the margin)" if rows_kept is not None else "")
            shares = _row(table, [name, str(rows)], counts, [cell(promoted, draws), cell(naive, draws)])
            report[f"{name}, {rows}"] = {**shares, "naive": naive / draws}
        table.add_section()
    _print(table, "promoted: better or not worse. Naive rule: the higher macro F1, each on a random split of its own.")
    for pair in [*chosen, at_margin]:
        print(
            f"  {100 * pair.difference:+.2f} points: {pair.challenger} against {pair.champion}, {len(pair.ours):,} rows"
        )
    return report


def _trimmed(pair: Pair, rng: np.random.Generator) -> tuple[Pair, np.ndarray]:
    """The pair on all rows but a few that only one gets right, so that the difference is the margin to the row."""
    margin, kept = settings().margin, np.ones(len(pair.ours), dtype=bool)
    heavy = (pair.ours & ~pair.theirs) if pair.difference > -margin else (pair.theirs & ~pair.ours)
    for row in rng.permutation(np.flatnonzero(heavy)):
        if abs((pair.ours[kept].mean() - pair.theirs[kept].mean()) + margin) <= 0.5 / kept.sum():
            break
        kept[row] = False
    return pair._replace(ours=pair.ours[kept], theirs=pair.theirs[kept]), kept


def _naive(
    actual: Indices, every: list[Trained], pair: Pair, kept: np.ndarray | None, rows: int, draws: int,
    rng: np.random.Generator,
) -> int:  # fmt: skip
    """How often the challenger's macro F1 on its own random rows is above the champion's on other random rows."""
    named = {model.name: model.predicted for model in every}
    scores = []
    for name in (pair.challenger, pair.champion):
        predicted = named[name] if kept is None else named[name][kept]
        cells = np.bincount(actual * 2 + predicted, minlength=4)
        scores.append(_f1(rng.multivariate_hypergeometric(cells, rows, draws)))
    return int((scores[0] > scores[1]).sum())


def _f1(cells: np.ndarray) -> np.ndarray:
    """Macro F1 of two classes from counts [draws, (00, 01, 10, 11)], actual first."""
    hits, other = cells[:, [0, 3]], cells[:, 1] + cells[:, 2]
    means: np.ndarray = (2 * hits / (2 * hits + other[:, None])).mean(axis=1)
    return means


def sound(_draws: int) -> dict[str, Any]:
    """The default line's model on redrawn test sets: nothing is wrong, and nothing should reject."""
    rejected, checks = 0, dict[str, int]()
    rng = np.random.default_rng(2)
    with faults.copied():
        whole = faults.answered()
        for _ in track(range(REDRAWS), "sound", console=Console(stderr=True)):
            faults.measure(faults.redrawn(whole, rng))
            verdict, _ = faults.judged_quality()
            rejected += verdict.verdict == "reject"
            for check in verdict.checks:
                if check.outcome == "reject":
                    checks[check.name] = checks.get(check.name, 0) + 1
    print(f"A sound model on {REDRAWS} redrawn test sets of {len(whole) // 2:,} rows: the quality gate passes")
    print(f"{cell(REDRAWS - rejected, REDRAWS)} %; checks that rejected: {checks or 'none'}\n")
    return {"passes": 1 - rejected / REDRAWS, "checks": checks}


def planted(_draws: int) -> dict[str, Any]:
    """Faults put into the default line's files, one at a time."""
    table = Table(title="Planted faults")
    for column in ("fault", "check meant for it", "found", "value", "all that reject"):
        table.add_column(column)
    report = {}
    for some, judge in ((faults.QUALITY_FAULTS, faults.judged_quality), (faults.RELEASE_FAULTS, faults.judged_release)):
        for name, (put, meant) in some.items():
            with faults.copied():
                put()
                verdict, _ = judge()
            found = {check.name: check for check in verdict.checks if check.outcome == "reject"}
            value = f"{found[meant].value:.4g}" if meant in found else ""
            table.add_row(name, meant, "yes" if meant in found else "NO", value, ", ".join(found))
            report[name] = meant in found
    _print(table, "Each in a copy of data/sentiment whose gates pass.")
    return report


def cost(_draws: int) -> dict[str, Any]:
    """Seconds of both gates on 1,000 test rows, and of inference alone."""
    with faults.copied():
        faults.measure(faults.answered().head(1000))
        _, quality = faults.judged_quality()
        _, release = faults.judged_release()
        inference = faults.inference_seconds()
    print(f"1,000 test rows: quality gate {quality:.1f} s, release gate {release:.1f} s, of which inference of all")
    print(f"variants, alone and together, {inference:.1f} s: {quality + release - inference:.1f} s beyond inference\n")
    return {"quality_gate": quality, "release_gate": release, "inference": inference}


def _print(table: Table, note: str) -> None:
    Console(width=None if sys.stdout.isatty() else 200).print(table)
    print(f"{note}\n")


PARTS: dict[str, Callable[[int], dict[str, Any]]] = {
    "nothing-changed": nothing_changed,
    "known-differences": known_differences,
    "sound": sound,
    "planted": planted,
    "cost": cost,
}


if __name__ == "__main__":
    sys.exit(main())
