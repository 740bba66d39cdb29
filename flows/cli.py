"""The `tidegate` command. Heavy imports stand inside the commands, so that `--help` is instant."""

import logging
import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from tasks.core.errors import SettingsError, TidegateError, disk_full
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

team = typer.Typer(rich_markup_mode=None)
app.add_typer(team, name="team")
studio = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Exchange with Label Studio, in its JSON.")
app.add_typer(studio, name="label-studio")
answers = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="What a line of kind retrieve can answer.")
app.add_typer(answers, name="answers")

LineName = Annotated[str | None, typer.Argument(help="a line of params.yaml; default: all", show_default=False)]
ReleaseName = Annotated[
    str | None,
    typer.Argument(metavar="[RELEASE]", help="an id, the beginning of one, a version or a folder; default: the newest"),
]
By = Annotated[str, typer.Option(metavar="NAME", help="who decides; proves it where there is a team.yaml")]
Why = Annotated[str, typer.Option(metavar="TEXT", help="kept with the version")]
OneLine = Annotated[str, typer.Argument(help="a line of params.yaml", show_default=False)]


@app.callback()
def _project(context: typer.Context) -> None:
    """Work in the project's folder, wherever below it the command was given, and with what `tidegate up` runs there."""
    here = context.obj = Path.cwd()
    os.chdir(next((folder for folder in (here, *here.parents) if (folder / "dvc.yaml").exists()), here))
    if UP.exists():
        from flows.running import join

        join()


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
    """Validate params.yaml, what it names, and team.yaml: all errors of a file at once. Runs nothing."""
    from flows.settings import load, load_behaviour
    from tasks.team import load_team

    lines = load()
    load_behaviour(lines)
    load_team()
    for name, settings in lines.items():
        typer.echo(f"{name}: {settings.kind}, {len(settings.sources)} source(s): all settings are valid")
    typer.echo("serving: all settings are valid")


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
    every: Annotated[bool, typer.Option("--all", help="every line of params.yaml")] = False,
) -> None:
    """Take lines from their sources to a release: every stage that something changed for, and no other.

    Without a line: those that params.yaml names as `default_lines`, or all where it names none.
    """
    from flows.run import run_lines
    from flows.settings import default_lines

    named = [line] if line else None if every else default_lines()
    raise typer.Exit(run_lines(named, until, force or []))


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


@app.command()
def releases(line: OneLine) -> None:
    """Show the releases of a line: version, verdicts, main figure, against the champion, which one serves."""
    from flows.releases import show

    show(line)


@app.command()
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


@app.command()
def rollback(
    line: OneLine,
    by: By,
    why: Why,
    to: Annotated[str | None, typer.Option(metavar="VERSION", help="default: the champion before")] = None,
) -> None:
    """Let an earlier champion serve again."""
    from flows.promote import rollback

    typer.echo(rollback(line, to, by, why))


@app.command()
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


@app.command()
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


@app.command()
def propose(line: OneLine, by: By, release: ReleaseName = None) -> None:
    """Propose a release to the approvers, or propose it again."""
    from flows.promote import propose

    proposal = propose(line, release, by)
    told = f"Release {proposal.release} of {line} waits for an approver until {proposal.expires}." if proposal else ""
    typer.echo(told or f"This release is champion of {line} already.")


@app.command()
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


@app.command()
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


@app.command()
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


@app.command()
def forget(
    context: typer.Context,
    line: OneLine,
    ids: Annotated[list[str] | None, typer.Option("--id", help="a request's id: its rows of the log")] = None,
    row_ids: Annotated[list[str] | None, typer.Option("--row-id", help="the id of a row of the inbox")] = None,
    text_file: Annotated[list[Path] | None, typer.Option(help="a file with one text, as it was sent")] = None,
    text_stdin: Annotated[bool, typer.Option("--text-stdin", help="read one text from the standard input")] = False,
) -> None:
    """Erase a person's texts from log, spool, inbox and caches, and say what could not be reached.

    A text never stands on the command line: the shell would remember it.
    """
    from flows.forget import forget as erase
    from flows.forget import read_texts

    texts = read_texts([context.obj / file for file in text_file or []], sys.stdin.buffer if text_stdin else None)
    typer.echo(erase(line, ids or [], row_ids or [], texts))


@app.command()
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


@app.command()
def alerts(
    line: LineName = None,
    past: Annotated[bool, typer.Option("--all", help="also those that are over, the newest first")] = False,
    test: Annotated[bool, typer.Option("--test", help="send a message to every channel")] = False,
) -> None:
    """Show what is wrong now, who was told and who looks after it. Channels: TIDEGATE_ALERT_URLS, by apprise."""
    from flows import alert_desk

    typer.echo("\n".join(alert_desk.test()) if test else alert_desk.show(line, past))


@app.command()
def acknowledge(
    alert: Annotated[str, typer.Argument(help="the id of an open alert", show_default=False)],
    by: Annotated[str, typer.Option(metavar="NAME", help="who looks after it; proves it where there is a team.yaml")],
    why: Annotated[str, typer.Option(metavar="TEXT", help="kept with the alert")],
) -> None:
    """Say that somebody looks after an alert; it stays open until it is over."""
    from flows.alert_desk import acknowledge

    seen = acknowledge(alert, by, why)
    typer.echo(f"{seen.title}: {seen.acknowledged.by if seen.acknowledged else by} looks after it.")


