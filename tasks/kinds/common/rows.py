"""The rows that judge a model that answers texts: those of split."""

from typing import TYPE_CHECKING

from tasks.core.files import read_parquet
from tasks.core.line import Line

if TYPE_CHECKING:
    import pandas as pd

SIDES = ("train", "validation", "test")
REFERENCE = ["id", "text", "source", "label"]
"""What a release keeps of them."""
JUDGING = ("validation", "test")
"""The sides whose rows a release keeps, with its answers: what live traffic is held against."""


def judged(line: Line, side: str) -> "pd.DataFrame":
    """The rows of split/<side>.parquet."""
    return read_parquet(line.file("split", f"{side}.parquet"))


def keys(line: Line) -> "pd.DataFrame":
    """split_key and side of every row, those of a judging side in the order of `judged`."""
    import pandas as pd

    return pd.concat([judged(line, side)[["split_key"]].assign(side=side) for side in SIDES])


def asked(text: str) -> str:
    """The text of a row as live traffic has it."""
    return text
