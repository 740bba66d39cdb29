"""Ways of cutting a table of rows into slices: by source, length, label, agreement and ambiguity."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

MOST_SOURCES = 50  # slices by source; the rows of smaller sources stand together as "other"


def ways(rows: "pd.DataFrame", unit: str, edges: Sequence[int]) -> dict[str, "pd.Series[Any]"]:
    """By way of slicing the slice of each row, null for a row that has none.

    `rows` has the columns text, source, agreement and ambiguous; `unit` and `edges` say how lengths are cut.
    """
    return {
        "source": sources(rows["source"]),
        "length": lengths(rows["text"], unit, edges),
        "agreement": thirds(rows["agreement"]),
        "ambiguous": rows["ambiguous"].map({True: "yes", False: "no"}),
    }


def sources(source: "pd.Series[str]") -> "pd.Series[Any]":
    """The source itself, or `other` where there are many and it is small."""
    counts = source.value_counts(sort=False).sort_index().sort_values(ascending=False, kind="stable")
    return source.where(source.isin(counts.index[:MOST_SOURCES]), "other")


def lengths(text: "pd.Series[str]", unit: str, edges: Sequence[int]) -> "pd.Series[Any]":
    """Names such as `0-9`, `10-24`, `25+`, counting `words` or `characters`."""
    import pandas as pd

    length = (text if unit == "characters" else text.str.split()).map(len)
    starts = [0, *edges]
    names = [f"{low}-{high - 1}" for low, high in pairwise(starts)] + [f"{starts[-1]}+"]
    return pd.Series(np.array(names, dtype=object)[np.searchsorted(starts, length, side="right") - 1])


def thirds(agreement: "pd.Series[float]") -> "pd.Series[Any]":
    """`low`, `middle` and `high` third of the rows that have a value; equal values share a third."""
    import pandas as pd

    values = agreement.to_numpy(dtype=np.float64, na_value=np.nan)
    there = ~np.isnan(values)
    names = np.full(len(values), None, dtype=object)
    if there.any():
        edges = np.quantile(values[there], [1 / 3, 2 / 3])
        names[there] = np.array(["low", "middle", "high"], dtype=object)[np.searchsorted(edges, values[there])]
    return pd.Series(names)
