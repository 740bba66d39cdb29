"""The inbox that an attempt starts with: the last commit's, and what the champion learned from beyond it."""

import logging
from pathlib import Path

from flows.champion import Assignment, files_at
from flows.dag import Dag
from flows.examine import current_champion
from flows.git import asked
from flows.settings import LineSettings
from tasks import inbox as batches
from tasks.core.errors import TidegateError
from tasks.core.line import Line
from tasks.forgotten import heed
from tasks.sync import alone

log = logging.getLogger("tidegate")


def inbox(line: Line, settings: LineSettings) -> None:
    """Bring the pinned inbox here, with the champion's batches that it lacks, without rows that are to be forgotten.

    The champion may stand on a branch that nobody has merged. Batches are immutable and named by their content, so
    that both inboxes go together.
    """
    dag, pin = Dag(), line.inbox.with_name("inbox.dvc")
    if pin.exists() and not dag.fetch(pin):
        raise TidegateError(f"{pin} pins an inbox that is neither in the cache nor in a remote. Run `dvc push` there.")
    with alone(line):
        brought = _champions(line, pin)
        forgotten = heed(line, settings.text.split_salt)
    if brought or forgotten:
        log.info("%s: %d batch(es) of the champion brought in, %d row(s) forgotten", line.inbox, brought, forgotten)
        dag.add(line.inbox)


def rows_until(line: Line) -> str | None:
    """The newest row of the prediction log in the inbox, ISO 8601; None where there is none."""
    told = [batches.provenance(path) for path in batches.batches(line)]
    return max((known["watermark"] for known in told if known["kind"] == "log" and known["watermark"]), default=None)


def _champions(line: Line, pin: Path) -> int:
    """Copy the batches of the champion's inbox that are not here and were not replaced by some that are."""
    current = current_champion(line)
    if current is None or asked("show", f"{current.commit}:./{pin.as_posix()}") in (None, _text(pin)):
        return 0
    known = [batches.provenance(path) for path in batches.batches(line)]
    here = {path.stem for path in batches.batches(line)}.union(*(told.get("was", ()) for told in known))
    brought = 0
    try:
        with files_at(Assignment(current.version, current.commit), line) as files:
            folder = f"/{line.inbox.as_posix()}"
            for path in files.ls(folder, detail=False):
                if Path(path).suffix == ".parquet" and Path(path).stem not in here:
                    line.inbox.mkdir(parents=True, exist_ok=True)
                    files.get_file(path, str(line.inbox / Path(path).name))
                    brought += 1
    except TidegateError as error:
        log.warning("The champion's inbox is not here, so that this attempt goes without it: %s", error)
    return brought


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None
