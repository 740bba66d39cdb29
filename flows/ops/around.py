"""What stands around the model: the service, Prefect, the prediction log. Each may be gone; none is waited for long."""

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from flows import running

SECONDS = 1.5
"""For an answer of a service on this machine."""
LATENCIES = 1_000
"""Of the newest answers, from which the 95th percentile is taken."""
RUNS = 40

State = Literal["well", "ill", "off"]
"""off: it is not set up here, which may be as it should."""


@dataclass(frozen=True)
class Status:
    """One of the things around the model. `said` is a key of the catalogue, `values` stand in its sentence."""

    name: str
    state: State
    said: str
    values: dict[str, Any]
    href: str | None = None


@dataclass(frozen=True)
class Traffic:
    """What the prediction log says of a line now."""

    status: Status
    hour: int | None = None
    """Rows of the last hour."""
    newest: datetime | None = None
    p95_ms: float | None = None


@dataclass(frozen=True)
class Run:
    """A flow run of Prefect."""

    flow: str
    state: str
    well: bool | None
    """None while it goes on."""
    started: datetime | None
    href: str
    line: str | None
    """None where it concerns all lines."""


@dataclass(frozen=True)
class Prefect:
    """What Prefect says."""

    status: Status
    runs: tuple[Run, ...] = ()


def service() -> Status:
    """Whether the service answers where `tidegate up` has it, else where params.yaml has it listen."""
    import httpx

    from serving.settings import load_serving
    from tasks.core.errors import TidegateError

    try:
        settings = load_serving()
    except TidegateError as error:
        return Status("service", "ill", "service.settings", {"error": str(error)})
    known = running.address("service")
    if known is None and settings.port == 0:
        return Status("service", "off", "service.unknown", {})
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - not bound here
    address = known or f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"
    try:
        with httpx.Client(trust_env=False, timeout=SECONDS) as client:
            ready = client.get(f"{address}/v2/health/ready").status_code == httpx.codes.OK
    except httpx.HTTPError:
        return Status("service", "off", "service.silent", {"address": address})
    said = "service.ready" if ready else "service.not_ready"
    return Status("service", "well" if ready else "ill", said, {"address": address})


def prefect() -> Prefect:
    """Whether Prefect's server answers, and its newest runs."""
    import httpx

    page = os.environ.get("PREFECT_API_URL", "").rstrip("/").removesuffix("/api") or running.address(running.SERVER)
    if not page:
        return Prefect(Status("prefect", "off", "prefect.none", {}))
    url = f"{page}/api"
    begun = ["RUNNING", "COMPLETED", "FAILED", "CRASHED", "CANCELLED", "CANCELLING", "PAUSED"]
    wanted = {"sort": "START_TIME_DESC", "limit": RUNS, "flow_runs": {"state": {"type": {"any_": begun}}}}
    try:
        with httpx.Client(trust_env=False, timeout=SECONDS) as client:
            runs = client.post(f"{url}/flow_runs/filter", json=wanted).raise_for_status().json()
            flows = client.post(f"{url}/flows/filter", json={}).raise_for_status().json()
        names = {flow["id"]: flow["name"] for flow in flows}
        found = tuple(_run(run, names, page) for run in runs)
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return Prefect(Status("prefect", "ill", "prefect.silent", {"address": page}, page))
    return Prefect(Status("prefect", "well", "prefect.runs", {"address": page}, page), found)


def _run(run: dict[str, Any], names: dict[str, str], page: str) -> Run:
    ends = {"COMPLETED": True, "FAILED": False, "CRASHED": False, "CANCELLED": False}
    started = run.get("start_time")
    given = run.get("parameters") or {}
    return Run(
        flow=str(names.get(run["flow_id"], run["name"])),
        state=str(run["state_name"]),
        well=ends.get(run["state_type"]),
        started=datetime.fromisoformat(started) if started else None,
        href=f"{page}/runs/flow-run/{run['id']}",
        line=given.get("line"),
    )


def traffic(line: str) -> Traffic:
    """What the prediction log says of a line: cheap, however many rows it has."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import SQLAlchemyError

    from serving.log.database import open_database, refuse_newer, schema
    from serving.log.settings import load_log
    from tasks.core.errors import TidegateError

    def ill(said: str, **values: Any) -> Traffic:
        return Traffic(Status("log", "off" if said == "log.none" else "ill", said, values))

    try:
        url = load_log().database()
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite" and not (parsed.database and Path(parsed.database).exists()):
            return ill("log.none")  # to look makes none
        engine = open_database(url)
    except (TidegateError, SQLAlchemyError) as error:
        return ill("log.broken", error=_first(error))
    try:
        with engine.connect() as connection:
            found = schema(connection)
            refuse_newer(found, engine)
            return ill("log.none") if found is None else _traffic(connection, line)
    except (TidegateError, SQLAlchemyError) as error:
        return ill("log.broken", error=_first(error))
    finally:
        engine.dispose()


def _traffic(connection: Any, line: str) -> Traffic:
    from sqlalchemy import func, select

    from serving.log.rows import microseconds, when
    from serving.log.tables import predictions

    its = predictions.c.line == line
    hour = microseconds(datetime.now(UTC) - timedelta(hours=1))
    rows = connection.scalar(select(func.count()).where(its, predictions.c.time >= hour))
    newest = connection.scalar(select(func.max(predictions.c.time)).where(its))
    latest = select(predictions.c.latency_ms).where(its).order_by(predictions.c.time.desc()).limit(LATENCIES)
    times = sorted(connection.scalars(latest))
    p95 = times[min(len(times) - 1, int(0.95 * len(times)))] if times else None
    time = when(newest) if newest is not None else None
    status = Status("log", "well", "log.newest" if time else "log.empty", {"newest": time, "rows": rows})
    return Traffic(status, rows, time, p95)


def _first(error: Exception) -> str:
    """The first line of what a driver says, without a password that it may have repeated."""
    said = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
    return re.sub(r"://[^@\s]*@", "://…@", said)
