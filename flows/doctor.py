"""`tidegate doctor`: what is wrong with this machine or clone, each with its mend."""

import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal, NamedTuple

import psutil
from packaging.requirements import Requirement
from rich.console import Console
from rich.table import Table

from flows import leftovers
from flows.server import HOME
from tasks.core.errors import TidegateError
from tasks.core.line import STATE
from tasks.core.quiet import SILENT

LEAST_FREE = 5 * 2**30  # bytes: a venv, a base model and a few releases


class Finding(NamedTuple):
    """What a look found, and what to do about it."""

    what: str
    state: Literal["ok", "note", "wrong"]
    said: str
    mend: str = ""


def examine() -> int:
    """Print every finding; 1 when something is wrong, else 0."""
    table = Table("what", "state", "found", "mend")
    findings = [finding for look in LOOKS for finding in look()]
    for finding in findings:
        table.add_row(*finding)
    Console().print(table)
    return int(any(finding.state == "wrong" for finding in findings))


def _packages() -> Iterator[Finding]:
    needed = [Requirement(text) for text in requires("tidegate") or []]
    wrong = [f"{r.name} {_installed(r.name)} (needs {r.specifier})" for r in needed if _unmet(r)]
    yield Finding("packages", "wrong" if wrong else "ok", ", ".join(wrong) or f"{len(needed)} as pyproject.toml asks",
                  "make setup" if wrong else "")  # fmt: skip
    runtimes = [name for name in ("onnxruntime", "onnxruntime-gpu") if _installed(name)]
    if len(runtimes) != 1:
        mend = "pip uninstall -y onnxruntime onnxruntime-gpu; rm .venv/.ready; make setup"
        yield Finding("onnxruntime", "wrong", f"installed: {', '.join(runtimes) or 'none'}; exactly one works", mend)


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _unmet(requirement: Requirement) -> bool:
    if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
        return False
    return not requirement.specifier.contains(_installed(requirement.name) or "0", prereleases=True)


def _settings() -> Iterator[Finding]:
    from flows.settings import load

    try:
        yield Finding("params.yaml", "ok", f"lines: {', '.join(load())}")
    except TidegateError as error:
        yield Finding("params.yaml", "wrong", str(error), "edit params.yaml; `tidegate check` looks again")


def _telemetry() -> Iterator[Finding]:
    loud = [name for name, value in SILENT.items() if os.environ.get(name) != value]
    yield Finding("telemetry", "wrong" if loud else "ok", f"on: {', '.join(loud)}" if loud else "off")


def _providers() -> Iterator[Finding]:
    import onnxruntime

    providers = onnxruntime.get_available_providers()
    yield Finding("ONNX Runtime", "ok", f"{onnxruntime.__version__}: {', '.join(providers)} (CUDA is listed without a "
                  "GPU too; a release says what it really runs on)")  # fmt: skip


def _disk() -> Iterator[Finding]:
    free = shutil.disk_usage(".").free
    state: Literal["ok", "wrong"] = "ok" if free >= LEAST_FREE else "wrong"
    mend = "" if state == "ok" else "free some: `tidegate cleanup` drops what nobody needs"
    yield Finding("disk", state, f"{free / 2**30:.1f} GiB free", mend)


def _locks() -> Iterator[Finding]:
    path = Path(".dvc/tmp/rwlock")
    try:
        held = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except json.JSONDecodeError:
        yield Finding("DVC locks", "wrong", f"{path} is no JSON: a DVC command was killed", f"rm {path}")
        return
    entries = [info for infos in held.get("read", {}).values() for info in infos] + list(held.get("write", {}).values())
    pids = {entry["pid"]: entry["cmd"] for entry in entries}
    dead = [pid for pid in pids if not psutil.pid_exists(pid)]
    busy = ", ".join(f"process {pid} ({pids[pid]})" for pid in pids if pid not in dead)
    if dead:
        yield Finding("DVC locks", "note", f"left by dead processes {dead}", "none: the next run removes them")
    yield Finding("DVC locks", "note" if busy else "ok", f"held by {busy}" if busy else "free",
                  f"wait; if no such process works here, rm {path}" if busy else "")  # fmt: skip


def _remote() -> Iterator[Finding]:
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        config = Repo().config
    except DvcException as error:
        yield Finding("DVC", "wrong", str(error), "tidegate init")
        return
    name = config["core"].get("remote")
    if not name:
        yield Finding(
            "DVC remote", "note", "none: data and models are on this machine alone", "tidegate init --remote URL"
        )
        return
    url = config["remote"].get(name, {}).get("url", "")
    gone = "://" not in url and not Path(url).exists()
    yield Finding("DVC remote", "wrong" if gone else "ok", f"{url} is gone" if gone else url,
                  "tidegate init --remote URL" if gone else "")  # fmt: skip


def _prefect() -> Iterator[Finding]:
    url = os.environ.get("PREFECT_API_URL")
    if url:
        import httpx

        try:
            httpx.get(f"{url}/health", timeout=5).raise_for_status()
            yield Finding("Prefect", "ok", f"server at {url}")
        except httpx.HTTPError as error:
            mend = "start it, or unset PREFECT_API_URL; where `tidegate up` started it, `tidegate ps` says more"
            yield Finding("Prefect", "wrong", f"no answer from {url}: {error}", mend)
        return
    database = HOME / "prefect.db"
    if not database.exists():
        yield Finding("Prefect", "ok", "no PREFECT_API_URL: each run starts a server of its own")
        return
    try:
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
            query = "select count(*) from flow_run where state_type in ('RUNNING', 'PENDING', 'CANCELLING')"
            (unfinished,) = connection.execute(query).fetchone()
        said = f"own server per run; {database.stat().st_size / 2**20:.0f} MiB; {unfinished} run(s) unfinished"
        yield Finding("Prefect", "note" if unfinished else "ok", said,
                      "none: the next run marks those of dead processes as crashed" if unfinished else "")  # fmt: skip
    except sqlite3.Error as error:
        yield Finding("Prefect", "wrong", f"{database}: {error}", f"rm -r {HOME}: the history of runs is lost, no data")


def _scratch() -> Iterator[Finding]:
    folders = leftovers.clear_scratch()
    said = f"removed {len(folders)} scratch folder(s) of killed stages" if folders else "none"
    yield Finding("leftovers", "note" if folders else "ok", said)
    checkpoints = list((STATE / "checkpoints").glob("*"))
    if checkpoints:
        yield Finding("checkpoints", "note", f"{len(checkpoints)} unfinished training(s), resumed by the same settings",
                      f"rm -r {STATE / 'checkpoints'} to give them up")  # fmt: skip


LOOKS: list[Callable[[], Iterator[Finding]]] = [
    _packages, _settings, _telemetry, _providers, _disk, _locks, _remote, _prefect, _scratch,
]  # fmt: skip
