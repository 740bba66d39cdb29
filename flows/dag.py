"""The DAG as DVC sees it: what is up to date, and the record of what was run."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tasks.core.errors import BusyError, SettingsError, StageError, TidegateError

if TYPE_CHECKING:
    from dvc.stage import PipelineStage

Outcome = Literal["unchanged", "restored", "ran"]

RECORD_WAIT = 120.0  # seconds to wait for another DVC command before a finished stage is recorded


def stage_name(stage: "PipelineStage") -> str:
    """`train` of `train@sentiment`."""
    name: str = stage.name
    return name.partition("@")[0]


class Dag:
    """The stages of the project in `dvc.yaml`, in the order in which they run."""

    def __init__(self) -> None:
        from dvc.exceptions import DvcException
        from dvc.repo import Repo

        logging.getLogger("dvc").setLevel(logging.WARNING)  # its hints are for those who type DVC's commands
        logging.getLogger("dvc_data").setLevel(logging.CRITICAL)  # tracebacks of errors that it raises as well
        try:
            self.repo: Repo = Repo()
        except DvcException as error:
            raise TidegateError(f"This folder is no DVC project: {error}. Run `tidegate init`.") from None

    def stages(self, line: str, until: str | None = None) -> list["PipelineStage"]:
        """The stages of a line as far as `until`, each after what it depends on.

        Raises SettingsError when no stage is called `until`, BusyError while DVC is at work for seconds.
        """
        import networkx as nx

        with _plain_errors(), self.repo.lock:  # who writes dvc.lock, which is not done at once, holds it too
            order = nx.dfs_postorder_nodes(self.repo.index.graph)
            stages = [stage for stage in order if stage.addressing.endswith(f"@{line}")]
        names = [stage_name(stage) for stage in stages]
        if until is not None and until not in names:
            raise SettingsError(f"There is no stage {until!r}. Stages: {', '.join(names)}.")
        return stages if until is None else stages[: names.index(until) + 1]

    def changed(self, stage: "PipelineStage") -> bool:
        """Whether DVC would run the stage."""
        with _plain_errors(), self.repo.lock:
            return bool(stage.changed())

    def status(self, stage: "PipelineStage") -> list[Any]:
        """Why DVC would run the stage, in DVC's own form; empty when it would not."""
        with _plain_errors(), self.repo.lock:
            reasons: list[Any] = stage.status().get(stage.addressing, [])
            return reasons

    def bring_up_to_date(self, stage: "PipelineStage", body: Callable[[], None], force: bool = False) -> Outcome:
        """Skip the stage, restore it from the run cache, or run `body` and record it in dvc.lock: what DVC would do.

        DVC's own locks are held on the stage's files all the while, so that a `dvc repro` beside it is refused.
        Raises BusyError when somebody else holds them; what `body` raises leaves nothing recorded.
        """
        with _plain_errors(), self._locked(stage):
            if not force and not stage.changed():
                return "unchanged"
            stage.remove_outs(ignore_remove=False, force=False)
            outcome: Outcome = "restored" if not force and self._restore(stage) else "ran"
            if outcome == "ran":
                with self._unlocked():
                    body()
            stage.save()
            stage.commit()
            stage.dump(update_pipeline=False)
            return outcome

    def add(self, folder: Path) -> None:
        """Pin a folder of the world in `<folder>.dvc` and keep its content in DVC's cache."""
        with _plain_errors():
            self.repo.add(str(folder))

    def fetch(self, pin: Path) -> bool:
        """Bring what a `.dvc` file pins from the cache or from the remote; False when neither has it."""
        from dvc.exceptions import DvcException

        for bring in (self.repo.checkout, self.repo.pull):
            try:
                bring([str(pin)])
            except DvcException:
                continue
            return True
        return False

    def collect_garbage(self, dry_run: bool) -> tuple[int, int]:
        """Delete from DVC's local cache what no tag, branch, experiment or working tree names; files and bytes of it.

        What is registered has a tag, and what the loop proposes a branch. Raises BusyError while DVC is at work.
        """
        # force: a clone that holds a part of the data is no fault; of a folder whose list is nowhere nothing is whole.
        logging.getLogger("dvc.output").setLevel(logging.ERROR)  # of lines that were never run it would tell each file
        named = {"all_tags": True, "all_branches": True, "all_experiments": True, "force": True}
        cache = self.repo.cache.local
        with _plain_errors():
            with self.repo.lock:
                used = {one.value for group in self.repo.used_objs(**named).values() for one in group}
            unused = [Path(cache.oid_to_path(oid)) for oid in cache.all() if oid not in used]
            size = sum(path.stat().st_size for path in unused)
            if unused and not dry_run:
                self.repo.gc(**named, workspace=True)
        return len(unused), size

    def push(self, line: str, *pins: Path) -> bool:
        """Bring what a line's stages made, and what `.dvc` files pin, to the default remote; whether there is one."""
        if self.repo.config["core"].get("remote") is None:
            return False
        with _plain_errors():
            self.repo.push([*(stage.addressing for stage in self.stages(line)), *map(str, pins)])
        return True

    def matches(self, pin: Path) -> bool:
        """Whether the folder beside a `.dvc` file is what the file pins."""
        with _plain_errors(), self.repo.lock:
            (stage,) = self.repo.stage.collect(str(pin))
            return not stage.changed_outs(allow_missing=True)

    def _restore(self, stage: "PipelineStage") -> bool:
        from dvc.stage.cache import RunCacheNotFoundError

        try:
            self.repo.stage_cache.restore(stage)
        except RunCacheNotFoundError:
            return False
        return True

    @contextmanager
    def _locked(self, stage: "PipelineStage") -> Iterator[None]:
        """The repository's lock, and the read and write locks of the stage's files, as `dvc repro` takes them."""
        from dvc.repo import lock_repo
        from dvc.rwlock import rwlock

        # The same words that DVC's own nested locks will give, or it would block itself.
        who = " ".join(sys.argv)
        reads = [dependency.fs_path for dependency in stage.deps]
        writes = [output.fs_path for output in stage.outs]
        hardlink = self.repo.config["core"].get("hardlink_lock", False)
        with lock_repo(self.repo), rwlock(self.repo.tmp_dir, self.repo.fs, who, reads, writes, hardlink):
            yield

    @contextmanager
    def _unlocked(self) -> Iterator[None]:
        """Let other DVC commands work while a body runs; what they must not touch the read and write locks guard."""
        from dvc.lock import LockError
        from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

        self.repo.lock.unlock()
        try:
            yield
        finally:
            for attempt in Retrying(
                retry=retry_if_exception_type(LockError), stop=stop_after_delay(RECORD_WAIT), wait=wait_fixed(0.5)
            ):
                with attempt:
                    self.repo.lock.lock()


@contextmanager
def _plain_errors() -> Iterator[None]:
    """DVC's errors as ours: a busy file, a broken dvc.yaml, a missing dependency."""
    from dvc.dependency.base import DependencyDoesNotExistError
    from dvc.exceptions import DvcException
    from dvc.lock import LockError

    try:
        yield
    except LockError as error:
        raise BusyError(f"Another run works on the same files: {error}\nWait for it to end, then run again.") from None
    except (DependencyDoesNotExistError, FileNotFoundError) as error:
        missing = getattr(error, "filename", None) or error
        raise StageError(
            f"A dependency is missing: {missing}. `dvc pull` brings data, `git checkout` what git keeps."
        ) from None
    except DvcException as error:
        raise TidegateError(f"DVC: {error}") from None
