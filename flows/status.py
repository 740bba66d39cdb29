"""`tidegate status`: each stage of each line, up to date or why not, when it was made, its main figure."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from flows import store, world
from flows.dag import Dag, stage_name
from flows.settings import load
from tasks import figures
from tasks.core.files import read_json
from tasks.core.line import Line
from tasks.release import release_id
from tasks.verdict import read


def show(lines: list[str] | None) -> None:
    """Print a table per line."""
    console = Console()
    all_settings = load(lines)
    dag = Dag()
    for name, settings in all_settings.items():
        line = Line(name, settings.kind)
        table = Table(title=f"{name} ({settings.kind})", title_justify="left")
        for column in ("stage", "state", "made", "figure"):
            table.add_column(column, overflow="fold")
        table.add_row("sync", "news" if world.has_news(line, settings) else "no news", "", _inbox(line))
        for stage in dag.stages(name):
            table.add_row(*_row(dag, stage, line))
        console.print(table)
        console.print(_releases(line))


def _row(dag: Dag, stage: Any, line: Line) -> tuple[str, str, str, str]:
    name = stage_name(stage)
    made = _made(stage)
    state = _state(dag, stage)
    return name, state or "up to date", made, figure(line, name) if made else ""


def _state(dag: Dag, stage: Any) -> str:
    """The first reasons why a stage would run, and how many more there are."""
    if not any(out.hash_info for out in stage.outs):
        return "never run"
    reasons = why(dag.status(stage)).split("; ")
    more = len(reasons) - REASONS
    return "; ".join([*reasons[:REASONS], f"and {more} more"] if more > 1 else reasons)


def why(reasons: list[Any]) -> str:
    """DVC's reasons in words: `changed: tasks/train.py modified`; empty when there are none."""
    said = []
    for reason in reasons:
        if isinstance(reason, str):
            said.append(reason)
            continue
        for kind, entries in reason.items():
            what = {"changed deps": "", "changed outs": "output "}.get(kind, "")
            said += [f"{what}{path} {_flat(state)}" for path, state in entries.items()]
    return "; ".join(said)


def _flat(state: Any) -> str:
    if isinstance(state, dict):  # parameters: {"lines.sentiment.train": "modified"}
        return ", ".join(f"{key} {value}" for key, value in state.items())
    return str(state)


def _made(stage: Any) -> str:
    files = [Path(out.fs_path) for out in stage.outs]
    if not all(file.exists() for file in files):
        return ""
    newest = max(file.stat().st_mtime for file in files)
    return datetime.fromtimestamp(newest).astimezone().strftime("%Y-%m-%d %H:%M")


def _inbox(line: Line) -> str:
    batches = list(line.inbox.glob("*.parquet"))
    return f"{len(batches)} batch(es)"


MOST = 3
REASONS = 4


def _releases(line: Line) -> str:
    found = store.releases(line.name)
    newest = f"newest {found[0].id} of {found[0].created}" if found else "none yet"
    return f"release store: {len(found)} release(s), {newest}"


def figure(line: Line, stage: str) -> str:
    """The main figure of what a stage wrote."""
    return FIGURES[stage](line) if stage in FIGURES else ""


def _json(line: Line, stage: str, name: str) -> Any:
    return read_json(line.file(stage, name))


def _rows(line: Line, stage: str, name: str) -> str:
    import pyarrow.parquet as pq

    return f"{pq.read_metadata(line.file(stage, name)).num_rows:,} rows"


def _gate(stage: str) -> Callable[[Line], str]:
    def say(line: Line) -> str:
        verdict = read(line.file(stage, "verdict.json"))
        untold = verdict.count("cannot tell")
        return "; ".join([verdict.verdict, *verdict.rejections(), *([f"{untold} cannot tell"] if untold else [])])

    return say


def _trained(line: Line) -> str:
    best = max(entry.get("validation_score", 0.0) for entry in _json(line, "train", "history.json"))
    return f"validation score {best:.4f}"


def _evaluated(line: Line) -> str:
    told = figures.told(_json(line, "evaluate", "metrics.json"))
    return ", ".join(f"{name} {value:.4f}" for name, value in told[:MOST])


def _exported(line: Line) -> str:
    files = sorted(line.folder.joinpath("export").rglob("*.onnx"))
    return ", ".join(f"{file.stem} {file.stat().st_size / 2**20:.0f} MiB" for file in files)


FIGURES: dict[str, Callable[[Line], str]] = {
    "ingest": lambda line: _rows(line, "ingest", "rows.parquet"),
    "validate": _gate("validate"),
    "label": lambda line: _rows(line, "label", "labeled.parquet"),
    "split": lambda line: ", ".join(_rows(line, "split", f"{s}.parquet") for s in ("train", "validation", "test")),
    "train": _trained,
    "evaluate": _evaluated,
    "quality_gate": _gate("quality_gate"),
    "export": _exported,
    "release_gate": _gate("release_gate"),
    "release": lambda line: release_id(line.file("release", "bundle")),
}
