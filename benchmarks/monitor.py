"""Are the monitor's alarms true? False alarms, drift that is found, harmless shifts, and rivals on the same windows.

    python benchmarks/monitor.py --release FOLDER             # all of it
    python benchmarks/monitor.py --release FOLDER --quick     # in little, in 3 minutes
    python benchmarks/monitor.py quiet drift --draws 5        # some parts: quiet, drift, shifts, cost

`--release` is a finished release of the default line (default: data/sentiment/release/bundle). Film sentences: a model
of the default recipe is trained on 40 % of them; the others are dealt out anew for each draw, 20 % reference and 40 %
window pool. In a quick run the release answers, and the rows that it was not trained on are dealt out. IMDB
(TIDEGATE_DATA): the release answers, it has seen none. NannyML is measured with `--nannyml PYTHON`, the interpreter of
an environment that has it. An interrupted run goes on where it was; results lie below .tidegate/benchmarks/monitor/.
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import answered
import draws
import looks
import monitor_cost
import monitor_tables
import pandas as pd
import trained
from corpora import LABELS
from project import KEPT, ROOT

from tasks.core.errors import SourceError, TidegateError
from tasks.core.files import sha256, write_text
from tasks.core.progress import progress
from tasks.core.quiet import silence
from tasks.core.settings import line_params, read_params
from tasks.drift.settings import MonitorSettings
from tasks.inference import read_tokenizer

PARTS = ("quiet", "drift", "shifts", "cost")
IMDB = 6_363  # reviews, as many as there are film sentences that the model has not seen
MIDDLE = 500  # rows of the windows that the rivals see too
TOKENS = 128
DRAWS = ("imdb_draws", "drift_draws", "rival_draws")
CODE = ("draws.py", "looks.py", "answered.py", "trained.py")

Unit = tuple[str, int, str, int]
"""Line, draw, scenario, rows of a window."""
Looks = list[dict[str, Any]]
Lines = dict[str, list[draws.Tables]]
"""Answered rows of each line, for each model."""

_STATE: dict[str, Any] = {}
"""Of a process of the pool."""


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    sizes: tuple[int, ...] = (200, 500, 2_000)
    quiet_draws: int = 45
    """Without drift, of film sentences ..."""
    imdb_draws: int = 20
    """... and of reviews: with windows of all sizes 2,000 and more."""
    drift_draws: int = 8
    rival_draws: int = 3
    most: int = 4
    """Windows of MIDDLE rows in a row of one kind of drift, at most; half as many of other sizes."""
    imdb: int = IMDB
    models: int = 1
    """Trained anew on 40 % of the film sentences; 0: the release answers."""
    logged: tuple[int, ...] = (10_000, 100_000, 300_000, 1_000_000)
    """Rows of the log where the cost is measured."""


QUICK = Plan((200, 500), quiet_draws=3, drift_draws=1, rival_draws=1, most=2, imdb=0, models=0, logged=(10_000,))


def main() -> int:
    """Run the parts that are asked for and print their tables; 1 where data are absent."""
    arguments = _arguments()
    silence()
    plan = QUICK if arguments.quick else Plan()
    if arguments.draws:
        few = {name: min(getattr(plan, name), arguments.draws) for name in DRAWS}
        plan = replace(plan, quiet_draws=arguments.draws, **few)
    try:
        if set(arguments.parts) - {"cost"}:
            monitor_tables.show(pd.DataFrame(_looks(arguments, plan)))
        if "cost" in arguments.parts:
            costs = monitor_cost.measured(arguments.release, plan.logged)
            monitor_tables.table("What `tidegate monitor` costs", costs)
    except TidegateError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _looks(arguments: argparse.Namespace, plan: Plan) -> Looks:
    lines = prepare(arguments.release, plan)
    wanted = units(plan, arguments.parts, lines)
    found = looked(arguments.release, plan, wanted, arguments.jobs)
    if arguments.nannyml:
        monitor_tables.beside(found, nannyml(arguments.nannyml, wanted, lines, plan))
    return [one for looks in found.values() for one in looks]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; by default all of them")
    parser.add_argument("--release", type=Path, default=ROOT / "data" / "sentiment" / "release" / "bundle")
    parser.add_argument("--quick", action="store_true", help="in little")
    parser.add_argument("--draws", type=int, help="draws (default: 45 without drift, 8 with)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes (default: one per core)")
    parser.add_argument("--nannyml", type=Path, metavar="PYTHON", help="an interpreter that has nannyml")
    arguments = parser.parse_args()
    if strange := set(arguments.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(strange))}; parts are {', '.join(PARTS)}")
    arguments.parts = arguments.parts or list(PARTS)
    arguments.release = arguments.release.resolve()
    return arguments


def prepare(release: Path, plan: Plan) -> Lines:
    """Answered rows of each line and model; those that an earlier run kept are read. Raises SourceError, StageError."""
    film = answered.texts("film")
    if plan.models:
        answering = [trained.model(n, film) for n in range(plan.models)]
    else:
        answering = [(answered.released(release), answered.unseen(release, film))]
    lines = {"film": [_tables(who, film.iloc[rows].reset_index(drop=True), plan) for who, rows in answering]}
    if plan.imdb:
        try:
            reviews = answered.texts("imdb", plan.imdb)
        except SourceError as error:
            print(f"IMDB is left out: {error}", file=sys.stderr)
        else:
            lines["imdb"] = [{"imdb": answered.answered(answered.released(release), "imdb", reviews)}]
    return lines


def _tables(who: answered.Responder, own: pd.DataFrame, plan: Plan) -> draws.Tables:
    shifted = {f"film {name}": own.assign(text=own["text"].map(how)) for name, how in answered.HARMLESS.items()}
    foreign = {name: answered.texts(name, plan.most * max(plan.sizes)) for name in answered.FOREIGN}
    return {name: answered.answered(who, name, rows) for name, rows in {"film": own, **shifted, **foreign}.items()}


def units(plan: Plan, parts: Sequence[str], lines: Iterable[str]) -> list[Unit]:
    """What is to be looked at: every scenario in every draw. The first draws of all come first."""
    found: list[Unit] = []
    if "quiet" in parts:
        most = {"film": plan.quiet_draws, "imdb": plan.imdb_draws}
        found += [(line, n, "none", size) for line in lines for n in range(most[line]) for size in plan.sizes]
    if "drift" in parts:
        found += [("film", n, name, size) for n in range(plan.drift_draws) for name in draws.mixtures()
                  for size in plan.sizes]  # fmt: skip
    if "shifts" in parts:
        found += [("film", n, name, MIDDLE) for n in range(plan.drift_draws) for name in draws.shifts()]
    return sorted(found, key=lambda unit: unit[1])


class Kept:
    """Results of units, a line of JSON each, under a key of all that they follow from."""

    def __init__(self, release: Path, plan: Plan) -> None:
        code = [*sorted((ROOT / "tasks" / "drift").glob("*.py")), *(ROOT / "benchmarks" / name for name in CODE)]
        recipe = {name: line_params(read_params(), "sentiment")[name] for name in ("text", "train")}
        asked = [plan.sizes, plan.most, plan.models, plan.imdb]
        what = [sha256(release / "manifest.json"), recipe, asked, *map(sha256, code)]
        key = hashlib.sha256(json.dumps(what).encode()).hexdigest()[:12]
        self.path = KEPT / "monitor" / f"{key}.jsonl"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = self.path.read_text("utf-8") if self.path.exists() else ""
        whole = text[: text.rfind("\n") + 1]  # a killed run may have left half a line
        if whole != text:
            write_text(self.path, whole)
        self.found: dict[Unit, Looks] = {tuple(unit): found for unit, found in map(json.loads, whole.splitlines())}

    def add(self, unit: Unit, found: Looks) -> None:
        """Keep a unit's looks."""
        self.found[unit] = found
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps([unit, found]) + "\n")


