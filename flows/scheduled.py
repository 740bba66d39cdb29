"""Flow runs as Prefect's server knows them: which failed, which never came, which are old."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from flows.server import settle

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun

TAG = "tidegate"
"""Deployments of the project have it, and so have the runs of `tidegate run`: a server may hold those of others."""

VERDICTS = ("Rejected",)
"""Names of failed states that are the line's own verdicts, and no fault."""

PAGE = 200  # runs that the server gives at once
PATIENCE = 20.0  # seconds for a server that is being restarted


@dataclass(frozen=True)
class Fault:
    """A scheduled run that went wrong."""

    line: str | None
    """None where it is for all lines."""
    reason: str


@contextmanager
def client() -> "Iterator[SyncPrefectClient | None]":
    """A client of the server that PREFECT_API_URL names; None where it names none. Starts no server.

    Raises ConnectionError where that server does not answer, or only with an error.
    """
    url = os.environ.get("PREFECT_API_URL")
    if not url:
        yield None
        return
    settle()
    from httpx import HTTPError
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    # Said once more: Prefect reads the environment when it is imported, and would start a server of its own.
    with temporary_settings({PREFECT_API_URL: url}), get_client(sync_client=True) as connected:
        silent = f"Prefect's server at {url} does not answer."
        if not _answers(connected):
            raise ConnectionError(silent)
        try:
            yield connected
        except HTTPError:
            raise ConnectionError(silent) from None


def _answers(server: "SyncPrefectClient") -> bool:
    from tenacity import RetryError, Retrying, retry_if_not_result, stop_after_delay, wait_fixed

    trying = Retrying(
        retry=retry_if_not_result(lambda fault: fault is None), stop=stop_after_delay(PATIENCE), wait=wait_fixed(1)
    )
    try:
        trying(server.api_healthcheck)
    except RetryError:
        return False
    return True


def failures(server: "SyncPrefectClient") -> list[Fault]:
    """Of each deployment and line the newest run that ended, where that failed or crashed."""
    from prefect.client.schemas import filters
    from prefect.client.schemas.objects import StateType
    from prefect.client.schemas.sorting import FlowRunSort

    ended = filters.FlowRunFilterStateType(any_=[StateType.COMPLETED, StateType.FAILED, StateType.CRASHED])
    found = []
    for deployment, name in _deployments(server).items():
        runs = server.read_flow_runs(
            flow_run_filter=filters.FlowRunFilter(
                deployment_id=filters.FlowRunFilterDeploymentId(any_=[deployment]),
                state=filters.FlowRunFilterState(type=ended),
            ),
            sort=FlowRunSort.END_TIME_DESC,
            limit=PAGE,
        )
        found += [_fault(name, run, "ended as") for run in _newest(runs) if _failed(run)]
    return found


def missing(server: "SyncPrefectClient", now: datetime, late: timedelta) -> list[Fault]:
    """Of each deployment and line the newest run that was due, where it did not start within `late`.

    One that waits for another of its deployment to end is not missed.
    """
    from prefect.client.schemas import filters
    from prefect.client.schemas.sorting import FlowRunSort

    due = filters.FlowRunFilterExpectedStartTime(before_=now - late)
    found = []
    for deployment, name in _deployments(server).items():
        runs = server.read_flow_runs(
            flow_run_filter=filters.FlowRunFilter(
                deployment_id=filters.FlowRunFilterDeploymentId(any_=[deployment]), expected_start_time=due
            ),
            sort=FlowRunSort.EXPECTED_START_TIME_DESC,
            limit=PAGE,
        )
        found += [
            _fault(name, run, "was due and is") for run in _newest(runs) if run.state_name in ("Scheduled", "Late")
        ]
    return found


def delete_old(server: "SyncPrefectClient", before: datetime, dry_run: bool) -> int:
    """Delete the project's runs that ended before a time, their logs with them; returns how many."""
    from prefect.client.schemas import filters
    from prefect.client.schemas.objects import TERMINAL_STATES

    old = filters.FlowRunFilter(
        tags=filters.FlowRunFilterTags(all_=[TAG]),
        end_time=filters.FlowRunFilterEndTime(before_=before),
        state=filters.FlowRunFilterState(type=filters.FlowRunFilterStateType(any_=sorted(TERMINAL_STATES))),
    )
    if dry_run:
        return int(server.count_flow_runs(flow_run_filter=old))
    deleted = 0
    while runs := server.read_flow_runs(flow_run_filter=old, limit=PAGE):
        for run in runs:
            server.delete_flow_run(run.id)
        deleted += len(runs)
    return deleted


def _deployments(server: "SyncPrefectClient") -> "dict[UUID, str]":
    from prefect.client.schemas import filters

    ours = filters.DeploymentFilter(tags=filters.DeploymentFilterTags(all_=[TAG]))
    return {one.id: one.name for one in server.read_deployments(deployment_filter=ours, limit=PAGE)}


def _newest(runs: "list[FlowRun]") -> "list[FlowRun]":
    """The first run of each line."""
    first: dict[str | None, FlowRun] = {}
    for run in runs:
        first.setdefault(run.parameters.get("line"), run)
    return list(first.values())


def _failed(run: "FlowRun") -> bool:
    state = run.state
    return state is not None and (state.is_crashed() or (state.is_failed() and state.name not in VERDICTS))


def _fault(name: str, run: "FlowRun", what: str) -> Fault:
    """States' messages are left out: they may hold what a text of a user caused."""
    when = run.end_time if run.end_time else run.expected_start_time
    at = f" at {when:%Y-%m-%d %H:%M} UTC" if when else ""
    return Fault(run.parameters.get("line"), f"{name}{at} {what} {(run.state_name or 'unknown').lower()} ({run.name})")
