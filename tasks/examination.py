"""An examination: one part of a gate, with its checks, the rows to look at, and what it adds to the page."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa

from tasks import report
from tasks.verdict import Check, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd

ROWS = pa.schema(
    [
        ("check", pa.string()),
        ("id", pa.string()),
        ("split_key", pa.string()),
        ("source", pa.string()),
        ("label", pa.string()),
        ("predicted", pa.string()),
        ("confidence", pa.float32()),
        ("other_id", pa.string()),  # of train, where the row is a copy
        ("why", pa.string()),
    ]
)
"""rows.parquet of a gate: under each check's name the rows to look at. Without texts: those are in split."""

TABLED = 20  # examples on a page


class Section(NamedTuple):
    """A part of the page below the checks."""

    title: str
    html: str
    """From report.render, which escapes: it stands on the page as it is."""


class Plot(NamedTuple):
    """A figure of the page."""

    caption: str
    png: bytes
    wide: bool = False
    """Whether it stands alone instead of beside others."""


@dataclass(frozen=True)
class Examination:
    """What one part of a gate found."""

    checks: list[Check]
    rows: "list[pd.DataFrame]" = field(default_factory=list)
    """Tables of ROWS, in the order of the checks."""
    plots: list[Plot] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)


def to_look_at(check: Check, rows: "pd.DataFrame", most: int) -> "pd.DataFrame":
    """The `most` rows of highest confidence, with their `why`, under the check's name."""
    return as_rows(surest(rows, most).assign(check=check.name))


def as_rows(rows: "pd.DataFrame") -> "pd.DataFrame":
    """The columns of ROWS; null where `rows` does not have one."""
    return rows.reindex(columns=ROWS.names)


def surest(rows: "pd.DataFrame", most: int) -> "pd.DataFrame":
    """The `most` rows of highest confidence, highest first."""
    return rows.sort_values(["confidence", "id"], ascending=[False, True]).head(most)


def examples(title: str, lead: str, rows: "pd.DataFrame") -> Section:
    """A section that shows the surest rows: text, label, predicted, confidence; those after the twentieth are left out.

    `rows` has the columns id, text, label, predicted and confidence, and may have `torch`, that model's answer.
    """
    shown = surest(rows, TABLED).to_dict("records")
    return Section(title, report.render("examples.html.j2", lead=lead, rows=shown))


def write_rows(path: "Path", examinations: "Sequence[Examination]") -> None:
    """Write rows.parquet; without a row where nothing is to be looked at."""
    import pandas as pd

    from tasks.core.files import write_parquet

    tables = [table for examination in examinations for table in examination.rows if len(table)]
    empty = ROWS.empty_table().to_pandas()
    write_parquet(path, pd.concat(tables) if tables else empty, ROWS)


def page(title: str, summary: str, verdict: Verdict, examinations: "Sequence[Examination]") -> str:
    """gate.html: the verdict, its checks, then plots and sections of all examinations."""
    plots = [(plot, report.data_uri(plot.png)) for part in examinations for plot in part.plots]
    parts = [section for part in examinations for section in part.sections]
    return report.render("gate.html.j2", title=title, summary=summary, verdict=verdict, plots=plots, parts=parts)
