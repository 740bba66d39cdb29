"""The stage label on a table made on the spot."""

import pandas as pd

from tasks import verdict
from tasks.core.files import read_json, write_parquet
from tasks.core.line import Line
from tasks.label import LabelSettings, label
from tasks.rows import RAW
from tasks.verdict import Check, Verdict

LINE = Line("made")
PASS = Check(name="rows", value=1, outcome="pass")


def table(ratings=None, labels=None):
    rows = len(ratings if ratings is not None else labels)
    return pd.DataFrame(
        {
            "id": [f"r{rows - n:03d}" for n in range(rows)],
            "text": [f"text {n}" for n in range(rows)],
            "source": ["film" if n % 2 else "book" for n in range(rows)],
            "created_at": pd.Series([pd.NaT] * rows, dtype="datetime64[us, UTC]"),
            "label": labels if labels is not None else [None] * rows,
            "votes": [None] * rows,
            "group": [None] * rows,
            "ratings": ratings if ratings is not None else [None] * rows,
            "split_key": [f"{n:032x}" for n in range(rows)],
        }
    )


def run(frame, check=PASS, **settings):
    write_parquet(LINE.file("validate", "rows.parquet"), frame, RAW)
    verdict.write(LINE.file("validate", "verdict.json"), Verdict.of("validate", [check]))
    out = LINE.folder / "label"
    label(LINE, LabelSettings(**({"labels": ["negative", "positive"]} | settings)), out)
    return pd.read_parquet(out / "labeled.parquet"), read_json(out / "report.json")
