"""What `tidegate forget` does about users: what releases keep of their events, and what no name of a user reaches."""

from pathlib import Path

from flows.forget_copies import Report
from flows.store import STORE
from tasks.core.line import Line
from tasks.forgotten import Subject


def kept(line: Line, ids: frozenset[str]) -> frozenset[str]:
    """What releases here keep of rows with these ids: of a user the history, which pages and warm-ups show without id.

    A release names no users: the row that is about one bears the id of an event.
    """
    bundles = [line.folder / "release" / "bundle", *(STORE / line.name).glob("*")]
    return frozenset(text for bundle in bundles for text in _texts(bundle / "reference" / "rows.parquet", ids))


def of_users(line: Line, subject: Subject, report: Report) -> None:
    """Say what the name of a user does not reach; `subject` has the ids of all rows that were found."""
    if not subject.ids:
        report.left.append(
            "releases, whose histories are told by the ids of events: the inbox has no event of this user. Look "
            "whether the id is as the source writes it. If it is, and the events are gone already, run "
            f"`tidegate run {line.name}`, promote the release that it makes, and delete those of before"
        )
    report.left.append(
        f"what models of {line.name} have learned: `tidegate run {line.name}` makes one without these rows; promote "
        "it, and delete those of before (`tidegate cleanup` takes what is beyond keep_releases and was not registered)"
    )
    report.left.append("the prediction log, which is never told who asks: give the --id of requests")


def _texts(path: Path, ids: frozenset[str]) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, columns=["id", "text"])
    except (FileNotFoundError, pa.ArrowInvalid):  # a broken one is no release
        return []
    found: list[str] = table.filter(pa.array(Subject(ids=ids).rows(table), pa.bool_()))["text"].to_pylist()
    return found