def looked(release: Path, plan: Plan, wanted: Sequence[Unit], jobs: int) -> dict[Unit, Looks]:
    """The looks of the units; those that are not kept are made now, by `jobs` processes."""
    kept = Kept(release, plan)
    missing = [unit for unit in wanted if unit not in kept.found]
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    context = multiprocessing.get_context("spawn")  # a fork would copy the locks of torch's and onnxruntime's threads
    with ProcessPoolExecutor(jobs, context, _begin, (release, plan)) as pool, progress("windows", len(missing)) as bar:
        waiting = {pool.submit(_look, unit): unit for unit in missing}
        for done in as_completed(waiting):
            kept.add(waiting[done], done.result())
            bar.update(1)
    return {unit: kept.found[unit] for unit in wanted}


def _begin(release: Path, plan: Plan) -> None:
    """In each process: read what the first one prepared."""
    silence()
    _STATE.update(lines=prepare(release, plan), plan=plan, release=release)


def _look(unit: Unit) -> Looks:
    drawn, frames = windows(unit, _STATE["lines"], _STATE["plan"])
    rivals = unit[1] < _STATE["plan"].rival_draws and unit[3] == MIDDLE and unit[0] == "film"
    tokenizer = read_tokenizer(_STATE["release"] / "tokenizer.json", TOKENS)
    return [one.row() for one in looks.look(unit, drawn.reference, frames, MonitorSettings(), tokenizer, rivals)]


