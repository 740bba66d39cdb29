"""`tidegate log`: what the prediction log holds, what waits, what was lost; deleting what is old."""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from tasks.core.settings import line_params, read_params

if TYPE_CHECKING:
    from serving.log.settings import LogSettings


def show(line: str | None) -> None:
    """Print a table of the lines, and a sentence on the spool and on losses.

    Raises TidegateError where the database cannot be reached or is newer than this program.
    """
    from serving.log import spool
    from serving.log.database import connected
    from serving.log.rows import when
    from serving.log.settings import load_log
    from serving.log.summary import lost, summaries

    if line is not None:
        line_params(read_params(), line)
    settings = load_log()
    table = Table(title="prediction log", title_justify="left")
    for column in ("line", "rows", "oldest", "newest", "true labels", "labels of unknown requests"):
        table.add_column(column, overflow="fold")
    with connected(settings.database()) as engine:
        for each in summaries(engine, line):
            times = ["" if time is None else f"{when(time):%Y-%m-%d %H:%M}" for time in (each.oldest, each.newest)]
            table.add_row(each.line, f"{each.rows:,}", *times, f"{each.labels:,}", f"{each.strangers:,}")
        losses = lost(engine)
    root = Path(settings.spool)
    console = Console()
    console.print(table)
    segments = spool.waiting(root)
    size = sum(path.stat().st_size for path in segments if path.exists())
    console.print(f"spool: {spool.lag(root):,} record(s) wait, {size / 2**20:.1f} MB of {settings.spool_mb}")
    console.print("lost: " + (", ".join(f"{count:,} {kind}" for kind, count in sorted(losses.items())) or "nothing"))


def file() -> Path | None:
    """The log's database where it is an SQLite file, there or not; None where it is elsewhere."""
    from serving.log.settings import load_log

    return sqlite_file(load_log())


def sqlite_file(settings: "LogSettings") -> Path | None:
    """The same of a log's settings."""
    from sqlalchemy.engine import make_url

    url = make_url(settings.database())
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def purge(line: str | None, dry_run: bool = False) -> int:
    """Delete rows older than `serving.log.keep_days`, or with `dry_run` count them; returns how many predictions."""
    from serving.log import retention
    from serving.log.database import connected
    from serving.log.settings import load_log

    settings = load_log()
    with connected(settings.database()) as engine:
        do = retention.old if dry_run else retention.purge
        return do(engine, settings.keep_days, line)
