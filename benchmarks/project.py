"""A throw-away project with one line, where the real stages run; what they measured is kept when it is gone."""

import contextlib
import hashlib
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import yaml

from flows.process import run_stage
from tasks.core.errors import RejectedError
from tasks.core.files import read_json, sha256, write_json
from tasks.core.line import STATE, Line
from tasks.core.stage import declared

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / STATE / "benchmarks"
SHARED = ("downloads", "models")  # under .tidegate/: pinned, so every project may use the same

Figures = dict[str, Any]


def remember(what: dict[str, Any], compute: Callable[[str], Figures]) -> Figures:
    """The figures of `what`: those that an earlier run kept in figures.json, or else `compute(key)`, then kept."""
    key = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]
    path = KEPT / "figures.json"
    known = read_json(path) if path.exists() else {}
    if key not in known:
        figures = compute(key)
        known = read_json(path) if path.exists() else {}
        write_json(path, {**known, key: {"what": what, "figures": figures}})
    return dict(read_json(path)[key]["figures"])


def code(line: Line, stages: Iterable[str]) -> dict[str, str]:
    """Digest of each module, template and list of versions that dvc.yaml declares for some stages."""
    with contextlib.chdir(ROOT):
        paths = {path for stage in stages for path in declared(stage, line)["deps"] if not path.startswith("data/")}
        return {path: sha256(Path(path)) for path in sorted(paths)}


class Project:
    """A copy of the code with `params` as its only line, in a folder that outlives an interrupted run."""

    def __init__(self, folder: Path, name: str, params: dict[str, Any], data: Path) -> None:
        """`data` is copied to `data/<name>/`; a folder that an earlier run left is taken as it is."""
        self.folder, self.name = folder, name
        self.data = folder / "data" / name
        self.times = folder / "times.json"
        if not folder.exists():
            self._make(params, data)

    def run(self, stage: str) -> None:
        """Run a stage unless an earlier run finished it. Raises what its error message is."""
        if (self.data / stage).exists():
            return
        times = self.seconds()
        write_json(self.times, {**times, stage: None})
        start = time.perf_counter()
        with contextlib.chdir(self.folder):
            run_stage(stage, self.name, lambda text: print(text, file=sys.stderr), lambda: False)
        if stage not in times:
            write_json(self.times, {**times, stage: round(time.perf_counter() - start, 1)})

    def seconds(self) -> dict[str, float | None]:
        """Wall time per stage with its start; None where it was interrupted and its time says nothing."""
        return read_json(self.times) if self.times.exists() else {}

    def _make(self, params: dict[str, Any], data: Path) -> None:
        scratch = self.folder.with_suffix(".tmp")
        shutil.rmtree(scratch, ignore_errors=True)
        for name in ("tasks", "versions"):
            shutil.copytree(ROOT / name, scratch / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "dvc.yaml", scratch)
        shutil.copytree(data, scratch / "data" / self.name)
        text = yaml.safe_dump({"lines": {self.name: params}}, sort_keys=False)
        (scratch / "params.yaml").write_text(text, encoding="utf-8")
        (scratch / STATE).mkdir()
        for name in SHARED:
            (ROOT / STATE / name).mkdir(parents=True, exist_ok=True)
            (scratch / STATE / name).symlink_to(ROOT / STATE / name)
        scratch.rename(self.folder)


def measured(
    name: str, params: dict[str, Any], data: Path, stages: tuple[str, ...], read: Callable[[Path], Figures]
) -> Figures:
    """What `read` finds in `data/<name>/` after the stages, by params, code and data remembered; `seconds` per stage.

    Stages behind a gate that rejects are left out. An interrupted call goes on where it was, within `train` too.
    """
    what = {"params": params, "code": code(Line(name, params["kind"]), stages), "data": sha256(data)}

    def compute(key: str) -> Figures:
        project = Project(KEPT / f"{name}-{key}", name, params, data)
        try:
            for stage in stages:
                project.run(stage)
        except RejectedError as error:
            print(error, file=sys.stderr)
        figures = {**read(project.data), "seconds": project.seconds()}
        shutil.rmtree(project.folder)
        return figures

    return remember({"line": name, **what}, compute)
