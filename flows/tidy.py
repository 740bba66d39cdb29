"""`tidegate cleanup`: what grows on this machine and nobody needs any more is deleted, never what is registered."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from filelock import FileLock, Timeout

from flows import alerts, deploy, leftovers, loop, observations, scheduled, store, worktree
from flows import log as prediction_log
from flows.dag import Dag
from flows.housekeeping_settings import HousekeepingSettings, load_housekeeping
from flows.lock import hold
from flows.promote import claim
from flows.settings import load, products
from tasks.bundle import MANIFEST
from tasks.core.errors import BusyError, TidegateError
from tasks.core.line import STATE, Line

LOCK = "housekeeping"
BUSY = "Another clean-up or backup is going on. Wait for it to end, then again."
DAY = 86_400.0
MEGABYTE = 2**20


@dataclass
class Tidied:
    """What was deleted, and what could not be looked at; a sentence each."""

    done: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return "\n".join([*self.done, *(f"not done: {what}" for what in self.failed)])


@dataclass(frozen=True)
class Round:
    """One clean-up."""

    settings: HousekeepingSettings
    now: datetime
    dry_run: bool

    def old(self, path: Path, days: float) -> bool:
        """Whether a file was written more than so many days ago."""
        return path.stat().st_mtime < self.now.timestamp() - days * DAY

    def drop(self, paths: list[Path], what: str) -> str:
        """Delete files and folders, or in a dry run count them; what was done in words, empty where nothing was."""
        size = sum(_size(path) for path in paths)
        for path in () if self.dry_run else paths:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        return f"{what}: {len(paths):,}, {size / MEGABYTE:,.1f} MB" if paths else ""


def tidy(dry_run: bool = False, now: datetime | None = None) -> Tidied:
    """Go through everything that grows; a part that fails stops no other. `dry_run` deletes nothing.

    Raises SettingsError for a wrong params.yaml, BusyError while another clean-up or a backup goes on.
    """
    lines = [Line(name, settings.kind) for name, settings in load().items()]
    this, found = Round(load_housekeeping(), now or datetime.now(UTC), dry_run), Tidied()
    with hold(LOCK, BUSY):
        for name, part in PARTS.items():
            try:
                found.done += filter(None, part(this, lines))
            except BusyError as error:
                found.done.append(f"{name}: left for the next time. {error}")
            except (TidegateError, OSError) as error:
                found.failed.append(f"{name}: {error}")
    return found


def _log(this: Round, _: list[Line]) -> Iterator[str]:
    database = prediction_log.file()
    if (database is None or database.exists()) and (deleted := prediction_log.purge(None, this.dry_run)):
        yield f"rows of the prediction log older than serving.log.keep_days: {deleted:,}"


def _releases(this: Round, lines: list[Line]) -> Iterator[str]:
    """The store's: unregistered ones beyond the newest. Those of a local serving folder that nobody is pointed to."""
    for line in lines:
        last, spared = load([line.name])[line.name].keep_releases, deploy.spared(line)
        with hold(line.name, f"A run of {line.name} is going on."):
            old = store.old(line.name, last, spared)
            for one in () if this.dry_run else old:
                store.drop(line, one)
        if old:
            yield f"releases in the store of {line.name}, unregistered and beyond the {last} newest: {len(old)}"
        with claim(line.name):
            unused = [path for path in deploy.unused(line) if this.old(path / MANIFEST, 1)]
            yield this.drop(unused, f"releases in the serving folder of {line.name} that nothing points to")


def _observations(this: Round, lines: list[Line]) -> Iterator[str]:
    """Reports before their observations; what belongs to a confirmed drift stays as long as the observation."""
    records, reports = [], []
    for line in lines:
        for path in (observations.FOLDER / line.name).glob("*"):
            if this.old(path, this.settings.observation_days):
                records.append(path)
            elif path.suffix == ".html" and this.old(path, this.settings.report_days):
                seen = observations.read(line.name, path.stem)
                reports += [path] if seen is None or not seen.confirmed else []
    evidence = [path for line in lines for path in loop.evidence(line.name, "").glob("*")]
    old = [path for path in evidence if this.old(path, this.settings.observation_days)]
    yield this.drop(old, "evidence of the loop's attempts")
    yield this.drop(records, "observations")
    yield this.drop(reports, "reports")
    runs = observations.FOLDER.glob("workspace/*/snapshots/*.json")
    yield this.drop(
        [path for path in runs if this.old(path, this.settings.report_days)], "runs in Evidently's workspace"
    )


