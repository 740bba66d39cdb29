"""The `tidegate` command. Heavy imports stand inside the commands, so that `--help` is instant."""

import logging
import os
import sys
from pathlib import Path

import typer

from flows.commands import labels, line, machine, release, service, watch
from tasks.core.errors import TidegateError, disk_full
from tasks.core.line import STATE
from tasks.core.quiet import silence

UP = STATE / "up.json"

app = typer.Typer(
    help="A production line for text models: real text in, a gated ONNX release out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog="Exit codes: 0 done, 1 failed, 2 wrong settings or arguments, 3 a verdict rejects, 130 interrupted.",
)

for group in (line, release, service, watch, labels, machine):
    app.add_typer(group.commands)


@app.callback()
def _project(context: typer.Context) -> None:
    """Work in the project's folder, wherever below it the command was given, and with what `tidegate up` runs there."""
    here = context.obj = Path.cwd()
    os.chdir(next((folder for folder in (here, *here.parents) if (folder / "dvc.yaml").exists()), here))
    if UP.exists():
        from flows.running import join

        join()


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
