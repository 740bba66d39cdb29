"""Commands that make a line and take it from its sources to a release."""

from pathlib import Path
from typing import Annotated

import typer

from flows.commands.arguments import LineName, OneLine

commands = typer.Typer(rich_markup_mode=None)

lines = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="New lines.")
commands.add_typer(lines, name="line")


@commands.command()
def init(
    context: typer.Context,
    remote: Annotated[
        str | None, typer.Option(help="where `dvc push` keeps data and models: a folder or s3://bucket/path")
    ] = None,
) -> None:
    """Make this clone ready: DVC, and a remote that is written to .dvc/config.local alone."""
    from flows.setup import prepare

    for said in prepare(remote, context.obj):
        typer.echo(said)


@commands.command()
def check() -> None:
    """Validate params.yaml, what it names, and team.yaml: all errors of a file at once. Runs nothing."""
    from flows.settings import load, load_behaviour
    from tasks.team import load_team

    lines = load()
    load_behaviour(lines)
    load_team()
    for name, settings in lines.items():
        typer.echo(f"{name}: {settings.kind}, {len(settings.sources)} source(s): all settings are valid")
    typer.echo("serving: all settings are valid")


@commands.command()
def sync(line: LineName = None) -> None:
    """Take new rows of the sources into data/<line>/inbox/."""
    from flows.dag import Dag
    from flows.settings import load
    from flows.world import bring_in
    from tasks.core.line import Line

    for name, settings in load([line] if line else None).items():
        batches = bring_in(Line(name, settings.kind), settings, Dag())
        typer.echo(f"{name}: " + (", ".join(map(str, batches)) if batches else "no new rows"))


@commands.command()
def run(
    line: LineName = None,
    until: Annotated[str | None, typer.Option(metavar="STAGE", help="the last stage to bring up to date")] = None,
    force: Annotated[
        list[str] | None, typer.Option(metavar="STAGE", help="run this stage though nothing changed")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="every line of params.yaml")] = False,
) -> None:
    """Take lines from their sources to a release: every stage that something changed for, and no other.

    Without a line: those that params.yaml names as `default_lines`, or all where it names none.
    """
    from flows.run import run_lines
    from flows.settings import default_lines

    named = [line] if line else None if every else default_lines()
    raise typer.Exit(run_lines(named, until, force or []))


@lines.command("add")
def add_line(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="lower-case letters, digits and _", show_default=False)],
    source: Annotated[
        str | None, typer.Option(help="its rows, or events for rank: a path, a glob or an address as s3://…")
    ] = None,
    labels: Annotated[
        str, typer.Option(help="classify: all labels, as in negative,neutral,positive; other kinds have their data's")
    ] = "",
    text: Annotated[
        str | None,
        typer.Option(
            "--text", "--question", help="the column of texts, or of questions for retrieve; default: text, or question"
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(
            "--label",
            "--answer",
            help="the column of labels, of items for rank, or of answers for retrieve; default: label, item, or answer",
        ),
    ] = None,
    row_id: Annotated[str | None, typer.Option("--id", help="the column of ids; default: told by the row")] = None,
    kind: Annotated[
        str, typer.Option(help="classify, retrieve to find answers, rank to recommend items to users")
    ] = "classify",
    block: Annotated[
        Path | None, typer.Option(help="take the line's whole block from this YAML file, as examples/finance.yaml")
    ] = None,
    user: Annotated[str | None, typer.Option(help="rank: the column of users; default: user")] = None,
    time: Annotated[str | None, typer.Option(help="rank: the column of times; default: time")] = None,
    rating: Annotated[str | None, typer.Option(help="rank: the column of ratings; default: nothing is rated")] = None,
    scale: Annotated[str | None, typer.Option(help="rank: lowest and highest rating; default: 1,5")] = None,
    items: Annotated[
        str | None,
        typer.Option(help="rank: a file of all items; its columns of items and texts are named as --source's"),
    ] = None,
) -> None:
    """Write what a new line needs: its block in params.yaml, its expectations, its places in dvc.yaml and prefect.yaml.

    Then `tidegate run NAME`. Nothing is written where something is wrong.
    """
    from flows.line_add import add
    from flows.line_template import COLUMNS, Wanted, scale_of

    named = {"text": text, "label": label, "group": user, "created_at": time, "ratings": rating, "id": row_id}
    columns = {} if block else dict(COLUMNS.get(kind, {}))  # a block has its own
    columns |= {ours: theirs for ours, theirs in named.items() if theirs}
    wanted = Wanted(
        name,
        kind,
        source,
        labels=tuple(one.strip() for one in labels.split(",") if one.strip()),
        columns=tuple(columns.items()),
        block=context.obj / block if block else None,
        items=items,
        scale=scale_of(scale) if scale else None,
    )
    written = add(wanted)
    typer.echo(f"{name} was added: {', '.join(map(str, written))}. `tidegate run {name}` takes it to a release.")


@commands.command()
def status(line: LineName = None) -> None:
    """Show each stage of each line: up to date or why not, when it was made, its main figure."""
    from flows.status import show

    show([line] if line else None)


@commands.command()
def gate(line: OneLine) -> None:
    """Print the verdicts of the quality gate and the release gate as tables; exit 3 where one rejects."""
    from flows.gate import show

    raise typer.Exit(show(line))


@commands.command()
def profile(
    context: typer.Context,
    line: OneLine,
    html: Annotated[Path | None, typer.Option(help="the page; default: .tidegate/profiles/LINE.html")] = None,
    propose: Annotated[
        bool, typer.Option("--propose", help="write data/LINE/expectations.proposed.yaml, to be reviewed")
    ] = False,
    against: Annotated[
        str | None,
        typer.Option(help="a git revision or a release; default: the last commit if its rows differ, else a release"),
    ] = None,
    sample: Annotated[int, typer.Option(min=100, help="rows that are looked at closely")] = 20_000,
) -> None:
    """Describe a line's rows as a page: lengths, languages, labels, copies, drift; and propose its expectations."""
    from flows.profile import profile_line

    profile_line(line, context.obj / html if html else None, propose, against, sample)


@commands.command()
def doctor() -> None:
    """Look for what is wrong with this machine or clone, and say how to mend it."""
    from flows.doctor import examine

    raise typer.Exit(examine())
