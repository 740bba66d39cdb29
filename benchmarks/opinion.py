"""How soon opinion monitoring tells of an event, how often it cries wolf, and how many headlines it takes a second.

    python benchmarks/opinion.py alarms                   # 200 quiet months of 10 entities, and planted events
    python benchmarks/opinion.py alarms --months 1000
    python benchmarks/opinion.py speed --bundle data/finance_topic/release/bundle

`alarms` draws labels as a model reads them that finds `--recall` of the negatives and takes `--wrong` of the others for
such; days are independent, or negatives come together by days (a beta variable, `clumped`). The rules are the product's
own, at their defaults. An event lasts three days; its delay counts from its first headline to the alert.
`speed` runs a look's parts one after the other over the sentences of Financial PhraseBank (TIDEGATE_DATA), each naming
one of ten entities: two int8 models of the bundle's size score each headline. Beside the way in which a look scores
stands another, in turns on the same rows: one model after the other, both cores in each of its matrix products.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from project import KEPT, ROOT, Figures
from rich.console import Console
from rich.table import Table

from tasks.core.errors import TidegateError
from tasks.core.files import write_json
from tasks.core.quiet import silence
from tasks.core.settings import parse
from tasks.opinion.changes import MONTH
from tasks.opinion.rules import Finding, findings
from tasks.opinion.said import DAY, Said
from tasks.opinion.settings import OpinionSettings

ENTITIES = 10
BASE = 65  # days before the month that is looked at
LASTS = 3  # days of an event
SHARE = 0.125  # of negatives while nothing happens: PhraseBank's
VOLUMES = (2, 10, 40)
EVENTS = ((0.3, 1), (0.5, 1), (0.8, 1), (0.3, 3), (0.5, 3), (0.8, 3))
"""Share of negatives, and times the usual volume."""
HOUR = DAY / 24


def main() -> int:
    """Run one part."""
    silence()
    arguments = parser().parse_args()
    try:
        report = alarms(arguments) if arguments.part == "alarms" else speed(arguments)
    except TidegateError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    write_json(KEPT / f"opinion-{arguments.part}.json", report)
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = made.add_subparsers(dest="part", required=True)
    one = parts.add_parser("alarms")
    one.add_argument("--months", type=int, default=200, help="quiet months of all entities together")
    one.add_argument("--events", type=int, default=200, help="of each size")
    one.add_argument("--recall", type=float, default=0.85, help="of negatives")
    one.add_argument("--wrong", type=float, default=0.04, help="share of the others that are taken for negative")
    two = parts.add_parser("speed")
    two.add_argument("--bundle", type=Path, default=ROOT / "data/finance_topic/release/bundle")
    two.add_argument("--rows", type=int, default=4_000)
    two.add_argument("--rounds", type=int, default=5)
    return made


def settings(**more: Any) -> OpinionSettings:
    """A product of ten entities with all defaults."""
    feed = {"name": "wire", "kind": "file", "path": "wire.csv", "columns": {"text": "text"}}
    content = {
        "sentiment": "finance_sentiment",
        "feeds": [feed],
        "entities": {f"Entity {n}": {} for n in range(ENTITIES)},
    }
    return parse(OpinionSettings, {**content, **more}, "products.finance")


def alarms(arguments: argparse.Namespace) -> Figures:
    """False alarms a month of the whole product, and what becomes of planted events."""
    read = (arguments.recall, arguments.wrong)
    report: Figures = {"quiet": {}, "events": {}, "read": read}
    for volume in VOLUMES:
        for name, clumped in (("independent", None), ("clumped", 10.0)):
            rng = np.random.default_rng([volume, len(name)])
            counts = [_quiet(rng, volume, clumped, read) for _ in range(arguments.months)]
            rules: dict[str, float] = {rule: 0 for one in counts for rule in one}
            for one in counts:
                for rule, many in one.items():
                    rules[rule] += many / arguments.months
            report["quiet"][f"{volume}/{name}"] = {"a month": sum(rules.values()), **rules}
        for share, times in EVENTS:
            rng = np.random.default_rng([volume, round(share * 100), times])
            delays = [_event(rng, volume, share, times, read) for _ in range(arguments.events)]
            report["events"][f"{volume}/{share}/{times}"] = _summary(delays)
    _show(report)
    return report


def _labels(rng: np.random.Generator, days: int, volume: float, shares: Any, read: tuple[float, float]) -> Said:
    """Headlines of so many days, read with errors; `shares` of true negatives by day."""
    counts = rng.poisson(volume, days)
    day = np.repeat(np.arange(days), counts)
    times = np.sort((day * DAY + rng.integers(0, DAY, len(day))).astype(np.int64))
    true = rng.random(len(day)) < np.broadcast_to(shares, days)[times // DAY]
    negative = np.where(true, rng.random(len(day)) < read[0], rng.random(len(day)) < read[1])
    scores = np.where(negative, -0.7, rng.choice([0.0, 0.7], len(day), p=[0.7, 0.3]))
    ids = np.array([str(n) for n in range(len(day))], dtype=object)
    return Said(ids, times, scores, negative, np.full(len(day), "", dtype=object))


def _quiet(rng: np.random.Generator, volume: float, clumped: float | None, read: tuple[float, float]) -> dict[str, int]:
    """Alerts of one month in which nothing happens, of all entities, by rule."""
    made, found = settings(), []
    for entity in made.entities:
        shares = SHARE if clumped is None else rng.beta(SHARE * clumped, (1 - SHARE) * clumped, BASE + MONTH)
        found += _causes(_labels(rng, BASE + MONTH, volume, shares, read), entity, made)
    return {rule: sum(one.rule == rule for one in found) for rule in ("index_drop", "volume_burst", "negative_run")}


def _causes(said: Said, entity: str, made: OpinionSettings) -> list[Finding]:
    """What would be told: what is found so soon again is the same cause."""
    kept: list[Finding] = []
    last: dict[str, int] = {}
    for one in findings(said, entity, made, BASE * DAY, (BASE + MONTH) * DAY - 1):
        if one.time - last.get(one.rule, -(10**18)) > made.rules.hold_days * DAY:
            kept.append(one)
        last[one.rule] = one.time
    return kept


def _event(rng: np.random.Generator, volume: float, share: float, times: int, read: tuple[float, float]) -> Any:
    """(hours, headlines) from the event's beginning to the first alert; None where none comes while it lasts."""
    before = _labels(rng, BASE + MONTH - LASTS, volume, SHARE, read)
    event = _labels(rng, LASTS, volume * times, share, read)
    start = (BASE + MONTH - LASTS) * DAY
    parts = [np.concatenate(pair) for pair in (
        (before.times, event.times + start), (before.scores, event.scores), (before.negative, event.negative),
        (before.texts, event.texts))]  # fmt: skip
    said = Said(np.array([str(n) for n in range(len(parts[0]))], dtype=object), *parts)
    found = findings(said, "Entity 0", settings(), start, (BASE + MONTH) * DAY - 1)
    if not found or not len(event.times):
        return None
    first = int(event.times[0]) + start
    return (found[0].time - first) / HOUR, int(((said.times >= first) & (said.times <= found[0].time)).sum())


