"""`tidegate suspects`: labelled rows whose label is likely wrong, as a file, and into the adjudicators' queue."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from flows.settings import of_texts
from flows.wanted import check_ending, write_rows
from tasks.core.errors import DataError
from tasks.core.files import read_json, read_parquet
from tasks.core.line import STATE, Line
from tasks.encoders import locate

if TYPE_CHECKING:
    import pandas as pd

FOLDER = STATE / "suspects"
COLUMNS = ["id", "text", "source", "given", "suggested", "probability", "quality", "listed"]


def export(name: str, target: Path | None, rows: int, queue: bool = False) -> str:
    """Write the rows whose label is likeliest wrong, worst first; what was done, in a sentence.

    Reads label/labeled.parquet. Columns COLUMNS: the label that the row has and the one that models which never saw the
    row prefer, its probability, the quality of the given label (0 to 1), and whether confident learning lists the row.
    Rows that an adjudicator decided are not among them. With `queue` they go to the line's adjudicators. Raises
    SettingsError for another ending than csv or jsonl, DataError where there are no labelled rows.
    """
    settings = of_texts(name)
    line, target = Line(name, settings.kind), target or FOLDER / f"{name}.csv"
    check_ending(target)
    path = line.file("label", "labeled.parquet")
    if not path.exists():
        raise DataError(f"{path} is missing. Run `tidegate run {name} --until label`.")
    folder = locate(settings.train.base_model)
    frame = read_parquet(path, ["id", "text", "source", "label", "split_key", "decided_by"])
    found = find(frame, read_json(line.file("label", "labels.json")), folder, settings.train.max_length)
    listed, chosen = int(found["listed"].sum()), found.head(rows)
    write_rows(chosen, target)
    said = (
        f"{len(chosen)} rows of {name} whose label is likeliest wrong are in {target}; of {len(frame)} labelled rows "
    )
    said += f"confident learning lists {listed}."
    return f"{said} {_enqueue(line, chosen)}" if queue else said


def find(frame: "pd.DataFrame", labels: list[str], folder: Path, max_length: int = 128) -> "pd.DataFrame":
    """The suspects among labelled rows (id, text, source, label, split_key, decided_by) with COLUMNS, worst first.

    `folder` is the base model whose frozen embeddings are learned from. Rows out of scope have none of the `labels`:
    they are left out.
    """
    import pandas as pd

    from tasks.annotation.embed import embed
    from tasks.crowd.suspects import cross_validated, suspects

    frame = frame[frame["label"].isin(labels)]
    given = pd.Index(labels).get_indexer(pd.Index(frame["label"])).astype(np.int64)
    vectors = embed(frame["text"].tolist(), folder, max_length)
    found = suspects(given, cross_validated(vectors, given, frame["split_key"].tolist(), len(labels)))
    result = (
        frame.rename(columns={"label": "given"})
        .iloc[found.places]
        .assign(
            suggested=np.array(labels, dtype=object)[found.suggested],
            probability=found.probability.round(4),
            quality=found.quality.round(4),
            listed=found.implausible,
        )
    )
    return result.loc[result["decided_by"] != "adjudicator", COLUMNS].reset_index(drop=True)


def _enqueue(line: Line, rows: "pd.DataFrame") -> str:
    from tasks.annotation.events import suspect
    from tasks.annotation.journal import Journal

    items = [
        suspect(row["id"], row["text"], row["given"], row["suggested"], float(row["probability"]), rank)
        for rank, row in enumerate(rows.to_dict("records"))
        if row["text"]
    ]
    new = Journal.of(line).add(items)
    return f"{new} of them are new in the adjudicators' queue."
