"""Commands that answer, and about what was answered."""

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from flows.commands.arguments import By, LineName, OneLine

commands = typer.Typer(rich_markup_mode=None)

answers = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="What a line of kind retrieve can answer.")
commands.add_typer(answers, name="answers")


@commands.command()
def serve(
    host: Annotated[str | None, typer.Option(help="where to listen; other than loopback only with a team.yaml")] = None,
    port: Annotated[int | None, typer.Option(help="0 lets the system choose")] = None,
    folder: Annotated[str | None, typer.Option(help="the serving folder: a path or any fsspec URL")] = None,
    line: Annotated[list[str] | None, typer.Option(metavar="LINE", help="serve this alone; may be repeated")] = None,
    log: Annotated[bool, typer.Option("--log/--no-log", help="keep a prediction log")] = True,
    keyless: Annotated[bool, typer.Option("--keyless", help="ignore team.yaml; loopback only")] = False,
    supervised: Annotated[
        bool, typer.Option("--supervised", help="restart on death, and on SIGHUP without a gap")
    ] = False,
) -> None:
    """Serve the lines over HTTP until SIGTERM or Ctrl-C; what is in flight is finished. Settings: block `serving`."""
    from serving.__main__ import FORMAT, run
    from serving.options import Options
    from serving.settings import load_serving

    for handler in logging.getLogger("tidegate").handlers:
        handler.setFormatter(logging.Formatter(FORMAT))  # a service's log is read long after
    options = Options(load_serving(), tuple(line or ()), log, not keyless)
    raise typer.Exit(run(options.having(host=host, port=port, folder=folder), supervised))


@commands.command()
def predict(
    context: typer.Context,
    line: OneLine,
    file: Annotated[Path, typer.Argument(help="csv, tsv, jsonl or parquet with a column of texts", show_default=False)],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="default: FILE with .scored before its ending")
    ] = None,
    release: Annotated[str | None, typer.Option(help="an id, a version or a folder; default: the newest")] = None,
    text: Annotated[str, typer.Option(help="the column of texts")] = "text",
) -> None:
    """Label a file of texts with a release, in bounded memory; an interrupted run goes on where it was."""
    from flows.registry import find
    from serving.batch import predict_file
    from tasks.core.line import Line

    source = context.obj / file
    target = context.obj / output if output else source.with_name(f"{source.stem}.scored{source.suffix}")
    summary = predict_file(find(Line(line), release), source, target, text_column=text)
    typer.echo(summary)


@commands.command()
def log(
    line: LineName = None,
    purge: Annotated[
        bool, typer.Option("--purge", help="first delete what is older than serving.log.keep_days")
    ] = False,
) -> None:
    """Show what the prediction log holds, what waits in the spool and what was lost."""
    from flows import log as prediction_log

    if purge:
        typer.echo(f"{prediction_log.purge(line):,} old row(s) deleted")
    prediction_log.show(line)


@commands.command()
def forget(
    context: typer.Context,
    line: Annotated[str, typer.Argument(help="a line or a product of params.yaml", show_default=False)],
    ids: Annotated[list[str] | None, typer.Option("--id", help="a request's id: its rows of the log")] = None,
    row_ids: Annotated[list[str] | None, typer.Option("--row-id", help="the id of a row of the inbox")] = None,
    user: Annotated[
        list[str] | None, typer.Option(help="whose rows go (column `group`): the user's id as the source writes it")
    ] = None,
    user_file: Annotated[
        list[Path] | None, typer.Option(help="a file with one user's id, where that is a name or an address")
    ] = None,
    text_file: Annotated[list[Path] | None, typer.Option(help="a file with one text, as it was sent")] = None,
    text_stdin: Annotated[bool, typer.Option("--text-stdin", help="read one text from the standard input")] = False,
) -> None:
    """Erase a person's texts or events from all that is kept here of a line or product, and say what is not reached.

    A text never stands on the command line: the shell would remember it.
    """
    from flows.forget import forget as erase
    from flows.forget import read_texts

    texts = read_texts([context.obj / file for file in text_file or []], sys.stdin.buffer if text_stdin else None)
    users = [*(user or []), *read_texts([context.obj / file for file in user_file or []], None)]
    typer.echo(erase(line, ids or [], row_ids or [], texts, users))


@commands.command()
def chat(
    product: Annotated[str, typer.Argument(help="a product of kind answer of params.yaml", show_default=False)],
    host: Annotated[str | None, typer.Option(help="where to listen; other than loopback only with a team.yaml")] = None,
    port: Annotated[int | None, typer.Option(help="0 lets the system choose")] = None,
    service: Annotated[
        str | None, typer.Option(metavar="URL", help="default: as `tidegate up` or `serving` has it")
    ] = None,
) -> None:
    """Serve the page on which customers ask, and staff answer what is handed over. Settings: block `chat`."""
    from flows.chat.__main__ import serve

    raise typer.Exit(serve(product, host, port, service))


@commands.command()
def recommend(
    line: OneLine,
    release: Annotated[
        str | None, typer.Option(help="an id, a version or a folder; default: the champion, else the newest")
    ] = None,
    host: Annotated[str | None, typer.Option(help="where to listen; other than loopback only with a team.yaml")] = None,
    port: Annotated[int | None, typer.Option(help="0 lets the system choose")] = None,
) -> None:
    """Serve the page on which staff see what a line recommends to a user, and why. Settings: block `recommend`."""
    from flows.recommend.__main__ import serve

    raise typer.Exit(serve(line, release, host, port))


@answers.command("list")
def answers_list(
    line: OneLine,
    answer: Annotated[str | None, typer.Option(metavar="NAME", help="the texts of this answer, with their ids")] = None,
) -> None:
    """Show the answers that serve now, or the texts that lead to one of them."""
    from flows.answers import show

    typer.echo(show(line, answer))


@answers.command("add")
def answers_add(
    context: typer.Context,
    line: OneLine,
    file: Annotated[Path, typer.Argument(help="csv, tsv, jsonl or parquet with columns text and label")],
    by: By,
    ids: Annotated[
        bool, typer.Option("--ids", help="the file has a column id as well: whose entries to replace")
    ] = False,
) -> None:
    """Add or replace texts and the answers they lead to, without training: the service takes them up within seconds."""
    from flows.answers import add

    typer.echo(add(line, context.obj / file, by, ids))


@answers.command("withdraw")
def answers_withdraw(
    line: OneLine,
    names: Annotated[list[str], typer.Argument(metavar="ID...", help="answers, or ids of single texts")],
    by: By,
) -> None:
    """Take answers or single texts out, without training: the service takes it up within seconds."""
    from flows.answers import withdraw

    typer.echo(withdraw(line, names, by))