def _summary(delays: list[Any]) -> Figures:
    found = [one for one in delays if one is not None]
    middle = [statistics.median(column) for column in zip(*found, strict=True)] if found else [None, None]
    return {"found": len(found) / len(delays), "hours": middle[0], "headlines": middle[1]}


def _show(report: Figures) -> None:
    quiet = Table("headlines a day", "negatives", "alarms a month", "index drop", "volume burst", "negative run")
    for name, found in report["quiet"].items():
        volume, days = name.split("/")
        rules = [f"{found[rule]:.2f}" for rule in ("index_drop", "volume_burst", "negative_run")]
        quiet.add_row(volume, days, f"{found['a month']:.2f}", *rules)
    events = Table("headlines a day", "negatives", "volume", "found in 3 days", "median hours", "median headlines")
    for name, found in report["events"].items():
        volume, share, times = name.split("/")
        hours = "" if found["hours"] is None else f"{found['hours']:.0f}"
        events.add_row(
            volume, f"{float(share):.0%}", f"x {times}", f"{found['found']:.0%}", hours, str(found["headlines"])
        )
    Console().print(quiet, events)


def speed(arguments: argparse.Namespace) -> Figures:
    """Seconds of each part of a look, and headlines a second of all of them."""
    from sqlalchemy import create_engine

    from flows.opinion.look import judge
    from flows.opinion.scorer import Scorer
    from flows.opinion.scoring import _chosen
    from tasks.inference import Model
    from tasks.opinion.entities import Matcher
    from tasks.opinion.store import Store
    from tasks.opinion.tables import metadata

    folder = arguments.bundle.resolve()
    model, other = Model.load(folder, "int8", threads=1), Model.load(folder, "int8")
    labels = model.signature.labels
    made = settings(index={"values": dict.fromkeys(labels, 0.0), "negative": labels[0]})
    rows, now = _headlines(arguments.rows), _now()
    parts: dict[str, list[tuple[float, float]]] = {}

    def timed(name: str, part: Callable[[], Any]) -> Any:
        wall, cpu = time.perf_counter(), time.process_time()
        done = part()
        parts.setdefault(name, []).append((time.perf_counter() - wall, time.process_time() - cpu))
        return done

    _, chosen, named = timed("match", lambda: _chosen(rows, made, Matcher(made.entities), now))
    scorer, texts = Scorer(made, model, "made", model), [row["text"] for row in chosen]
    for _ in range(arguments.rounds):
        timed("one model after the other", lambda: [other.predict(texts) for _ in range(2)])
        scored = timed("score", lambda: scorer.rows(chosen))
    with tempfile.TemporaryDirectory() as place:
        engine = create_engine(f"sqlite:///{place}/opinion.db")
        metadata.create_all(engine)
        with engine.begin() as connection:
            store = Store(connection, "finance")
            timed("keep", lambda: store.add(scored, named, made.index.copies_hours))
            timed("another feed's copies", lambda: store.copied(chosen, made.index.copies_hours))
            timed("judge", lambda: judge(store, made, now))
        engine.dispose()
    return _rates(parts, len(rows))