def windows(unit: Unit, lines: Lines, plan: Plan) -> tuple[draws.Draw, list[pd.DataFrame]]:
    """A unit's draw and its windows in their order."""
    line, n, scenario, size = unit
    tables = lines[line][n % len(lines[line])]
    drawn = draws.draw(line, tables[line], n)
    most = None if scenario == "none" else plan.most if size == MIDDLE else (plan.most + 1) // 2
    return drawn, draws.windows(scenario, drawn, tables, size, most)


def nannyml(python: Path, wanted: Sequence[Unit], lines: Lines, plan: Plan) -> dict[Unit, list[dict[str, bool]]]:
    """What NannyML says of the windows that Evidently has seen, one call a draw."""
    found: dict[Unit, list[dict[str, bool]]] = {}
    for n in range(plan.rival_draws):
        seen = [unit for unit in wanted if unit[0] == "film" and unit[1] == n and unit[3] == MIDDLE]
        drawn = [windows(unit, lines, plan) for unit in seen]
        if not drawn:
            continue
        frames = [frame for _, frames in drawn for frame in frames]
        answers = iter(_nannyml(python, drawn[0][0].reference, pd.concat(frames)))
        found |= {unit: [next(answers) for _ in frames] for unit, (_, frames) in zip(seen, drawn, strict=True)}
    return found


def _nannyml(python: Path, reference: pd.DataFrame, current: pd.DataFrame) -> list[dict[str, bool]]:
    with tempfile.TemporaryDirectory() as folder:
        for side, frame in (("reference", reference), ("current", current)):
            plain = looks.columns(frame).drop(columns="text")
            plain["positive"] = [float(row[1]) for row in frame["probabilities"]]
            plain["answer"] = (plain["positive"] > 0.5).astype(int)
            plain["truth"] = [int(label == LABELS[1]) for label in frame["label"]]
            plain.to_parquet(Path(folder, f"{side}.parquet"))
        command = [python, ROOT / "benchmarks" / "rivals" / "nannyml_drift.py", folder, str(MIDDLE)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"NannyML ended with {done.returncode}:\n{done.stderr[-2000:]}")
    answers: list[dict[str, bool]] = json.loads(done.stdout.splitlines()[-1])
    return answers


if __name__ == "__main__":
    sys.exit(main())