def _alerts(this: Round, _: list[Line]) -> Iterator[str]:
    limit = this.now - timedelta(days=this.settings.alert_days)
    over = [alert for alert in alerts.alerts() if alert.resolved and datetime.fromisoformat(alert.resolved) < limit]
    yield this.drop([alerts.path(alert.id) for alert in over], "alerts that are over")


def _dialogues(this: Round, _: list[Line]) -> Iterator[str]:
    from tasks.dialogue import store as dialogues

    kept = dialogues.file()
    if kept is None or kept.exists():
        before = (this.now - timedelta(days=this.settings.dialogue_days)).timestamp()
        with dialogues.opened() as engine:
            many = dialogues.drop_old(engine, int(before * 1_000_000), this.dry_run)
        if many:
            yield f"dialogues in which nothing was said for {this.settings.dialogue_days} days: {many:,}"


def _product_inboxes(this: Round, _: list[Line]) -> Iterator[str]:
    """A look that finds news writes a batch, and every look opens all of them: old ones become one."""
    from flows.opinion.inboxes import consolidate

    for name, settings in products().items():
        if settings.kind == "opinion" and (many := consolidate(Line(name), this.dry_run)):
            yield f"small batches in the inbox of {name}, put together: {many:,}"


def _leftovers(this: Round, _: list[Line]) -> Iterator[str]:
    yield this.drop(leftovers.scratch_folders(), "scratch folders of dead stages")
    yield from _checkpoints(this)


def _worktrees(this: Round, lines: list[Line]) -> Iterator[str]:
    for line in lines:
        if (worktree.FOLDER / line.name).exists():
            with ExitStack() as locks:
                _hold_runs(locks, [line])
                if not this.dry_run:
                    worktree.remove(line.name)
                yield f"the worktree of a dead run of {line.name}"


def _checkpoints(this: Round) -> Iterator[str]:
    """Those that no training holds, and none wrote to lately."""
    for folder in (path for path in (STATE / "checkpoints").glob("*") if path.is_dir()):
        lock = folder.with_name(f"{folder.name}.lock")
        newest = max((path.stat().st_mtime for path in folder.rglob("*")), default=0)
        if newest < this.now.timestamp() - this.settings.checkpoint_days * DAY:
            with suppress(Timeout), FileLock(lock, timeout=0):
                yield this.drop([folder, lock], f"checkpoint of a broken training, {folder.name}")


def _runs(this: Round, _: list[Line]) -> Iterator[str]:
    with scheduled.client() as server:
        if server is not None:
            before = this.now - timedelta(days=this.settings.run_days)
            if deleted := scheduled.delete_old(server, before, this.dry_run):
                yield f"runs in Prefect's database: {deleted:,}"


def _cache(this: Round, lines: list[Line]) -> Iterator[str]:
    if not this.settings.dvc_cache:
        return
    with ExitStack() as locks:
        _hold_runs(locks, lines)
        files, size = Dag().collect_garbage(this.dry_run)
    if files:
        yield f"files of old versions in DVC's cache: {files:,}, {size / MEGABYTE:,.1f} MB"


def _hold_runs(locks: ExitStack, lines: list[Line]) -> None:
    """Let no run, promotion or retraining of the lines begin. Raises BusyError where one goes on."""
    for line in lines:
        for name in (line.name, f"{line.name}.promote", f"{line.name}.loop"):
            locks.enter_context(hold(name, f"Something of {line.name} is going on."))


def _size(path: Path) -> int:
    """Bytes of a file or folder; links are not followed, and what is gone meanwhile has none."""
    try:
        return path.lstat().st_size if path.is_symlink() or path.is_file() else sum(map(_size, path.iterdir()))
    except FileNotFoundError:
        return 0


PARTS: dict[str, Callable[[Round, list[Line]], Iterator[str]]] = {
    "prediction log": _log,
    "releases": _releases,
    "observations and reports": _observations,
    "alerts": _alerts,
    "dialogues": _dialogues,
    "inboxes of products": _product_inboxes,
    "leftovers": _leftovers,
    "worktrees": _worktrees,
    "Prefect's runs": _runs,
    "DVC's cache": _cache,
}
