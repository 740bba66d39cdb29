"""The release flow: sync, then every stage of a line in the order of the DAG, then the release store."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from uuid import UUID

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed, Failed

from flows import approvals, deploy, leftovers, promote, store, world
from flows.dag import Dag, stage_name
from flows.process import RunCancelled, run_stage
from flows.settings import LineSettings, load
from tasks.bundle import release_id
from tasks.core.errors import RejectedError, SettingsError, TidegateError, disk_full
from tasks.core.line import Line
from tasks.verdict import Verdict, read, require

if TYPE_CHECKING:
    from dvc.stage import PipelineStage

NAMES = {RejectedError: "Rejected", SettingsError: "WrongSettings"}
"""State names of runs that failed for a reason with an exit code of its own."""

EXIT_CODES = {name: error.exit_code for error, name in NAMES.items()}


@flow(name="release", flow_run_name="release-{line}")
def release(line: str, until: str | None = None, force: list[str] | None = None, decide: bool = True) -> State[Any]:
    """Take a line from its sources to a release.

    `until` is the last stage to bring up to date; `force` names stages to run though nothing changed. With `decide` the
    release is proposed or promoted where params.yaml asks for that. A gate that rejects ends the run as failed, with
    its checks in the message.
    """
    logging.getLogger("prefect.task_runs").addFilter(_has_something_to_say)
    try:
        settings = load([line])[line]
        subject = Line(line, settings.kind)
        dag = Dag()
        stages = dag.stages(line, until)
    except TidegateError as error:
        return failure(error)
    with get_client(sync_client=True) as client:
        leftovers.crash_dead_runs(client)
        cancelled = _cancelled(client)
        state = _run("sync", lambda: _sync(subject, settings, dag))
        for stage in stages:
            if state.is_completed():
                state = _run(stage_name(stage), _stage, dag, stage, subject, force or [], cancelled)
    if state.is_completed() and until in (None, "release"):
        state = _run("store", lambda: _store(subject, settings))
        if state.is_completed() and decide and (settings.promote.automatic or settings.promote.approval == "human"):
            state = _run("promote", _promote, subject, settings, state.message)
    # A new state of the same kind: a task's own would be counted ("1/1 states failed") instead of shown.
    return State(type=state.type, name=state.name, message=state.message)


def _has_something_to_say(record: logging.LogRecord) -> bool:
    """Prefect tells a returned failure twice, at first with an empty traceback ("NoneType: None")."""
    return record.exc_info is None or record.exc_info[0] is not None


def failure(error: TidegateError | OSError) -> State[Any]:
    """The failed state that says an error, without a traceback; of the system's errors that of a full disk alone.

    Raises the others again.
    """
    told = disk_full(error) if isinstance(error, OSError) else error
    if told is None:
        raise error
    return Failed(message=str(told), name=NAMES.get(type(told), "Failed"))


def _run(name: str, step: Callable[..., State[Any]], *arguments: Any) -> State[Any]:
    """Run one step as a Prefect task; a user's mistake becomes a failed state with its message."""

    def body() -> State[Any]:
        try:
            return step(*arguments)
        except RunCancelled:
            return Cancelled(message=f"Cancelled in {name}; nothing of it was recorded.")
        except (TidegateError, OSError) as error:
            return failure(error)

    state: State[Any] = task(name=name, task_run_name=name, cache_policy=NO_CACHE)(body)(return_state=True)
    return state


def _sync(line: Line, settings: LineSettings, dag: Dag) -> State[Any]:
    for path in world.refresh_versions():
        get_run_logger().info("%s has changed: other library versions are installed", path)
    batches = world.bring_in(line, settings, dag)
    names = ", ".join(batch.name for batch in batches)
    return Completed(message=f"New batches: {names}." if batches else "No new rows.")


def _stage(dag: Dag, stage: "PipelineStage", line: Line, force: list[str], cancelled: Callable[[], bool]) -> State[Any]:
    name = stage_name(stage)
    log = get_run_logger()
    outcome = dag.bring_up_to_date(stage, lambda: run_stage(name, line.name, log.info, cancelled), force=name in force)
    log.info("%s: %s", name, outcome)
    verdict = line.file(name, "verdict.json")
    if verdict.exists():
        _show_verdict(line, name, read(verdict))
        require(verdict)
    return Completed(name=outcome.capitalize(), message=f"{name} of {line.name}: {outcome}.")


def _show_verdict(line: Line, stage: str, verdict: Verdict) -> None:
    head, cells = verdict.table()
    rows = [dict(zip(head, row, strict=True)) for row in cells]
    key = f"{line.name}-{stage}".replace("_", "-")
    create_table_artifact(rows, key=key, description=f"{stage} of {line.name}: **{verdict.verdict}**")


def _store(line: Line, settings: LineSettings) -> State[Any]:
    folder = store.keep(line, settings.keep_releases, _spared(line))
    card = (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    create_markdown_artifact(
        card, key=f"{line.name}-model-card".replace("_", "-"), description=f"Release {folder.name}"
    )
    return Completed(message=f"Release {folder.name} of {line.name}.")


def _spared(line: Line) -> set[str]:
    """What the store must not drop; all of it, where nobody can tell."""
    try:
        return deploy.spared(line)
    except TidegateError as error:
        get_run_logger().warning("No old release is dropped, for nobody can tell which of them serve: %s", error)
        return {one.id for one in store.releases(line.name)}


def _promote(line: Line, settings: LineSettings, made: str) -> State[Any]:
    """Propose the release to the approvers or promote it, as params.yaml says. A no leaves the release as it is."""
    release = release_id(line.file("release", "bundle"))
    try:
        if settings.promote.automatic:
            why = "params.yaml says promote.automatic"
            return Completed(message=f"{made} {promote.promote(line.name, release, '', why, automatic=True)}")
        proposal = approvals.read(line.name, release) or promote.propose(line.name, release, f"run of {line.name}")
    except RejectedError as error:
        return Completed(message=f"{made} {error}")
    if proposal is None or proposal.state != "waiting":
        return Completed(message=made)
    key = f"{line.name}-approval".replace("_", "-")
    create_markdown_artifact(proposal.text(), key=key, description=f"Release {release} waits for an approver")
    return Completed(message=f"{made} It waits for an approver until {proposal.expires}.")


def _cancelled(client: SyncPrefectClient) -> Callable[[], bool]:
    """Whether somebody asked Prefect to cancel this run. Nobody else acts on it where no worker started the run."""
    run_id = UUID(flow_run.get_id())

    def ask() -> bool:
        state = client.read_flow_run(run_id).state
        return state is not None and (state.is_cancelling() or state.is_cancelled())

    return ask
