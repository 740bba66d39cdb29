"""Commands about labels: what people, functions and models say of texts."""

from pathlib import Path
from typing import Annotated

import typer

from flows.commands.arguments import OneLine
from tasks.core.errors import SettingsError

commands = typer.Typer(rich_markup_mode=None)

studio = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Exchange with Label Studio, in its JSON.")
commands.add_typer(studio, name="label-studio")


@commands.command()
def queue(
    context: typer.Context,
    line: OneLine,
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="FILE...", help="csv, tsv, jsonl or parquet with a column of texts")
    ] = None,
    rows: Annotated[int | None, typer.Option(min=1, help="how many at most; default: annotate.rows")] = None,
    text: Annotated[str, typer.Option(help="the column of texts")] = "text",
    wanted: Annotated[bool, typer.Option("--wanted", help="take texts of the prediction log")] = False,
    suspects: Annotated[
        Path | None, typer.Option(help="a file of likely label errors, for the adjudicators (`tidegate suspects`)")
    ] = None,
) -> None:
    """Put texts into the queue of a line's annotators, those first whose labels teach most."""
    from flows import queue

    if sum((bool(files), wanted, suspects is not None)) != 1:
        raise SettingsError("Name files, or --wanted, or --suspects FILE: one of these.")
    if files:
        typer.echo(queue.add_files(line, [context.obj / file for file in files], rows, text))
    elif suspects:
        typer.echo(queue.add_suspects(line, context.obj / suspects))
    else:
        typer.echo(queue.add_wanted(line, rows))


@commands.command()
def annotate(
    host: Annotated[str | None, typer.Option(help="where to listen; other than loopback only with a team.yaml")] = None,
    port: Annotated[int | None, typer.Option(help="0 lets the system choose")] = None,
) -> None:
    """Serve the page on which a team labels texts, until SIGTERM or Ctrl-C. Settings: block `annotate`."""
    from flows.annotate.__main__ import serve

    raise typer.Exit(serve(host, port))


@studio.command("export")
def to_studio(
    context: typer.Context,
    line: OneLine,
    output: Annotated[Path, typer.Option("--output", "-o", help="a .json file; an .xml beside it is the interface")],
    suggestions: Annotated[
        bool, typer.Option("--suggestions", help="with the champion's labels, which people tend to follow")
    ] = False,
    everything: Annotated[bool, typer.Option("--all", help="also items that need nobody any more")] = False,
) -> None:
    """Write the queue as tasks of Label Studio, and the labelling interface."""
    from flows.label_studio import export

    typer.echo(export(line, context.obj / output, suggestions, everything))


@studio.command("import")
def from_studio(
    context: typer.Context,
    line: OneLine,
    file: Annotated[Path, typer.Argument(help="what Label Studio exports as JSON", show_default=False)],
    person: Annotated[
        list[str] | None,
        typer.Option(metavar="ID=EMAIL", help="whose a user's number is, where the export has numbers only"),
    ] = None,
) -> None:
    """Take over what people said in Label Studio; a second time nothing is taken twice."""
    from flows.label_studio import take

    typer.echo(take(line, context.obj / file, person or []))


@commands.command("label-report")
def label_report(
    context: typer.Context,
    line: OneLine,
    html: Annotated[Path | None, typer.Option(help="the page; default: .tidegate/reports/LINE-labels.html")] = None,
    suspects: Annotated[bool, typer.Option(help="look for labels that are likely wrong")] = True,
) -> None:
    """Report on the team that labels: agreement, speed, workload, quality per person, likely errors."""
    from flows.label_report import report

    typer.echo(report(line, context.obj / html if html else None, suspects))


@commands.command()
def suspects(
    context: typer.Context,
    line: OneLine,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="csv or jsonl; default: .tidegate/suspects/LINE.csv")
    ] = None,
    rows: Annotated[int, typer.Option(min=1, help="how many")] = 200,
    queue: Annotated[bool, typer.Option("--queue", help="put them into the adjudicators' queue")] = False,
) -> None:
    """Rank labelled rows by how likely their label is wrong, by models that never saw the row."""
    from flows.suspects import export

    typer.echo(export(line, context.obj / output if output else None, rows, queue))


@commands.command()
def pseudo(
    context: typer.Context,
    line: OneLine,
    file: Annotated[Path, typer.Argument(help="csv, tsv, jsonl or parquet with a column of texts", show_default=False)],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="jsonl; default: .tidegate/pseudo/LINE.jsonl")
    ] = None,
    rows: Annotated[
        int | None, typer.Option(min=1, help="at most, shared evenly by the labels; default: as the scarcest label has")
    ] = None,
    confidence: Annotated[float, typer.Option(min=0, max=1, help="the least calibrated probability")] = 0.95,
    text: Annotated[str, typer.Option(help="the column of texts")] = "text",
) -> None:
    """Let the champion label texts that nobody labelled, where it is sure, as rows to train on, never to judge by."""
    from flows.pseudo import label_file

    target = context.obj / output if output else None
    typer.echo(label_file(line, context.obj / file, target, rows, confidence, text))


@commands.command()
def wanted(
    context: typer.Context,
    line: OneLine,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="csv or jsonl; default: .tidegate/wanted/LINE.csv")
    ] = None,
    rows: Annotated[int, typer.Option(min=1, help="how many")] = 200,
) -> None:
    """Export the rows of live traffic whose labels would tell most, for people to label."""
    from flows.wanted import export

    typer.echo(export(line, context.obj / output if output else None, rows))
