"""`tidegate run`: ask DVC what is to be done, and start Prefect only when something is."""

import logging
from contextlib import ExitStack

from flows import leftovers, store, world
from flows.dag import Dag, stage_name
from flows.lock import hold
from flows.scheduled import TAG
from flows.server import server, settle
from flows.settings import LineSettings, load
from tasks.bundle import release_id
from tasks.core.errors import RejectedError
from tasks.core.line import Line
from tasks.verdict import require

log = logging.getLogger("tidegate")

INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def run_lines(lines: list[str] | None, until: str | None, force: list[str]) -> int:
    """Bring lines up to date one after the other; returns the highest of their exit codes."""
    codes = []
    all_settings = load(lines)
    dag = Dag()
    with ExitStack() as stack:
        url = None
        for name, settings in all_settings.items():
            with hold(name, f"Another run of {name} is going on. Wait for it to end, then run again."):
                world.refresh_versions()
                found = None if force else idle(Line(name, settings.kind), settings, dag, until)
                if found is not None:
                    codes.append(_say(name, found))
                    continue
                url = url or stack.enter_context(server())
                codes.append(_run(name, until, force))
                if codes[-1] == INTERRUPTED:
                    break
    return max(codes)


def idle(line: Line, settings: LineSettings, dag: Dag, until: str | None) -> str | RejectedError | None:
    """What to say when nothing is to be done, None when something is.

    Nothing is to be done when there is no news and every stage is up to date as far as `until`, or as far as a gate
    that rejects: its verdict is final for this model and is repeated without computing.
    """
    if world.has_news(line, settings):
        return None
    for stage in dag.stages(line.name, until):
        if dag.changed(stage):
            return None
        try:
            verdict = line.file(stage_name(stage), "verdict.json")
            if verdict.exists():
                require(verdict)
        except RejectedError as error:
            return error
    if until not in (None, "release"):
        return f"as far as {until}"
    return f"release {release_id(line.file('release', 'bundle'))}" if store.holds(line) else None


def _say(name: str, found: str | RejectedError) -> int:
    if isinstance(found, RejectedError):
        log.error("error: %s: %s", name, found)
        return found.exit_code
    log.info("%s is up to date (%s). Nothing to do.", name, found)
    return 0


def _run(name: str, until: str | None, force: list[str]) -> int:
    settle()
    from prefect import tags

    from flows.release import EXIT_CODES, release

    try:
        with tags(TAG, leftovers.tag()):
            state = release(name, until, force, return_state=True)
    except KeyboardInterrupt:
        log.error("Interrupted. Nothing half-done was recorded; run the same command to go on.")
        return INTERRUPTED
    (log.info if state.is_completed() else log.error)("%s: %s", name, state.message)
    return 0 if state.is_completed() else EXIT_CODES.get(state.name or "", 1)
