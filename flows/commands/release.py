"""Commands about releases: who may let one serve, and which one does."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from flows.commands.arguments import By, OneLine, ReleaseName, Why

commands = typer.Typer(rich_markup_mode=None)

team = typer.Typer(rich_markup_mode=None)
commands.add_typer(team, name="team")


@commands.command()
def compare(
    context: typer.Context,
    line: OneLine,
    challenger: Annotated[
        str | None, typer.Argument(metavar="A", help="a release's id, version or folder; default: the newest")
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


@commands.command()
def releases(line: OneLine) -> None:
    """Show the releases of a line: version, verdicts, main figure, against the champion, which one serves."""
    from flows.releases import show

    show(line)


@commands.command()
def promote(
    line: OneLine,
    by: By,
    why: Why,
    release: ReleaseName = None,
    bump: Annotated[
        Literal["patch", "minor", "major"] | None, typer.Option(help="what is raised of the version; default: params")
    ] = None,
) -> None:
    """Make a release champion and let it serve, where gates, comparison, approver and a trial say yes."""
    from flows.promote import promote

    typer.echo(promote(line, release, by, why, bump))


@commands.command()
def rollback(
    line: OneLine,
    by: By,
    why: Why,
    to: Annotated[str | None, typer.Option(metavar="VERSION", help="default: the champion before")] = None,
) -> None:
    """Let an earlier champion serve again."""
    from flows.promote import rollback

    typer.echo(rollback(line, to, by, why))


@commands.command()
def shadow(
    line: OneLine,
    by: By,
    release: ReleaseName = None,
    share: Annotated[float, typer.Option(help="of the requests, at random")] = 0.1,
    end: Annotated[bool, typer.Option("--end", help="take the shadow away")] = False,
) -> None:
    """Let a release see a share of the traffic: its answers are logged, never returned."""
    from flows import beside

    typer.echo(beside.end("shadow", line, by) if end else beside.stand("shadow", line, release, share, by))


@commands.command()
def canary(
    line: OneLine,
    by: By,
    release: ReleaseName = None,
    share: Annotated[float, typer.Option(help="of the callers: a caller always meets the same release")] = 0.05,
    max_disagreement: Annotated[
        float | None, typer.Option(help="it ends when surely more of its texts get another label than the champion's")
    ] = None,
    max_errors: Annotated[int | None, typer.Option(help="it ends after more failed requests than this")] = None,
    end: Annotated[bool, typer.Option("--end", help="take the canary away")] = False,
) -> None:
    """Let a release answer a share of the callers, where everything that a promotion asks for says yes."""
    from flows import beside

    if end:
        typer.echo(beside.end("canary", line, by))
        return
    limits = beside.Limits(max_disagreement, max_errors)
    typer.echo(beside.stand("canary", line, release, share, by, limits))


@commands.command()
def propose(line: OneLine, by: By, release: ReleaseName = None) -> None:
    """Propose a release to the approvers, or propose it again."""
    from flows.promote import propose

    proposal = propose(line, release, by)
    told = f"Release {proposal.release} of {line} waits for an approver until {proposal.expires}." if proposal else ""
    typer.echo(told or f"This release is champion of {line} already.")


@commands.command()
def reject(line: OneLine, by: By, why: Why, release: ReleaseName = None) -> None:
    """Decline a release that was proposed."""
    from flows.promote import reject

    typer.echo(reject(line, release, by, why))


@team.callback(invoke_without_command=True)
def members(context: typer.Context) -> None:
    """Show who is in team.yaml, and their roles; `tidegate team key NAME` makes a key."""
    if context.invoked_subcommand is None:
        from flows.team import show

        show()


@team.command("key")
def team_key(name: Annotated[str, typer.Argument(help="a person or an application", show_default=False)]) -> None:
    """Make an API key: it is printed once, and kept nowhere."""
    from flows.team import say_new_key

    say_new_key(name)
