"""Windows of traffic: rows of one source drawn into a reference and a pool, and what may come into the traffic."""

from collections.abc import Mapping
from dataclasses import dataclass

import answered
import numpy as np
import pandas as pd
from corpora import LABELS

SEED = 20
REFERENCE = 1 / 3  # of the rows that the model has not seen: 20 % of all where 40 % train it
SHARES = (1.0, 0.5, 0.2, 0.1)
LONGEST = 0.4
PRAISE = 0.85

Tables = Mapping[str, pd.DataFrame]
"""Answered rows by name: a line's own source, the shifted forms of it (row by row the same), foreign sources."""


@dataclass(frozen=True)
class Draw:
    """Rows of a line's own source dealt out by chance; none is in both, and `pool` is in random order."""

    line: str
    reference: pd.DataFrame
    pool: pd.DataFrame


def draw(line: str, frame: pd.DataFrame, n: int) -> Draw:
    """The n-th draw of a line's own rows."""
    order = np.random.default_rng([SEED, n]).permutation(len(frame))
    cut = round(REFERENCE * len(frame))
    return Draw(line, frame.iloc[order[:cut]], frame.iloc[order[cut:]])


def mixtures() -> dict[str, tuple[str, float]]:
    """What drift is looked for: a foreign source and its share of the rows."""
    return {f"{name} {share:.0%}": (name, share) for name in answered.FOREIGN for share in SHARES}


def shifts() -> list[str]:
    """What leaves the answers as right as they were, or nearly."""
    return [*answered.HARMLESS, "longer texts", "mostly praise"]


def windows(scenario: str, drawn: Draw, tables: Tables, size: int, most: int | None = None) -> list[pd.DataFrame]:
    """Windows of `size` rows in a row, no row in two of them; as many as there are rows for, `most` at most."""
    rng = np.random.default_rng([SEED, len(drawn.pool), size])
    own, other, share = drawn.pool, drawn.pool.iloc[:0], 0.0
    if scenario in mixtures():
        name, share = mixtures()[scenario]
        other = tables[name].iloc[rng.permutation(len(tables[name]))]
    elif scenario in answered.HARMLESS:
        own = tables[f"{drawn.line} {scenario}"].loc[own.index]
    elif scenario == "longer texts":
        own = own[own["characters"] >= own["characters"].quantile(1 - LONGEST)]
    elif scenario == "mostly praise":
        own, other, share = (own[own["label"] == LABELS[1]], own[own["label"] == LABELS[0]], 1 - PRAISE)
    return _cut(own, other, round(share * size), size, most)


def _cut(own: pd.DataFrame, other: pd.DataFrame, strange: int, size: int, most: int | None) -> list[pd.DataFrame]:
    """Each window takes the next `strange` rows of the other rows and fills up with the next own ones."""
    fits = [len(rows) // taken for rows, taken in ((other, strange), (own, size - strange)) if taken]
    count = min(fits) if most is None else min(*fits, most)
    kept = size - strange
    return [
        pd.concat([own.iloc[n * kept : (n + 1) * kept], other.iloc[n * strange : (n + 1) * strange]])
        for n in range(count)
    ]
