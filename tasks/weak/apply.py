"""Labels by functions for the rows that people left without one."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tasks.core.line import Line
from tasks.weak.settings import FunctionSettings

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from tasks.weak.decide import Codes

log = logging.getLogger("tidegate")

FOLDER = "labelling"
BY = "functions"
"""`decided_by` of the rows that functions label."""


def fill(
    line: Line, frame: "pd.DataFrame", labels: Sequence[str], settings: FunctionSettings | None
) -> dict[str, Any] | None:
    """Label the rows of `frame` that nobody labelled, by the functions of data/<line>/labelling/; what to report.

    `frame` has the columns of tasks.rows.LABELED with `label` null where nothing decides. A label that people gave
    stands, and so does their not agreeing. Filled are label, decided_by, confidence, ambiguous and `soft`, the
    probability of each label; rows on which the functions decide nothing stay without one. Raises DataError where
    functions fail.
    """
    folder = line.folder / FOLDER
    if settings is None:
        if files := sorted(folder.glob("*.py")):
            log.info("%s has %s, but label.functions is not set: no function votes", folder, files[0].name)
        return None
    import numpy as np

    from tasks.weak import decide, report
    from tasks.weak.functions import ABSTAINS, load, votes

    functions = load(folder, settings.leave_out, settings.seconds)
    found = votes(functions, frame["id"].tolist(), frame["text"].tolist(), labels, settings.seconds)
    codes = {label: code for code, label in enumerate(labels)}
    trusted = frame["label"].where(~frame["source"].isin(settings.doubted_sources))
    known = trusted.map(codes).fillna(ABSTAINS).to_numpy().astype(np.int64)
    model = decide.fit(found, known, len(labels), settings.accuracy, _shares(labels, settings))
    soft = model.posterior(found)
    decided, why = _decided(found, soft, settings)
    silent = frame[["label", "agreement", "rating_mean"]].isna().all(axis=1).to_numpy()
    _write(frame, silent & (decided != ABSTAINS), labels, soft, settings)
    told = report.of_functions([function.name for function in functions], labels, found, known, model)
    log.info("Labelling functions:\n%s", report.table(told))
    return {
        "functions": told,
        "shares": {label: float(share) for label, share in zip(labels, model.shares, strict=True)},
        "accuracy": report.of_model(decided, known),
        "rows": int(silent.sum()),
        "labeled": int((silent & (decided != ABSTAINS)).sum()),
        "left_out": {name: int((silent & rows).sum()) for name, rows in why.items()},
    }


def _shares(labels: Sequence[str], settings: FunctionSettings) -> "NDArray[np.float64] | None":
    import numpy as np

    shares = settings.shares
    return None if shares is None else np.array([shares[label] for label in labels])


def _decided(
    votes: "Codes", soft: "NDArray[np.float64]", settings: FunctionSettings
) -> "tuple[Codes, dict[str, NDArray[np.bool_]]]":
    """The label of each row or ABSTAINS, and which rows have none why."""
    import numpy as np

    from tasks.weak.functions import ABSTAINS

    count = (votes != ABSTAINS).sum(axis=1)
    none, few = count == 0, (count > 0) & (count < settings.min_votes)
    unsure = ~none & ~few & (soft.max(axis=1) <= settings.min_confidence + 1e-9)
    decided = np.where(none | few | unsure, ABSTAINS, soft.argmax(axis=1))
    return decided, {"all_abstain": none, "too_few_votes": few, "unsure": unsure}


def _write(
    frame: "pd.DataFrame", rows: "NDArray[np.bool_]", labels: Sequence[str], soft: "NDArray[np.float64]",
    settings: FunctionSettings,
) -> None:  # fmt: skip
    import numpy as np

    best = soft.max(axis=1)
    frame["label"] = np.where(rows, np.array(labels, dtype=object)[soft.argmax(axis=1)], frame["label"])
    frame["decided_by"] = np.where(rows, BY, frame["decided_by"])
    frame["confidence"] = np.where(rows, best, frame["confidence"])
    frame["ambiguous"] = np.where(rows, best < settings.ambiguous_below, frame["ambiguous"]).astype(bool)
    frame["soft"] = [row.astype(np.float32) if filled else kept
                     for row, filled, kept in zip(soft, rows, frame["soft"], strict=True)]  # fmt: skip


__all__ = ["BY", "FOLDER", "fill"]
