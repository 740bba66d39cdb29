"""`tidegate label-report`: how a line's team labels, as a page."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.settings import LineSettings, labels, load
from tasks.core.errors import DataError
from tasks.core.files import read_json, read_parquet, write_text
from tasks.core.line import STATE, Line
from tasks.encoders import locate
from tasks.team import Team, load_team

if TYPE_CHECKING:
    from tasks.crowd.team_report import TeamReport

FOLDER = STATE / "reports"
SUSPECTS = 50


def report(name: str, html: Path | None = None, suspects: bool = True) -> str:
    """Write the page of a line's label report; what stands in it, in a few sentences.

    Reads ingest/rows.parquet (rows with votes), the queue of `tidegate annotate`, label/labeled.parquet for suspects,
    and team.yaml, which turns ids of people into names. Raises DataError where nobody has labelled anything.
    """
    from tasks.annotation.journal import Journal
    from tasks.crowd.gather import gather
    from tasks.crowd.team_page import page
    from tasks.crowd.team_report import describe

    settings = load([name])[name]
    line, team = Line(name, settings.kind), load_team()
    state = Journal.of(line).state()
    found = gather(_rows(line, settings), state, labels(name, settings), settings.label.rename)
    if not len(found.votes):
        raise DataError(
            f"{name} has no votes: neither rows with votes after `tidegate run {name} --until ingest`, nor answers in "
            f"its queue. `tidegate annotate {name}` lets people label."
        )
    told = describe(found, settings.label.votes, _capacity(team, settings), settings.label.bootstrap_samples)
    rows, why = _suspects(line, settings) if suspects else ([], "Not asked for.")
    target = html or FOLDER / f"{name}-labels.html"
    read = f"Rows with votes, and answers of the queue, of the line {name}."
    write_text(target, page(f"{name}: label report", read, told, _names(team), rows, why))
    return _said(told, target)


def _rows(line: Line, settings: LineSettings) -> Iterator[dict[str, Any]]:
    """Rows with votes that ingest took from elsewhere than the queue, which is read itself."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    path = line.file("ingest", "rows.parquet")
    if not path.exists():
        return
    queues = {source.name for source in settings.sources if source.kind == "answers"}
    with pq.ParquetFile(path) as file:
        if "votes" not in file.schema_arrow.names:
            return
        for batch in file.iter_batches(columns=["id", "text", "source", "label", "votes"]):
            voted = batch.filter(pc.is_valid(batch["votes"])).to_pylist()
            yield from (row for row in voted if row["source"] not in queues)


def _suspects(line: Line, settings: LineSettings) -> tuple[list[dict[str, Any]], str]:
    """The rows whose label is likeliest wrong, or why there are none to show."""
    from flows.suspects import find

    path = line.file("label", "labeled.parquet")
    if not path.exists():
        return [], f"Labels are looked at once the stage label ran: tidegate run {line.name} --until label."
    frame = read_parquet(path, ["id", "text", "source", "label", "split_key", "decided_by"])
    try:
        found = find(
            frame, read_json(line.file("label", "labels.json")), locate(settings.train.base_model),
            settings.train.max_length,
        )  # fmt: skip
    except DataError as error:
        return [], str(error)
    shown = found.head(SUSPECTS)[["text", "given", "suggested", "probability"]]
    rows = [dict(zip(shown.columns, row, strict=True)) for row in shown.itertuples(index=False)]
    return rows, "No label is beaten by another."


def _ids(team: Team | None) -> dict[str, Any]:
    """The team's people by the id under which their answers are kept."""
    from tasks.annotation.events import person_id

    members = team.members if team else ()
    return {person_id(member.name, team): member for member in members if member.kind == "person"}


def _names(team: Team | None) -> dict[str, str]:
    return {who: member.name for who, member in _ids(team).items()}


def _capacity(team: Team | None, settings: LineSettings) -> dict[str, int | None]:
    usual = settings.annotate.capacity_per_week
    return {who: usual if member.capacity_per_week is None else member.capacity_per_week
            for who, member in _ids(team).items()}  # fmt: skip


def _said(told: "TeamReport", target: Path) -> str:
    counts = told.counts
    odd = [one.person for one in told.people if one.manner in ("at random", "against the others")]
    hasty = [one.person for one in told.speeds if one.hasty]
    alpha = f"alpha {told.alpha['value']:.2f}" if told.alpha else "no agreement to be told"
    said = f"{counts['votes']:,} votes of {counts['people']} people on {counts['texts']:,} texts, {alpha}"
    said += f"; {len(odd)} answer at random or against the others, {len(hasty)} click fast. Page: {target}"
    return said
