"""NannyML's drift calculators and CBPE with their defaults over windows of SIZE rows in FOLDER/current.parquet.

    python nannyml_drift.py FOLDER SIZE       # with the interpreter of an environment that has nannyml

Prints a JSON list with one entry a window: which calculators alert. It shares no code with the rest.
"""

import json
import logging
import os
import sys
import warnings
from pathlib import Path
from typing import Any

NUMBERS = ["characters", "words", "non_letters", "confidence"]
CATEGORIES = ["script", "predicted"]


def main() -> None:
    """Read, compute, print."""
    os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"
    warnings.filterwarnings("ignore")
    logging.disable(logging.CRITICAL)
    import nannyml
    import pandas as pd

    folder, size = Path(sys.argv[1]), int(sys.argv[2])
    reference, current = (pd.read_parquet(folder / f"{side}.parquet") for side in ("reference", "current"))
    columns = [*NUMBERS, *CATEGORIES]
    calculators = {
        "columns": nannyml.UnivariateDriftCalculator(
            column_names=columns, treat_as_categorical=CATEGORIES, chunk_size=size
        ),
        "reconstruction": nannyml.DataReconstructionDriftCalculator(column_names=columns, chunk_size=size),
        "cbpe": nannyml.CBPE(
            problem_type="classification_binary", y_pred_proba="positive", y_pred="answer", y_true="truth",
            metrics=["accuracy"], chunk_size=size,
        ),
    }  # fmt: skip
    alerts = {name: _alerts(calculator.fit(reference), current) for name, calculator in calculators.items()}
    print(json.dumps([dict(zip(alerts, row, strict=True)) for row in zip(*alerts.values(), strict=True)]))


def _alerts(calculator: Any, current: Any) -> list[bool]:
    run = getattr(calculator, "estimate", None) or calculator.calculate
    table = run(current).filter(period="analysis").to_df()
    alerting = [column for column in table.columns if column[-1] == "alert"]
    return [bool(one) for one in table[alerting].fillna(False).any(axis=1)]


if __name__ == "__main__":
    main()
