"""The `tidegate` command. Heavy imports stand inside the commands, so that `--help` is instant."""

import logging
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from tasks.core.errors import TidegateError, disk_full
from tasks.core.quiet import silence

app = typer.Typer(
    help="A production line for text models: real text in, a gated ONNX release out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog="Exit codes: 0 done, 1 failed, 2 wrong settings or arguments, 3 a verdict rejects, 130 interrupted.",
)

LineName = Annotated[str | None, typer.Argument(help="a line of params.yaml; default: all", show_default=False)]
OneLine = Annotated[str, typer.Argument(help="a line of params.yaml", show_default=False)]


@app.callback()
def _project(context: typer.Context) -> None:
    """Work in the project's folder, wherever below it the command was given."""
    here = context.obj = Path.cwd()
    os.chdir(next((folder for folder in (here, *here.parents) if (folder / "dvc.yaml").exists()), here))


@app.command()
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


@app.command()
def check() -> None:
    """Validate params.yaml and what it names: all errors of all lines at once. Runs nothing."""
    from flows.settings import load, load_behaviour

    lines = load()
    load_behaviour(lines)
    for name, settings in lines.items():
        typer.echo(f"{name}: {settings.kind}, {len(settings.sources)} source(s): all settings are valid")


@app.command()
def sync(line: LineName = None) -> None:
    """Take new rows of the sources into data/<line>/inbox/."""
    from flows.dag import Dag
    from flows.settings import load
    from flows.world import bring_in
    from tasks.core.line import Line

    for name, settings in load([line] if line else None).items():
        batches = bring_in(Line(name, settings.kind), settings, Dag())
        typer.echo(f"{name}: " + (", ".join(map(str, batches)) if batches else "no new rows"))


@app.command()
def run(
    line: LineName = None,
    until: Annotated[str | None, typer.Option(metavar="STAGE", help="the last stage to bring up to date")] = None,
    force: Annotated[
        list[str] | None, typer.Option(metavar="STAGE", help="run this stage though nothing changed")
    ] = None,
) -> None:
    """Take lines from their sources to a release: every stage that something changed for, and no other."""
    from flows.run import run_lines

    raise typer.Exit(run_lines([line] if line else None, until, force or []))


@app.command()
def status(line: LineName = None) -> None:
    """Show each stage of each line: up to date or why not, when it was made, its main figure."""
    from flows.status import show

    show([line] if line else None)


@app.command()
def gate(line: OneLine) -> None:
    """Print the verdicts of the quality gate and the release gate as tables; exit 3 where one rejects."""
    from flows.gate import show

    raise typer.Exit(show(line))


@app.command()
def compare(
    context: typer.Context,
    line: OneLine,
    challenger: Annotated[
        str | None, typer.Argument(metavar="A", help="a release's id or folder; default: the newest")
    ] = None,
    champion: Annotated[
        str | None, typer.Argument(metavar="B", help="another's; default: the one assigned to production")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="write the page here as well")] = None,
    variant: Annotated[str | None, typer.Option(help="fp32 or int8; default: as params.yaml says")] = None,
) -> None:
    """Hold release A against B on test rows that neither has seen. Exit 0: A may take B's place; 3: it may not."""
    from flows.compare import compare_releases

    page = context.obj / html if html else None
    raise typer.Exit(compare_releases(line, challenger, champion, page, variant))


@app.command()
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


@app.command()
def doctor() -> None:
    """Look for what is wrong with this machine or clone, and say how to mend it."""
    from flows.doctor import examine

    raise typer.Exit(examine())


@app.command()
def predict(
    context: typer.Context,
    line: OneLine,
    file: Annotated[Path, typer.Argument(help="csv, tsv, jsonl or parquet with a column of texts", show_default=False)],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="default: FILE with .scored before its ending")
    ] = None,
    release: Annotated[str | None, typer.Option(help="a release's id or folder; default: the newest")] = None,
    text: Annotated[str, typer.Option(help="the column of texts")] = "text",
) -> None:
    """Label a file of texts with a release, in bounded memory; an interrupted run goes on where it was."""
    from flows.store import find
    from serving.batch import predict_file

    source = context.obj / file
    target = context.obj / output if output else source.with_name(f"{source.stem}.scored{source.suffix}")
    summary = predict_file(find(line, release), source, target, text_column=text)
    typer.echo(summary)


def main() -> None:
    """Run the command; a user's mistake is a message and an exit code, never a traceback."""
    silence()
    log = logging.getLogger("tidegate")
    log.addHandler(logging.StreamHandler())
    log.setLevel(logging.INFO)
    log.propagate = False  # Prefect has a handler at the root
    try:
        app()
    except TidegateError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        full = disk_full(error)
        if full is None:
            raise
        typer.echo(f"error: {full}", err=True)
        sys.exit(full.exit_code)


if __name__ == "__main__":
    main()
