"""Which rows of the inbox stand where people change their minds: the newest of each id, with corrected labels.

Batches are immutable, so that a label given anew comes as a further row of the same id, and a correction of another
source's row as a row whose id says which.
"""

from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks import inbox
from tasks.rows import BATCH, completed

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

CHANGING = ("answers", "log")
"""Kinds of sources whose rows come again under their id when people change their minds."""
CORRECTS = "corrects:"
"""What an id of kind `answers` begins with where the row is a decision about the row of ingest named behind it.

Its label is that row's. Without label, but with a list of votes, which is then empty, that row is discarded."""

Batch = tuple[Path, dict[str, Any]]
"""A batch with its provenance."""


class Standing:
    """The rows of some batches that stand, and the labels that people put in the place of others.

    Of the rows that one source of a changing kind brought under one id the last of the newest batch stands. One of kind
    `answers` without label and votes says that all of them were taken back.
    """

    def __init__(self, batches: Iterable[Batch]) -> None:
        self.masks: dict[Path, np.ndarray] = {}
        self.labels: dict[str, str] = {}
        """By id of the stage ingest."""
        self.unfit: set[str] = set()
        """Ids of the stage ingest of rows that were discarded."""
        self.superseded = self.corrected = self.discarded = 0
        changing = [batch for batch in batches if batch[1]["kind"] in CHANGING]
        for _, its in groupby(sorted(changing, key=_source), key=_source):
            self._look(list(its))

    def rows(self, path: Path, start: int, table: "pa.Table") -> "pa.Table":
        """Of rows of a batch, from place `start` on, those that stand."""
        if path not in self.masks:
            return table
        import pyarrow as pa

        return table.filter(pa.array(self.masks[path][start : start + table.num_rows]))

    def correct(self, table: "pa.Table") -> "pa.Table":
        """Rows as ingest writes them, with the corrected labels in the place of what their sources brought.

        Without those that were discarded.
        """
        if not self.labels and not self.unfit:
            return table
        import pyarrow as pa
        import pyarrow.compute as pc

        fit = pc.invert(pc.is_in(table["id"], value_set=pa.array(sorted(self.unfit), pa.string())))
        self.discarded += table.num_rows - (table := table.filter(fit)).num_rows
        place = pc.index_in(table["id"], value_set=pa.array([*self.labels], pa.string()))
        hit = pc.is_valid(place)
        self.corrected += pc.sum(hit).as_py() or 0
        columns = {name: table[name] for name in table.column_names}
        columns["label"] = pc.coalesce(pc.take(pa.array([*self.labels.values()], pa.string()), place), table["label"])
        columns["ratings"] = pc.if_else(hit, pa.scalar(None, table["ratings"].type), table["ratings"])
        nobody = pc.and_(hit, pc.is_null(table["votes"]))  # no votes, but people decided: see the stage label
        columns["votes"] = pc.if_else(nobody, pa.scalar([], table["votes"].type), table["votes"])
        return pa.table(columns, schema=table.schema)

    def told(self) -> dict[str, int]:
        """How many rows gave way to a newer one, got another label or were discarded; without what did not occur."""
        counts = {"superseded": self.superseded, "corrected": self.corrected, "discarded": self.discarded}
        return {name: count for name, count in counts.items() if count}

    def _look(self, batches: list[Batch]) -> None:
        """The batches of one source, newest first."""
        import numpy as np

        seen: set[str] = set()
        for path, told in sorted(batches, key=age, reverse=True):
            with inbox.opened(path) as file:
                columns = completed(file.read(), BATCH).select(["id", "label", "votes"]).to_pydict()
            mask = np.zeros(len(columns["id"]), bool)
            rows = list(zip(*columns.values(), strict=True))
            for place in range(len(rows) - 1, -1, -1):
                row, label, votes = rows[place]
                mask[place] = row not in seen and (label is not None or bool(votes) or told["kind"] == "log")
                if row in seen:
                    self.superseded += 1
                elif row is not None:
                    seen.add(row)
                    if told["kind"] == "answers" and row.startswith(CORRECTS):
                        mask[place] = False
                        if label is not None:
                            self.labels[row.removeprefix(CORRECTS)] = label
                        elif votes is not None:
                            self.unfit.add(row.removeprefix(CORRECTS))
            self.masks[path] = mask


def age(batch: Batch) -> tuple[int, str, str]:
    """Sorts the batches of a feed by when they came: by number; of two clones' batches of one number the later one."""
    path, told = batch
    return told["number"], told["watermark"] or "", path.name


def _source(batch: Batch) -> str:
    return str(batch[1]["source"])
