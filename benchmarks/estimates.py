"""Accuracy estimated without labels, against the truth: our estimate, CBPE, ATC, and assuming that nothing changed.

    python benchmarks/estimates.py               # five domains beside film sentences, some ten minutes the first time
    python benchmarks/estimates.py --redraws 3

Windows of 500 rows: film sentences that no model has seen, the same with other shares of labels, other domains pure and
mixed in, and these with other shares of labels. What our estimate adds to ATC (a price and an interval per shift) is
fitted on all domains but the one that is judged. Reads public data from TIDEGATE_DATA; a domain that is absent is left
out and named.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import answered
import numpy as np
from corpora import LABELS
from numpy.typing import NDArray
from project import KEPT
from rich.console import Console
from rich.progress import track
from rich.table import Table

from flows import store
from tasks.bundle import release_id
from tasks.core.errors import SourceError, TidegateError
from tasks.core.files import write_json
from tasks.core.quiet import silence
from tasks.drift import estimate
from tasks.drift.settings import MonitorSettings
from tasks.drift.window import Window

DOMAINS = {"film": None, "products": None, "tweets": None, "editorials": None, "imdb": 4_000, "finance": None}
"""And how many rows of each; the first is the release's own."""
ROWS, REFERENCE = 500, 2_000
SHARES = (0.2, 0.5, 1.0)
POSITIVE = (0.25, 0.75)
SETTINGS = MonitorSettings()


@dataclass(frozen=True)
class Domain:
    """Texts of one origin as a window, every row with its true label."""

    name: str
    window: Window


@dataclass(frozen=True)
class Case:
    """A window with the truth and what each way says of it."""

    domain: str
    kind: str
    truth: float
    base: float
    """Accuracy on the reference."""
    cbpe: float
    atc: float
    spread: float
    """Standard error of ATC's."""
    shift: float


def main() -> int:
    """Draw, estimate, print the table; 0 also where the data are absent."""
    silence()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--release", help="an id of the store; default: the newest of the line sentiment")
    parser.add_argument("--redraws", type=int, default=10, help="of every kind of window (10)")
    arguments = parser.parse_args()
    try:
        bundle = store.find("sentiment", arguments.release)
        found = list(_domains(bundle))
    except TidegateError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    cases = [case for seed in track(range(arguments.redraws), "windows") for case in _cases(found, seed)]
    report = {name: _judged(cases, *said) for name, said in _ways(cases).items()}
    print("Fitted on every domain: price {:.3f}, doubt {:.3f}".format(*_fitted(cases, "none")))
    write_json(KEPT / "estimates.json", {"release": release_id(bundle), "windows": len(cases), "ways": report})
    _show(report, cases)
    return 0


def _domains(bundle: Path) -> Iterator[Domain]:
    responder = answered.released(bundle)
    for name, rows in DOMAINS.items():
        try:
            frame = answered.texts(name, rows)
        except SourceError as error:
            print(f"{name} is left out: {error}")
            continue
        if name == "film":
            frame = frame.iloc[answered.unseen(bundle, frame)].reset_index(drop=True)
        yield Domain(name, answered.window(answered.answered(responder, name, frame), labelled=True))


def _cases(found: list[Domain], seed: int) -> Iterator[Case]:
    """One window of every kind; no row is in both reference and window."""
    rng = np.random.default_rng(seed)
    film, *others = found
    order = rng.permutation(len(film.window))
    reference, pool = film.window.take(order[:REFERENCE]), film.window.take(order[REFERENCE:])
    yield _case("film", "no drift", reference, pool.take(rng.choice(len(pool), ROWS, replace=False)))
    for share in POSITIVE:
        yield _case("film", "other labels", reference, pool.take(_labelled(pool, share, rng)))
    for domain in others:
        for share in SHARES:
            drawn = domain.window.take(rng.choice(len(domain.window), int(ROWS * share), replace=False))
            rest = pool.take(rng.choice(len(pool), ROWS - len(drawn), replace=False))
            kind = "pure" if share == 1 else f"{share:.0%} mixed in"
            yield _case(domain.name, kind, reference, Window.joined([drawn, rest]))
        for share in POSITIVE:
            yield _case(
                domain.name, "other labels", reference, domain.window.take(_labelled(domain.window, share, rng))
            )


