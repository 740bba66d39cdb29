"""Commands that watch what serves, and answer its drift."""

from typing import Annotated

import typer

from flows.commands.arguments import LineName, OneLine

commands = typer.Typer(rich_markup_mode=None)


@commands.command()
def monitor(
    line: OneLine,
    window: Annotated[
        str | None, typer.Option(metavar="LENGTH", help="how far back, such as 12h or 1d; default: params")
    ] = None,
    rows: Annotated[int | None, typer.Option(min=1, help="look at the last rows instead, whenever they came")] = None,
) -> None:
    """Look at a line's live traffic: drift, accuracy, a report, an alert. Exit 0: fine; 3: confirmed drift."""
    from flows.observe import monitor_line
    from flows.telling import say

    raise typer.Exit(say(monitor_line(line, window, rows)))


@commands.command()
def alerts(
    line: LineName = None,
    past: Annotated[bool, typer.Option("--all", help="also those that are over, the newest first")] = False,
    test: Annotated[bool, typer.Option("--test", help="send a message to every channel")] = False,
) -> None:
    """Show what is wrong now, who was told and who looks after it. Channels: TIDEGATE_ALERT_URLS, by apprise."""
    from flows import alert_desk

    typer.echo("\n".join(alert_desk.test()) if test else alert_desk.show(line, past))


@commands.command()
def acknowledge(
    alert: Annotated[str, typer.Argument(help="the id of an open alert", show_default=False)],
    by: Annotated[str, typer.Option(metavar="NAME", help="who looks after it; proves it where there is a team.yaml")],
    why: Annotated[str, typer.Option(metavar="TEXT", help="kept with the alert")],
) -> None:
    """Say that somebody looks after an alert; it stays open until it is over."""
    from flows.alert_desk import acknowledge

    seen = acknowledge(alert, by, why)
    typer.echo(f"{seen.title}: {seen.acknowledged.by if seen.acknowledged else by} looks after it.")


@commands.command()
def retrain(
    line: OneLine,
    why: Annotated[str, typer.Option(metavar="TEXT", help="kept with the attempt")] = "asked for by hand",
) -> None:
    """Retrain a line now, in a worktree of its own; then propose or promote, as params.yaml says.

    Cool-down, budget and stop of `lines.LINE.loop` are for attempts that drift starts.
    """
    from flows.server import settle

    settle()
    from flows.retrain import EXIT_CODES, retrain_line

    done = retrain_line(line, why=why)
    typer.echo(f"{done.outcome.replace('_', ' ')}: {done.reason}")
    raise typer.Exit(EXIT_CODES.get(done.outcome, 0))


@commands.command()
def opinion(
    product: Annotated[str, typer.Argument(help="a product of params.yaml", show_default=False)],
) -> None:
    """Take new headlines of a product's feeds, score them, draw its opinion index, and alert where its rules say so.

    Exit 0: nothing new is wrong; 3: an alert was raised; 1: a feed could not be read.
    """
    from flows.opinion.look import look

    done = look(product)
    typer.echo(done)
    raise typer.Exit(done.exit_code)
