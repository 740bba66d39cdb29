"""How far the rows of now are from those of an earlier version: distances of distributions, 0 to 1, against chance."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.descriptors import words
from tasks.profile import Sampled

if TYPE_CHECKING:
    import numpy as np

FAR = 0.1  # a distance from which a move is worth a look, whatever the number of rows
DRAWS = 200
LEVEL = 0.99  # quantile of what chance does


@dataclass(frozen=True)
class Moved:
    """One thing that was compared."""

    name: str
    before: str
    now: str
    distance: float
    """Kolmogorov-Smirnov's for numbers, total variation for categories: the share of rows that would have to change."""
    chance: float
    """The distance that two samples of one distribution stay below 99 times in 100."""

    @property
    def outcome(self) -> str:
        """`same`, `moved`, or `moved far`."""
        if self.distance <= self.chance:
            return "same"
        return "moved far" if self.distance >= FAR else "moved"


def compare(
    before: Sampled, now: Sampled, categories: Mapping[str, tuple[Sequence[str], Sequence[str]]]
) -> list[Moved]:
    """What moved between two samples, in the columns of the sample and in these; the farthest first."""
    numbers = {
        "characters": (before.characters, now.characters),
        "words": (before.words, now.words),
        **({"tokens": (before.tokens, now.tokens)} if before.tokens is not None and now.tokens is not None else {}),
        **{f"share of {name}": (before.shares[name], now.shares[name]) for name in now.shares},
    }
    named = {
        "language": (before.languages, now.languages),
        **categories,
        **{f"has {name}": (_words(before.marks[name]), _words(now.marks[name])) for name in now.marks},
    }
    found = [_numbers(name, *pair) for name, pair in numbers.items() if len(pair[0]) and len(pair[1])]
    found += [_categories(name, *pair) for name, pair in named.items() if len(pair[0]) and len(pair[1])]
    return sorted(found, key=lambda moved: -moved.distance)


def words_moved(before: Sequence[str], now: Sequence[str], most: int = 12) -> list[tuple[str, float, float]]:
    """Words whose share of texts changed most, in standard errors: (word, share before, share now)."""
    counts, others = words(before), words(now)
    moved = []
    for word in counts | others:
        a, b = counts[word] / len(before), others[word] / len(now)
        p = (counts[word] + others[word]) / (len(before) + len(now))
        error = (p * (1 - p) * (1 / len(before) + 1 / len(now))) ** 0.5
        if error and abs(a - b) / error > 4 and max(counts[word], others[word]) >= 10:  # of 10,000 words 1 by chance
            moved.append((abs(a - b) / error, word, a, b))
    return [(word, a, b) for _, word, a, b in sorted(moved, reverse=True)[:most]]


def _numbers(name: str, before: "np.ndarray", now: "np.ndarray") -> Moved:
    import numpy as np
    from scipy.stats import ks_2samp
    from scipy.stats.distributions import kstwobign

    distance = float(ks_2samp(before, now, method="asymp").statistic)
    chance = float(kstwobign.ppf(LEVEL)) * ((len(before) + len(now)) / (len(before) * len(now))) ** 0.5
    told = [f"{np.mean(values):.3g}" for values in (before, now)]
    return Moved(name, f"mean {told[0]}", f"mean {told[1]}", distance, min(1.0, chance))


def _categories(name: str, before: Sequence[str], now: Sequence[str]) -> Moved:
    import numpy as np

    a, b = Counter(before), Counter(now)
    values = sorted(a | b)
    p, q = (np.array([counts[value] for value in values]) / counts.total() for counts in (a, b))
    rng = np.random.default_rng(0)
    pooled = np.array([a[value] + b[value] for value in values]) / (len(before) + len(now))
    draws = [rng.multinomial(len(rows), pooled, DRAWS) / len(rows) for rows in (before, now)]
    chance = float(np.quantile(np.abs(draws[0] - draws[1]).sum(axis=1) / 2, LEVEL))
    return Moved(name, _top(a), _top(b), float(np.abs(p - q).sum() / 2), chance)


def _top(counts: Counter[str]) -> str:
    return ", ".join(f"{value} {n / counts.total():.1%}" for value, n in counts.most_common(3))


def _words(marks: "np.ndarray") -> list[str]:
    return ["yes" if mark else "no" for mark in marks]