def _rates(parts: dict[str, list[tuple[float, float]]], rows: int) -> Figures:
    """Headlines a second and milliseconds of a core, by part and of a look; medians over rounds, and their ratio."""
    median = {name: [statistics.median(column) for column in zip(*its, strict=True)] for name, its in parts.items()}
    look = ("match", "score", "keep", "judge")
    median["a look"] = [sum(median[name][n] for name in look) for n in (0, 1)]
    for name, (seconds, used) in median.items():
        print(f"{name}: {rows / seconds:,.0f} headlines/s; {used / rows * 1000:.2f} ms of a core each")
    pairs = list(zip(parts["one model after the other"], parts["score"], strict=True))
    ratios = [[before[n] / now[n] for before, now in pairs] for n in (0, 1)]
    for name, its in zip(("times as fast", "times less of a core"), ratios, strict=True):
        print(f"score: {statistics.median(its):.2f} {name} ({min(its):.2f} to {max(its):.2f})")
    return {"rows": rows, "parts": parts, "seconds": {name: its[0] for name, its in median.items()}, "ratios": ratios}


def _headlines(rows: int) -> list[dict[str, Any]]:
    path = Path(os.environ.get("TIDEGATE_DATA", ROOT.parent / "shared" / "data"), "financial_phrasebank")
    lines = (path / "Sentences_50Agree.txt").read_text(encoding="latin-1").splitlines()
    return [
        {"id": str(n), "row_key": str(n), "source": "wire", "created_at": None, "split_key": str(n),
         "text": f"Entity {n % ENTITIES}: {lines[n % len(lines)].rpartition('@')[0]}"}
        for n in range(rows)
    ]  # fmt: skip


def _now() -> Any:
    from datetime import UTC, datetime

    return datetime.now(UTC)


if __name__ == "__main__":
    sys.exit(main())
