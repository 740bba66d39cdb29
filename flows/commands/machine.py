"""Commands about everything that runs on this machine and what it keeps."""

import logging
from pathlib import Path
from typing import Annotated

import typer

commands = typer.Typer(rich_markup_mode=None)


@commands.command()
def up(
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="server, worker, service, ops, annotate, chat or watch; may be repeated"),
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="return when everything answers; it goes on running")
    ] = False,
) -> None:
    """Start everything for this machine: Prefect's server and worker, service, pages; until Ctrl-C.

    Exit code 0 when `tidegate down` ended it, 130 on Ctrl-C. Where PREFECT_API_URL names a server, none is started.
    """
    from flows import up as everything

    if detach:
        from flows.ps import show

        everything.up_detached(only or [])
        raise typer.Exit(show())
    for handler in logging.getLogger("tidegate").handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    raise typer.Exit(everything.up(only or []))


@commands.command()
def down() -> None:
    """End what `tidegate up` runs here; what is in flight is finished or taken back."""
    from flows.up import down

    typer.echo(down())


@commands.command()
def ps() -> None:
    """Show what `tidegate up` runs here, and whether it answers; exit 1 where something does not, or nothing runs."""
    from flows.ps import show

    raise typer.Exit(show())


@commands.command()
def ops(
    host: Annotated[str | None, typer.Option(help="where to listen; other than loopback only with a team.yaml")] = None,
    port: Annotated[int | None, typer.Option(help="0 lets the system choose")] = None,
) -> None:
    """Serve the page that shows whether each model still works, until SIGTERM or Ctrl-C. Settings: block `ops`."""
    from flows.ops.__main__ import serve

    raise typer.Exit(serve(host, port))


@commands.command()
def demo(
    line: Annotated[str, typer.Argument(help="a line of params.yaml")] = "sentiment",
    reduced: Annotated[bool, typer.Option("--reduced", help="fewer rows: a check that all of it works")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="do not leave it running when it is over")] = False,
    end: Annotated[bool, typer.Option("--end", help="end what an earlier one left running, and play nothing")] = False,
) -> None:
    """Play the whole loop on real texts, in a project of its own: drift, alarm, retraining, promotion, recovery.

    Exit code 0 only if all of it happened, else 1. It then stays up to be looked at.
    """
    from flows.demo import play

    if end:
        play.stop(line)
        raise typer.Exit
    raise typer.Exit(play.play(line, reduced, stop))


@commands.command()
def cleanup(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would be deleted, and delete nothing")] = False,
) -> None:
    """Delete what grows and nobody needs: old rows, reports, releases, runs, caches. Never what is registered."""
    from flows.tidy import tidy

    found = tidy(dry_run)
    typer.echo(str(found) or "Nothing to delete.")
    raise typer.Exit(1 if found.failed else 0)


@commands.command()
def backup(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="a new .tar, .tar.gz or .tgz", show_default=False)],
    cache: Annotated[bool, typer.Option("--cache", help="with DVC's cache, where there is no DVC remote")] = False,
) -> None:
    """Keep what git does not hold and nothing remakes: releases, log, observations, approvals, what serves."""
    from flows.backup import backup

    target = context.obj / file
    made = backup(target, cache)
    typer.echo(f"{target}: {made}")


@commands.command()
def restore(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="what `tidegate backup` wrote", show_default=False)],
    force: Annotated[bool, typer.Option("--force", help="overwrite files that are here and differ")] = False,
) -> None:
    """Check a backup, then put its files in their places. Stop the service first; tags come with `git fetch --tags`."""
    from flows.restore import restore

    typer.echo(f"Restored: {restore(context.obj / file, force)}")
