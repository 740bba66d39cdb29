"""Label noise: test rows whose label the model finds implausible, listed for a second look and never dropped.

Confident learning (Northcutt, Jiang, Chuang 2021, Journal of Artificial Intelligence Research 70), by cleanlab: a row
is listed when the model prefers another label, and that with a probability of at least the mean that this label has
among the rows given it. Either may be wrong, the label or the model.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tasks.core.settings import Settings
from tasks.verdict import Check

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

COLUMNS = ["check", "id", "split_key", "source", "label", "suggested", "self_confidence", "rank", "why"]
CHANCE = 0.975  # quantile of the share that honest labels show


class LabelNoiseSettings(Settings):
    """When implausible labels warn, and when they reject."""

    max_share: float | None = Field(
        None, ge=0, le=1, description="share of implausible test labels beyond which the gate rejects; never by default"
    )
    min_rows: int = Field(100, ge=2, description="with fewer test rows nothing is said: the means tell too little")
    draws: int = Field(200, ge=20, le=10_000, description="draws of honest labels that say what chance alone lists")
    seed: int = Field(0, ge=0, description="seed of these draws")


@dataclass(frozen=True)
class Noise:
    """The listed rows, worst first, and what they do to the figures.

    `places` are positions of rows, `suggested` the label index that the model would give to each. `expected` and
    `expected_high` are the mean and the 97.5 % quantile of the share listed when labels are drawn by the model's own
    probabilities: so many are listed though no label is wrong. Figures `without` the listed rows flatter the model, for
    most of them are its errors: the truth lies between. They are None where every row is listed.
    """

    rows: int
    places: Indices
    suggested: Indices
    self_confidence: Floats
    expected: float
    expected_high: float
    accuracy: float
    accuracy_without: float | None
    f1_macro: float
    f1_macro_without: float | None

    @property
    def share(self) -> float:
        """Share of the rows that are listed."""
        return len(self.places) / self.rows


def examine(
    predictions: "pd.DataFrame", labels: list[str], settings: LabelNoiseSettings
) -> tuple[list[Check], "pd.DataFrame"]:
    """Judge the labels of evaluate/predictions.parquet; `labels` in the order of its probabilities.

    One check, `label_noise`: the share of implausible labels. It warns where that is more than chance explains, rejects
    beyond `max_share` alone, and cannot tell with few rows or one label. Beside it the rows to look at (COLUMNS), worst
    first.
    """
    import pandas as pd

    actual = pd.Index(labels).get_indexer(pd.Index(predictions["label"])).astype(np.int64)
    if untold := _untold(actual, settings):
        limit = settings.max_share
        check = Check(name="label_noise", value=None, max=limit, rows=len(actual), outcome="cannot tell", note=untold)
        return [check], pd.DataFrame(columns=COLUMNS)
    noise = find(actual, np.stack(predictions["probabilities"].to_list()).astype(np.float64), settings)
    return [_check(noise, settings)], _rows(predictions, labels, noise)


def find(actual: Indices, probabilities: Floats, settings: LabelNoiseSettings) -> Noise:
    """Implausible ones among the label indices `actual` [rows], by calibrated `probabilities` [rows, labels].

    At least two labels must occur.
    """
    probabilities = probabilities / probabilities.sum(axis=1, keepdims=True)
    listed = implausible(actual, probabilities)
    predicted = probabilities.argmax(axis=1)
    own = probabilities[np.arange(len(actual)), actual]
    places = np.flatnonzero(listed)
    places = places[np.argsort(own[places], kind="stable")]
    by_chance = _by_chance(probabilities, settings)
    kept = ~listed
    some = bool(kept.any())
    return Noise(
        rows=len(actual),
        places=places,
        suggested=predicted[places],
        self_confidence=own[places],
        expected=float(by_chance.mean()),
        expected_high=float(np.quantile(by_chance, CHANCE)),
        accuracy=float((predicted == actual).mean()),
        accuracy_without=float((predicted == actual)[kept].mean()) if some else None,
        f1_macro=_f1_macro(actual, predicted),
        f1_macro_without=_f1_macro(actual[kept], predicted[kept]) if some else None,
    )


def _f1_macro(actual: Indices, predicted: Indices) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(actual, predicted, average="macro", zero_division=0))


def implausible(actual: Indices, probabilities: Floats) -> NDArray[np.bool_]:
    """[rows], which label indices confident learning lists; `probabilities` [rows, labels] sum to 1."""
    from cleanlab.filter import find_label_issues

    mask: NDArray[np.bool_] = find_label_issues(actual, probabilities, filter_by="confident_learning", n_jobs=1)
    return mask


def _by_chance(probabilities: Floats, settings: LabelNoiseSettings) -> Floats:
    """Share listed in each draw of honest labels; 0 where a draw holds one label alone."""
    rng = np.random.default_rng(settings.seed)
    steps = probabilities.cumsum(axis=1)[:, :-1]
    shares = np.zeros(settings.draws)
    for n in range(settings.draws):
        drawn = (steps < rng.random((len(steps), 1))).sum(axis=1)
        if len(np.unique(drawn)) > 1:
            shares[n] = implausible(drawn, probabilities).mean()
    return shares


def _untold(actual: Indices, settings: LabelNoiseSettings) -> str:
    """Why these rows tell nothing, empty where they do."""
    if len(actual) < settings.min_rows:
        return f"too few rows to tell: {len(actual)}, {settings.min_rows} are asked for"
    if len(np.unique(actual)) < 2:
        return "cannot be told: the rows hold one label alone"
    return ""


def _check(noise: Noise, settings: LabelNoiseSettings) -> Check:
    limit = settings.max_share
    note = f"{len(noise.places)} rows; chance alone lists {noise.expected:.1%}, up to {noise.expected_high:.1%}; "
    if noise.accuracy_without is None:
        note += "without them no row is left"
    else:
        note += (
            f"without them accuracy {noise.accuracy_without:.4f} instead of {noise.accuracy:.4f}, "
            f"macro F1 {noise.f1_macro_without:.4f} instead of {noise.f1_macro:.4f}"
        )
    rejects = limit is not None and noise.share > limit
    return Check(
        name="label_noise",
        value=round(noise.share, 6),
        max=limit,
        rows=noise.rows,
        outcome="reject" if rejects else "warn" if noise.share > noise.expected_high else "pass",
        note=note,
    )


def _rows(predictions: "pd.DataFrame", labels: list[str], noise: Noise) -> "pd.DataFrame":
    names = np.array(labels, dtype=object)
    rows = predictions.iloc[noise.places][["id", "split_key", "source", "label"]].reset_index(drop=True)
    return rows.assign(
        check="label_noise",
        suggested=names[noise.suggested],
        self_confidence=noise.self_confidence.round(6),
        rank=np.arange(1, len(rows) + 1),
        why=[
            f"the model gives this label {own:.1%} and finds {names[other]} likelier"
            for own, other in zip(noise.self_confidence, noise.suggested, strict=True)
        ],
    )[COLUMNS]