@app.command()
def cleanup(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would be deleted, and delete nothing")] = False,
) -> None:
    """Delete what grows and nobody needs: old rows, reports, releases, runs, caches. Never what is registered."""
    from flows.tidy import tidy

    found = tidy(dry_run)
    typer.echo(str(found) or "Nothing to delete.")
    raise typer.Exit(1 if found.failed else 0)


@app.command()
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


@app.command()
def restore(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="what `tidegate backup` wrote", show_default=False)],
    force: Annotated[bool, typer.Option("--force", help="overwrite files that are here and differ")] = False,
) -> None:
    """Check a backup, then put its files in their places. Stop the service first; tags come with `git fetch --tags`."""
    from flows.restore import restore

    typer.echo(f"Restored: {restore(context.obj / file, force)}")


@app.command()
def up(
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="server, worker, service, ops, annotate or watch; may be repeated"),
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="return when everything answers; it goes on running")
    ] = False,
) -> None:
    """Start everything for this machine: Prefect's server and worker, service, ops page; until Ctrl-C.

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


@app.command()
def down() -> None:
    """End what `tidegate up` runs here; what is in flight is finished or taken back."""
    from flows.up import down

    typer.echo(down())


@app.command()
def ps() -> None:
    """Show what `tidegate up` runs here, and whether it answers; exit 1 where something does not, or nothing runs."""
    from flows.ps import show

    raise typer.Exit(show())


@app.command()
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


@app.command()
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


@app.command()
def ops(
    host: Annotated[str | None, typer.Option(help="where to listen; other than loopback only with a team.yaml")] = None,
    port: Annotated[int | None, typer.Option(help="0 lets the system choose")] = None,
) -> None:
    """Serve the page that shows whether each model still works, until SIGTERM or Ctrl-C. Settings: block `ops`."""
    from flows.ops.__main__ import serve

    raise typer.Exit(serve(host, port))


@app.command()
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


@app.command()
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


@app.command()
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


@app.command("label-report")
def label_report(
    context: typer.Context,
    line: OneLine,
    html: Annotated[Path | None, typer.Option(help="the page; default: .tidegate/reports/LINE-labels.html")] = None,
    suspects: Annotated[bool, typer.Option(help="look for labels that are likely wrong")] = True,
) -> None:
    """Report on the team that labels: agreement, speed, workload, quality per person, likely errors."""
    from flows.label_report import report

    typer.echo(report(line, context.obj / html if html else None, suspects))


@app.command()
def annotate(
    host: Annotated[str | None, typer.Option(help="where to listen; other than loopback only with a team.yaml")] = None,
    port: Annotated[int | None, typer.Option(help="0 lets the system choose")] = None,
) -> None:
    """Serve the page on which a team labels texts, until SIGTERM or Ctrl-C. Settings: block `annotate`."""
    from flows.annotate.__main__ import serve

    raise typer.Exit(serve(host, port))


@app.command()
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
    ids: Annotated[
        bool, typer.Option("--ids", help="the file has a column id as well: whose entries to replace")
    ] = False,
    by: Annotated[str, typer.Option(metavar="NAME", help="who changes it; kept with the change")] = "",
) -> None:
    """Add or replace texts and the answers they lead to, without training: the service takes them up within seconds."""
    from flows.answers import add

    typer.echo(add(line, context.obj / file, by, ids))


@answers.command("withdraw")
def answers_withdraw(
    line: OneLine,
    names: Annotated[list[str], typer.Argument(metavar="ID...", help="answers, or ids of single texts")],
    by: Annotated[str, typer.Option(metavar="NAME", help="who changes it; kept with the change")] = "",
) -> None:
    """Take answers or single texts out, without training: the service takes it up within seconds."""
    from flows.answers import withdraw

    typer.echo(withdraw(line, names, by))


lines = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="New lines.")
app.add_typer(lines, name="line")


@lines.command("add")
def add_line(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="lower-case letters, digits and _", show_default=False)],
    source: Annotated[str | None, typer.Option(help="its rows: a path, a glob or an address as s3://…")] = None,
    labels: Annotated[str, typer.Option(help="all labels, as in negative,neutral,positive")] = "",
    text: Annotated[str, typer.Option(help="the column of texts")] = "text",
    label: Annotated[str, typer.Option(help="the column of labels")] = "label",
    row_id: Annotated[str | None, typer.Option("--id", help="the column of ids; default: told by the text")] = None,
    kind: Annotated[str, typer.Option(help="task kind")] = "classify",
    block: Annotated[
        Path | None, typer.Option(help="take the line's whole block from this YAML file, as examples/finance.yaml")
    ] = None,
) -> None:
    """Write what a new line needs: its block in params.yaml, its expectations, its places in dvc.yaml and prefect.yaml.

    Then `tidegate run NAME`. Nothing is written where something is wrong.
    """
    from flows.line_add import Wanted, add

    columns = {"text": text, "label": label} | ({"id": row_id} if row_id else {})
    given = tuple(one.strip() for one in labels.split(",") if one.strip())
    path = context.obj / block if block else None
    written = add(Wanted(name, kind, source, given, tuple(columns.items()), path))
    typer.echo(f"{name} was added: {', '.join(map(str, written))}. `tidegate run {name}` takes it to a release.")


@app.command()
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
