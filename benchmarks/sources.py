"""How fast rows of a PostgreSQL database come into an inbox, in how much memory, and what limits it.

    python benchmarks/sources.py                 # 1,000,000 rows on a server of its own, some two minutes
    python benchmarks/sources.py --rows 100000

Needs PostgreSQL's programs (Debian: apt-get install postgresql). Each row of the table is a process of its own: wall
and CPU seconds of that process alone, the server's beside it, peak resident memory. On a busy machine wall time says
little; rows per CPU second is what one free core would do.
"""

import argparse
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from project import ROOT
from rich.console import Console
from rich.table import Table

sys.path.append(str(ROOT / "tests"))

import postgres

QUERY = "SELECT id, body, label, updated_at FROM reviews"
FILL = """INSERT INTO reviews SELECT n, 'review ' || n || ': the film was good and the cast is warm, but the ending, '
    'I must say, left the whole room cold', CASE WHEN n % 2 = 0 THEN 'a' ELSE 'b' END,
    TIMESTAMPTZ '2026-01-01' + n / 3 * INTERVAL '1 second' FROM generate_series(1, {rows}) n"""
COLUMNS = {"id": "id", "text": "body", "label": "label", "created_at": "updated_at"}


def main() -> int:
    """Fill a table, take it, look again, compare; print what each cost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, choices=range(1_000, 5_000_001), metavar="N")
    rows = parser.parse_args().rows
    if postgres.programs() is None:
        print("PostgreSQL's programs are not here: apt-get install postgresql")
        return 0
    server = postgres.Server()
    folder = tempfile.mkdtemp()
    try:
        os.environ["BENCHMARK_DB"] = server.url()
        os.chdir(folder)
        fill(rows)
        show(rows, [apart(part) for part in PARTS])
    finally:
        server.stop()
        shutil.rmtree(server.folder)
        shutil.rmtree(folder)
    return 0


def fill(rows: int) -> None:
    """The table, with an index on what orders it."""
    import sqlalchemy as sa

    with engine().begin() as connection:
        connection.execute(
            sa.text("CREATE TABLE reviews (id BIGINT PRIMARY KEY, body TEXT, label TEXT, updated_at TIMESTAMPTZ)")
        )
        connection.execute(sa.text(FILL.format(rows=rows).replace(": ", r"\: ")))
        connection.execute(sa.text("CREATE INDEX ON reviews (updated_at, id)"))


def fetched() -> int:
    """What the driver alone costs: every row as Python values, through the same server-side cursor."""
    import sqlalchemy as sa

    with engine().connect().execution_options(stream_results=True, max_row_buffer=20_000) as connection:
        found = connection.execute(sa.text(f"{QUERY} ORDER BY updated_at, id"))
        return sum(len(part) for part in found.partitions(20_000))


def read() -> int:
    """Driver and conversion to tables, as the source does it."""
    from tasks.sources.base import Mark

    return sum(portion.table.num_rows for portion in source().feed(Mark(), None))


def taken(changes: str = "count") -> int:
    """All of sync: hashes, text policy, keys, parquet."""
    from tasks import inbox
    from tasks.core.line import Line
    from tasks.sync import sync
    from tasks.text import TextSettings

    return sum(inbox.provenance(path)["rows"] for path in sync(Line("made"), [source(changes=changes)], TextSettings()))


def compared() -> int:
    """All rows read again and held against the inbox."""
    return taken("compare")


def asked() -> int:
    """Whether there is news, as it comes before every run."""
    from tasks.core.line import Line
    from tasks.sync import news

    return int(news(Line("made"), [source()]))


PARTS: list[Callable[[], int]] = [fetched, read, taken, asked, taken, compared]


def engine() -> Any:
    """The server's database."""
    import sqlalchemy as sa

    return sa.create_engine(os.environ["BENCHMARK_DB"].replace("postgresql:", "postgresql+psycopg:"))


def source(**block: Any) -> Any:
    """A source of kind sql on it."""
    from tasks.sources import parse_sources

    block = {
        "kind": "sql", "name": "reviews", "url_env": "BENCHMARK_DB", "query": QUERY, "columns": COLUMNS,
        "watermark": {"column": "updated_at", "tie_breaker": "id"},
    } | block  # fmt: skip
    return parse_sources({"sources": [block]}, "made")[0]


def apart(part: Callable[[], int]) -> dict[str, Any]:
    """Run a part in a process of its own and tell what it cost."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=_measured, args=(part.__name__, theirs))
    child.start()
    theirs.close()
    found: dict[str, Any] = ours.recv()
    child.join()
    return found


def _measured(name: str, pipe: Any) -> None:
    wall, cpu = time.perf_counter(), time.process_time()
    rows = globals()[name]()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    status = Path("/proc/self/status").read_text()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    pipe.send({"part": name, "found": rows, "wall": wall, "cpu": cpu, "mb": peak / 1e3})


def show(rows: int, figures: list[dict[str, Any]]) -> None:
    """The figures as a table."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    table = Table(title=f"{rows:,} rows of PostgreSQL, {os.cpu_count()} cores, load {load}")
    for name in ("part", "rows found", "wall s", "rows/s", "CPU s", "rows per CPU s", "peak MB"):
        table.add_column(name, justify="left" if name == "part" else "right")
    for row in figures:
        whole = row["part"] != "asked" and (row["found"] or row["part"] == "compared")
        table.add_row(
            row["part"], f"{row['found']:,}", f"{row['wall']:.2f}", f"{rows / row['wall']:,.0f}" if whole else "",
            f"{row['cpu']:.2f}", f"{rows / row['cpu']:,.0f}" if whole else "", f"{row['mb']:.0f}",
        )  # fmt: skip
    Console(width=120).print(table)


if __name__ == "__main__":
    sys.exit(main())
