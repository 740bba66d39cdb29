"""Out of scope: a score of how well a model knows a text, and the threshold below which no label of its is meant.

Numpy only, no files. Logits are float arrays [rows, classes], probabilities those that a calibration made of them,
scores float64 [rows]. A text is in scope where its score is at least the threshold.
"""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field

from tasks.core.errors import DataError

Floats = NDArray[np.float64]
FILE = "out_of_scope.parquet"
"""What split writes of rows that have none of the line's labels."""
FITTING, JUDGING = ("train", "validation"), "test"
"""The sides of those rows that decide the threshold: no model learns from them, so train's may as well; and the other
that judges it."""


class ScopeSettings(BaseModel):
    """How a text that has none of the line's labels is known."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    score: Literal["energy", "max_probability"] = Field(
        "energy",
        description="energy: log of the summed exponentials of the logits, for which a text must be near some label, "
        "not nearer to one than to others; max_probability: the calibrated probability of the answer.",
    )
    false_accept: float = Field(0.05, gt=0, lt=1, description="Share of out-of-scope texts that may pass for known.")
    false_reject: float = Field(
        0.05, gt=0, lt=1, description="Share of in-scope texts that may be refused; used where no row is out of scope."
    )


def scores(name: str, logits: ArrayLike, probabilities: ArrayLike) -> Floats:
    """How well each row is known.

    `energy` is the negative free energy at temperature 1 (Liu et al. 2020), `max_probability` the maximum softmax
    probability (Hendrycks and Gimpel 2017), here after calibration. Raises ValueError on another name.
    """
    match name:
        case "energy":
            z = np.asarray(logits, dtype=np.float64)
            highest = z.max(axis=1)
            energy: Floats = highest + np.log(np.exp(z - highest[:, None]).sum(axis=1))
            return energy
        case "max_probability":
            best: Floats = np.asarray(probabilities, dtype=np.float64).max(axis=1)
            return best
    raise ValueError(f"score {name!r} is unknown; known are energy and max_probability")


def fit(known: Floats, strange: Floats, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """`wanted` (a dump of ScopeSettings) with the threshold, what it was fitted to, and on how many rows.

    `known` are scores of in-scope rows, `strange` those of rows out of scope. The threshold is a conformal quantile
    (Vovk et al. 2005): over draws of rows and of a new text like them, the rate is at most the one that is wanted.
    Raises DataError where the rows are too few to promise that.
    """
    by = "false_accept" if len(strange) else "false_reject"
    rows, rate = np.sort(strange if len(strange) else known), float(wanted[by])
    allowed = int(np.floor(rate * (len(rows) + 1) + 1e-9))
    if allowed == 0:
        raise DataError(
            f"{len(rows)} rows cannot hold evaluate.scope.{by} at {rate:g}: {int(np.ceil(1 / rate - 1 - 1e-9))} are "
            "needed. Bring more of them to train and validation, or allow a higher rate."
        )
    threshold = rows[allowed - 1] if by == "false_reject" else np.nextafter(rows[-allowed], np.inf)
    return {**wanted, "threshold": float(threshold), "fitted_to": by, "rows": len(rows)}


def known(fitted: Mapping[str, Any], logits: ArrayLike, probabilities: ArrayLike) -> NDArray[np.bool_]:
    """[rows], whether a text is in scope."""
    inside: NDArray[np.bool_] = scores(fitted["score"], logits, probabilities) >= fitted["threshold"]
    return inside


__all__ = ["FILE", "FITTING", "JUDGING", "ScopeSettings", "fit", "known", "scores"]