def _labelled(window: Window, share: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """ROWS places (or fewer, where a label has too few) with a share of positive ones."""
    positive = np.array([label == LABELS[1] for label in window.true_label])
    counts = (int(ROWS * share), ROWS - int(ROWS * share))
    parts = [np.flatnonzero(positive == side) for side in (True, False)]
    return np.concatenate([rng.choice(p, min(n, len(p)), replace=False) for p, n in zip(parts, counts, strict=True)])


def _case(domain: str, kind: str, reference: Window, current: Window) -> Case:
    base, confidence = _accuracy(reference), [side.probabilities.max(axis=1) for side in (reference, current)]
    above, spread = estimate.atc(base, *confidence)
    moved = estimate.shift(reference, current, SETTINGS.seed)
    return Case(domain, kind, _accuracy(current), base, float(confidence[1].mean()), above, spread, moved)


def _accuracy(window: Window) -> float:
    return float(np.mean([a == b for a, b in zip(window.label, window.true_label, strict=True)]))


Said = tuple[list[float], list[float]]
"""Per case: the estimate, and half of its 90 % interval."""


def _ways(cases: list[Case]) -> dict[str, Said]:
    chance = [1.6449 * case.spread for case in cases]
    return {
        "nothing changed": ([case.base for case in cases], chance),
        "CBPE": ([case.cbpe for case in cases], chance),
        "ATC": ([case.atc for case in cases], chance),
        "ours, left out of the fit": _ours(cases, {name: _fitted(cases, name) for name in {c.domain for c in cases}}),
        "ours, as it ships": _ours(cases, {c.domain: (estimate.PRICE, estimate.DOUBT) for c in cases}),
    }


def _fitted(cases: list[Case], without: str) -> tuple[float, float]:
    """Price and doubt by the shifted windows of the other domains, each domain weighing the same.

    The price is the mean of what a full shift costs beyond ATC's loss. The doubt is half of the 90 % prediction
    interval for one more domain: domains differ from each other more than chance explains.
    """
    others = [case for case in cases if case.domain not in (without, "film") and case.kind == "pure"]
    names = sorted({case.domain for case in others})

    def mean(value: Callable[[Case], float]) -> NDArray[np.float64]:
        return np.array([np.mean([value(case) for case in others if case.domain == name]) for name in names])

    price = max(0.0, float(mean(lambda c: (c.atc - c.truth) / max(c.shift, 0.05)).mean()))
    left = mean(lambda c: (c.atc - price * c.shift - c.truth) / max(c.shift, 0.05) ** 0.5)
    spread = np.sqrt((left**2).sum() / (len(left) - 1) * (1 + 1 / len(left)))
    return price, float(1.6449 * spread)


def _ours(cases: list[Case], fitted: dict[str, tuple[float, float]]) -> Said:
    values = [case.atc - fitted[case.domain][0] * case.shift for case in cases]
    halves = [float(np.hypot(1.6449 * case.spread, fitted[case.domain][1] * case.shift**0.5)) for case in cases]
    return values, halves


def _judged(cases: list[Case], values: list[float], halves: list[float]) -> dict[str, object]:
    """Errors in points: the mean over kinds of window, each kind weighing the same; the worst window; coverage."""
    errors = np.abs(np.array(values) - [case.truth for case in cases])
    groups = [f"{case.domain}, {case.kind}" for case in cases]
    means = {
        g: 100 * float(errors[[n for n, name in enumerate(groups) if name == g]].mean()) for g in sorted(set(groups))
    }
    inside = {g: float(np.mean([errors[n] <= halves[n] for n, name in enumerate(groups) if name == g])) for g in means}
    return {
        "mean": float(np.mean(list(means.values()))), "worst": 100 * float(errors.max()),
        "coverage": float(np.mean(list(inside.values()))), "width": 200 * float(np.mean(halves)), "groups": means,
    }  # fmt: skip


def _show(report: dict[str, dict[str, object]], cases: list[Case]) -> None:
    table = Table("way", "mean error", "worst", "90 % interval holds", "its width",
                  title=f"Accuracy without labels, in points, {len(cases)} windows of {ROWS} rows")  # fmt: skip
    for way, found in report.items():
        table.add_row(
            way, f"{found['mean']:.1f}", f"{found['worst']:.1f}", f"{found['coverage']:.0%}", f"{found['width']:.1f}"
        )
    by_kind = Table("window", "truth", *report, title="Mean error by kind of window, in points")
    for group in report["ATC"]["groups"]:  # type: ignore[attr-defined]
        truth = np.mean([case.truth for case in cases if f"{case.domain}, {case.kind}" == group])
        by_kind.add_row(group, f"{truth:.3f}", *(f"{found['groups'][group]:.1f}" for found in report.values()))  # type: ignore[index]
    Console(width=150).print(table, by_kind)


if __name__ == "__main__":
    sys.exit(main())
