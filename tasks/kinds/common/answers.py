"""A model's stored answers beside the rows that they are answers to."""

from pathlib import Path
from typing import TYPE_CHECKING

from tasks.core.errors import DataError
from tasks.core.files import read_parquet

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ["id", "text", "source", "split_key", "label", "agreement", "ambiguous"]


def answered(rows: Path, answers: Path) -> "pd.DataFrame":
    """Rows of split with predicted, confidence, logits and probabilities as evaluate stored them.

    Raises DataError where the two files do not hold the same rows in the same order.
    """
    frame, known = read_parquet(rows, COLUMNS), read_parquet(answers)
    if frame.empty or frame["id"].tolist() != known["id"].tolist():
        raise DataError(f"{answers} does not hold the rows of {rows} in their order. Run evaluate again.")
    return frame.assign(**{name: known[name] for name in ("predicted", "confidence", "logits", "probabilities")})
