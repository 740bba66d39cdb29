"""Whether scores are at or above their floors, with the error rates that go with the answer. No files.

The null hypothesis of each claim: the score is at or above its floor. All claims of a gate are tested together (Holm
1979), so that a model whose every score is at its floor or above is rejected in at most `level` of all test sets. What
is not rejected passes where its two-sided 90% interval lies at or above the floor; between the two it `cannot tell`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.verdict import Check, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

Floats = NDArray[np.float64]

TAIL = 0.05  # beyond either end of the interval
MOST_ROWS = 1_000_000_000  # more than this nobody labels: said to be out of reach


class Claim(NamedTuple):
    """That the score of some rows is at or above a floor, and what the rows say of it."""

    name: str
    floor: float
    rows: int
    value: float | None
    low: float | None
    high: float | None
    p: float
    """One-sided: how often a score at the floor would look as bad or worse."""
    needed: "Callable[[float], int | None]"
    """Rows at which an interval with this much beyond its end would no longer span the floor."""


def accuracy(name: str, right: NDArray[np.bool_], floor: float) -> Claim:
    """Share of right answers: exact one-sided binomial test, Clopper-Pearson interval (1934)."""
    from scipy.stats import binomtest

    hits, rows = int(right.sum()), len(right)
    if not rows:
        return Claim(name, floor, 0, None, None, None, 1.0, lambda _: None)
    p = binomtest(hits, rows, floor, alternative="less").pvalue
    low, high = binomtest(hits, rows).proportion_ci(1 - 2 * TAIL, method="exact")

    def needed(tail: float) -> int | None:
        return rows_for_rate(hits / rows, rows, floor, tail)

    return Claim(name, floor, rows, hits / rows, float(low), float(high), float(p), needed)


def drawn(name: str, value: float, draws: Floats, right: NDArray[np.bool_], floor: float) -> Claim:
    """A score with bootstrap draws of it: percentile interval; p is the share of draws that reach the floor.

    p has one added above and below (Davison and Hinkley 1997, 4.2). Where all answers are right, or all wrong, draws
    have no spread, and the exact interval of the accuracy stands in.
    """
    if not len(right) or right.all() or not right.any():
        return accuracy(name, right, floor)
    low, high = np.quantile(draws, [TAIL, 1 - TAIL])
    p = (1 + (draws >= floor).sum()) / (1 + len(draws))

    def needed(tail: float) -> int | None:
        return rows_for_mean(value, float(low if value > floor else high), len(right), floor, tail)

    return Claim(name, floor, len(right), value, float(low), float(high), float(p), needed)


def holm(p: Sequence[float]) -> list[float]:
    """p values of claims that are tested together, each corrected by Holm's step-down procedure (1979).

    statsmodels has it too, but collects garbage at every call, which costs more than all the rest.
    """
    order = np.argsort(p, kind="stable")
    steps = np.asarray(p, dtype=np.float64)[order] * np.arange(len(p), 0, -1)
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return corrected.tolist()


def judge(claims: Sequence[Claim], level: float) -> list[Check]:
    """A check per claim: `reject` where the corrected p is below `level`, else `pass` or `cannot tell`.

    The rows needed are those at which a score that stays as it is would pass, or would be rejected though all claims
    share the level evenly (Bonferroni's bound, which Holm never falls below).
    """
    corrected = holm([claim.p for claim in claims])
    return [_check(claim, p, level, len(claims)) for claim, p in zip(claims, corrected, strict=True)]


def _check(claim: Claim, p: float, level: float, together: int) -> Check:
    outcome: Outcome = "reject" if p < level else "pass" if (claim.low or 0) >= claim.floor else "cannot tell"
    above = claim.value is not None and claim.value > claim.floor
    needed = claim.needed(TAIL if above else level / together) if outcome == "cannot tell" else None
    return Check(
        name=claim.name, value=_rounded(claim.value), min=claim.floor, low=_rounded(claim.low),
        high=_rounded(claim.high), p=_rounded(p), rows=claim.rows, rows_needed=needed, outcome=outcome,
        note="" if claim.rows else "no test row belongs to it",
    )  # fmt: skip


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def rows_for_rate(rate: float, rows: int, floor: float, tail: float = TAIL) -> int | None:
    """Rows, not fewer than `rows`, at which the Clopper-Pearson interval around `rate` does not span the floor.

    The least n with B(tail; rate n, (1 - rate) n + 1) >= floor above it, or B(1 - tail; rate n + 1, (1 - rate) n) <
    floor below it; B is the quantile of the beta distribution, and hits need not be whole. None where the rate is the
    floor itself, or so near that no number of rows would do.
    """
    from scipy.stats import beta

    def tells(n: int) -> bool:
        hits = rate * n
        if rate > floor:
            return bool(beta.ppf(tail, hits, n - hits + 1) >= floor)
        return bool(beta.ppf(1 - tail, hits + 1, n - hits) < floor)

    if rate == floor or not tells(MOST_ROWS):
        return None
    few, enough = rows - 1, MOST_ROWS
    while enough - few > 1:
        middle = (few + enough) // 2
        few, enough = (few, middle) if tells(middle) else (middle, enough)
    return enough


def rows_for_mean(value: float, end: float, rows: int, limit: float, tail: float = TAIL) -> int | None:
    """Rows at which an interval around a mean, whose `end` is on the limit's side now, would not reach the limit.

    rows ((end - value) / (limit - value))^2, for half-widths fall with the root of the rows; times (z(tail) /
    z(TAIL))^2 for another tail. None where the value is the limit itself.
    """
    from scipy.stats import norm

    if value == limit:
        return None
    widths = (end - value) / (limit - value) * norm.isf(tail) / norm.isf(TAIL)
    found = int(np.ceil(round(rows * widths**2, 6)))
    return max(rows, found) if found <= MOST_ROWS else None


def ceiling(name: str, values: NDArray[np.floating[Any]], highest: float) -> Check:
    """A mean over rows that must not be above `highest`, by the normal approximation, tested alone.

    `reject` where the lower end of the two-sided 90% interval is above it, `pass` where the upper end is not.
    """
    from scipy.stats import norm

    rows, value = len(values), float(values.mean())
    error = float(values.std(ddof=1)) / np.sqrt(rows) if rows > 1 else float("inf")
    low, high = value - norm.isf(TAIL) * error, value + norm.isf(TAIL) * error
    outcome: Outcome = "reject" if low > highest else "pass" if high <= highest else "cannot tell"
    end = high if value < highest else low
    known = outcome == "cannot tell" and rows > 1
    return Check(
        name=name, value=_rounded(value), max=highest, low=_finite(low), high=_finite(high), rows=rows,
        rows_needed=rows_for_mean(value, end, rows, highest) if known else None, outcome=outcome,
    )  # fmt: skip


def _finite(value: float) -> float | None:
    return round(value, 6) if np.isfinite(value) else None
