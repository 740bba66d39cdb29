"""Stage ingest: one table of all the batches in the inbox."""

import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from tasks import inbox
from tasks.core.errors import DataError
from tasks.core.files import write_json
from tasks.core.line import Line
from tasks.core.progress import progress
from tasks.core.settings import Settings
from tasks.core.stage import run_stage
from tasks.policy_report import Treated, total
from tasks.rows import BATCH, RAW, completed
from tasks.standing import Standing
from tasks.text import TextSettings, fingerprint, group_of, salt_digest

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger("tidegate")


class IngestSettings(Settings, block="ingest"):
    """What is taken stands under `sources`, and what is done to a text under `text`."""

    chunk_rows: int = Field(50_000, ge=1_000, le=1_000_000, description="rows in memory at once")


def ingest(line: Line, settings: IngestSettings, text: TextSettings, out: Path) -> None:
    """Read data/<line>/inbox/*.parquet; write rows.parquet (tasks.rows.RAW) and provenance.json.

    An id is `<source>-<id given by the source>`, or `<source>-<row_key>` where it gives none. The text policy is
    applied again, so that stricter settings reach old batches; split_key is the batch's. Rows with personal data that
    is set to `drop` are left out; provenance.json counts them, and the rows that each step of the policy changed, in
    sync and here. Where people changed their minds the newest row of an id stands, and a label that was corrected takes
    the place of what its source brought (tasks.standing). Memory does not grow with the text. Raises DataError when the
    inbox is empty, holds what is no batch, or was keyed with another `split_salt`.
    """
    import pyarrow.parquet as pq

    batches = [(path, inbox.provenance(path)) for path in inbox.batches(line)]
    _refuse(line, batches, text)
    batches.sort(key=lambda batch: (batch[1]["source"], batch[0].name))
    tally, treated, rows = _Tally(), Treated(text), sum(told["rows"] for _, told in batches)
    standing = Standing(batches)
    with progress("ingest", rows) as bar, pq.ParquetWriter(out / "rows.parquet", RAW, compression="zstd") as writer:
        for path, told in batches:
            policy = None if told["text"] == fingerprint(text) else treated
            for table in map(standing.correct, _rows(path, standing, policy, text, settings.chunk_rows)):
                tally.add(table)
                writer.write_table(table)
                bar.update(table.num_rows)
    counts = {**total([treated.told(), *(told for _, told in batches)]), **standing.told()}
    write_json(out / "provenance.json", {"schema_version": 1, "batches": _told(batches), **tally.summary(), **counts})
    log.info("ingest: %d rows from %d batches", tally.summary()["rows"], len(batches))
    if dropped := counts["dropped"]:
        said = ", ".join(f"{kind} {count}" for kind, count in dropped.items())
        log.info("left out for their personal data, here or in sync: %s", said)


def _refuse(line: Line, batches: list[tuple[Path, dict[str, Any]]], text: TextSettings) -> None:
    if not batches:
        raise DataError(
            f"{line.inbox} is missing or holds no batch. Run `tidegate sync {line.name}` to take rows from its "
            "sources, or `dvc pull`."
        )
    for path, told in batches:
        if told["salt"] != salt_digest(text.split_salt):
            raise DataError(
                f"{path} was taken with another `text.split_salt` than lines.{line.name} now has, and the raw "
                f"text behind its keys is not kept. Put the old salt back, or delete {line.inbox} and sync again."
            )


def _rows(
    path: Path, standing: Standing, treated: Treated | None, text: TextSettings, chunk: int
) -> Iterator["pa.Table"]:
    """What stands of a batch in chunks as RAW tables; `treated` has the policy to apply, None where it was applied."""
    import pyarrow as pa
    import pyarrow.compute as pc

    start = 0
    with inbox.opened(path) as file:
        for batch in file.iter_batches(batch_size=chunk):
            table = standing.rows(path, start, completed(pa.table(batch), BATCH))
            start += batch.num_rows
            own = pc.fill_null(table["id"], table["row_key"])
            content = {name: table[name] for name in RAW.names}
            content["id"] = pc.binary_join_element_wise(table["source"], own, "-")
            content["group"] = group_of(table["group"], text)  # always: older batches may name nobody by a blank
            if treated is None:
                yield pa.table(content, schema=RAW)
            else:
                content["text"], kept = treated.rows(table["text"])
                yield pa.table(content, schema=RAW).filter(pa.array(kept, pa.bool_()))


class _Tally:
    """Counts rows, repeated texts and repeated ids as they pass, in 16 bytes a row."""

    def __init__(self) -> None:
        self.sources: Counter[str] = Counter()
        self.texts, self.ids = inbox.Counter(), inbox.Counter()

    def add(self, table: "pa.Table") -> None:
        self.sources.update(table["source"].to_pylist())
        for counter, name in ((self.texts, "text"), (self.ids, "id")):
            counter.add(inbox.hashed(table[name].to_pylist()))

    def summary(self) -> dict[str, Any]:
        return {
            "rows": sum(self.sources.values()),
            "sources": dict(self.sources),
            "duplicate_texts": self.texts.repeated(),
            "duplicate_ids": self.ids.repeated(),
        }


def _told(batches: list[tuple[Path, dict[str, Any]]]) -> list[dict[str, Any]]:
    return [{"batch": path.name, **told} for path, told in batches]


if __name__ == "__main__":
    run_stage(ingest)
