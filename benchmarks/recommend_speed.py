"""How long a list takes where the items are a million: the line `recommend` as it is exported, on one thread.

    python benchmarks/recommend_speed.py

The items are those of the line `recommend`, and what is made of these: each again and again, its vectors moved by 0.4
of the difference of two others. Histories are those of real users, asked for one at a time as the service asks: the
history is read, the user tower's ONNX graph run, items are searched, those that the user has left out, ten are listed
with their reasons. `served` is the same through the line as the service has it, with its queue and the record of the
prediction log on disk; HTTP is not in it. `exact` compares a user with one and all; recall is the share of its lists
that the index has.
"""

import argparse
import contextlib
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from films import ml_100k
from project import Figures
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits
from towers import learned

from serving.batcher import BatchSettings
from serving.deployment import Pointer
from serving.line import ServedLine, Serving
from serving.listing import Listing
from serving.log.recorder import LogRecorder
from serving.log.settings import LogSettings
from serving.metrics import Metrics
from serving.served import Choice, Served
from tasks import nearest
from tasks.core.line import Line
from tasks.inference import Model, open_session, read_signature
from tasks.kinds.rank.serve import Answering, answering, cleaning
from tasks.kinds.rank.shared import catalogue, history
from tasks.kinds.rank.shared.catalogue import Catalogue
from tasks.kinds.rank.shared.lists import Wanted
from tasks.kinds.rank.shared.users import judged

STAGES = ("train", "evaluate", "quality_gate", "export")
VARIANT, MOVED, SEED, TOP = "fp32", 0.4, 0, 10
USERS, ITEMS = 400, 1_000_000
COLUMNS = ("p50_ms", "p95_ms", "p99_ms", "recall_at_10", "logged_kb")


def main() -> None:
    """Measure and print."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    found = learned(ml_100k(), STAGES, lambda data: measured(data, ITEMS))
    Console(width=120).print(told(found))


def measured(data: Path, count: int) -> Figures:
    """Latency in each way of asking, what the index takes, and its recall."""
    export = data / "export"
    model = answering(export / "variants", read_signature(export / "signature.json"), VARIANT)
    session = open_session(export / "variants" / f"{VARIANT}.onnx", threads=1)
    with contextlib.chdir(data.parent.parent):
        told = judged(Line(data.name, "rank"), "test")["text"].tolist()[:USERS]
    texts = [history.write(history.read(text)) for text in told]  # of now
    exact = replace(model, catalogue=made(model.catalogue, count))
    with tempfile.TemporaryDirectory() as folder:
        start, path = time.perf_counter(), Path(folder) / catalogue.INDEX
        nearest.write(path, exact.catalogue.sought)
        seconds, size = time.perf_counter() - start, path.stat().st_size
        index = indexed(exact, path)
    with threadpool_limits(1):
        ways: dict[str, Any] = {
            "exact": asked(exact, session, texts), "index": asked(index, session, texts),
            "index, diversity 0.3": asked(index, session, texts, diversity=0.3),
            "index, served": served(index, session, export, texts),
        }  # fmt: skip
    right, found = ways["exact"]["lists"], ways["index"]["lists"]
    ways["index"]["recall_at_10"] = float(np.mean([len({*a} & {*b}) / TOP for a, b in zip(right, found, strict=True)]))
    rows = {way: {name: row[name] for name in COLUMNS if name in row} for way, row in ways.items()}
    return {"ways": rows, "items": count, "users": len(texts), "build_s": seconds, "file_mb": size / 1e6}


def made(items: Catalogue, count: int) -> Catalogue:
    """The items, and behind them copies whose vectors are moved; popularity is that of the last point of time alone."""
    rng, real = np.random.default_rng(SEED), len(items.ids)
    origin = np.concatenate([np.arange(real), rng.integers(real, size=count - real)])
    others = rng.integers(real, size=(2, count))
    step = np.where(np.arange(count) < real, 0, MOVED).astype(np.float32)[:, None]

    def moved(vectors: np.ndarray) -> np.ndarray:
        return np.asarray(vectors[origin] + step * (vectors[others[0]] - vectors[others[1]]))

    return Catalogue(
        [*items.ids, *(f"made-{number}" for number in range(real, count))], [items.texts[at] for at in origin],
        moved(items.inward), moved(items.outward), items.popularity[-2:, origin], items.points[-1:],
    )  # fmt: skip


def indexed(exact: Answering, path: Path) -> Answering:
    """With the index of a file, as the service opens it."""
    items = exact.catalogue
    count, lists = len(items.ids), nearest.open_lists(path, items.sought)
    every = np.ones(count, dtype=np.bool_)
    return replace(exact, index=nearest.Large(lists, items.sought, every, items.sought[:0], np.arange(count), count))


def asked(model: Answering, session: Any, texts: Sequence[str], diversity: float = 0.0) -> Figures:
    """Latency of single lists, and the lists; the first five are asked for twice."""
    for text in texts[:5]:
        model.listed(session, text, TOP)
    seconds, lists = [], []
    for text in texts:
        start = time.perf_counter()
        found = model.listed(session, text, TOP, diversity=diversity)
        seconds.append(time.perf_counter() - start)
        lists.append([item.item for item in found])
    p50, p95, p99 = 1e3 * np.quantile(seconds, [0.5, 0.95, 0.99])
    return {"p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "lists": lists}


def served(model: Answering, session: Any, export: Path, texts: Sequence[str]) -> Figures:
    """Latency of single lists through a line of the service, and the bytes of the log's record of one."""
    signature = read_signature(export / "signature.json").model_copy(update={"labels": model.catalogue.ids})
    loaded = Model(signature, VARIANT, session, None, cleaning(None), model)  # type: ignore[arg-type]  # it reads no text
    choice = Choice("0" * 12, VARIANT, "cpu", False)
    champion = Served(choice, None, "champion", "cpu", "rank", signature.labels, loaded)
    pointer = Pointer(line="recommend", release=choice.release, variant=VARIANT)
    with tempfile.TemporaryDirectory() as folder:
        settings = LogSettings(spool=f"{folder}/spool", url=f"sqlite:///{folder}/log.db")
        metrics = Metrics()
        recorder = LogRecorder(settings, metrics)
        recorder.start()
        line = ServedLine("recommend", BatchSettings(workers=1), metrics, recorder)
        line.switch(Serving(pointer, champion))
        seconds = [_wait(line, text) for text in (*texts[:5], *texts)][5:]
        line.close()
        recorder.stop(60)
        bytes_ = Path(folder, "log.db").stat().st_size / (5 + len(texts))
    p50, p95, p99 = 1e3 * np.quantile(seconds, [0.5, 0.95, 0.99])
    return {"p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "logged_kb": bytes_ / 1e3}


def _wait(line: ServedLine, text: str) -> float:
    start = time.perf_counter()
    deadline = time.monotonic() + 60
    request = f"r-{time.monotonic_ns()}"
    engine = partial(Listing, wanted=Wanted(TOP))
    line.submit([text], request_id=request, source="b", deadline=deadline, engine=engine).result()
    return time.perf_counter() - start


def told(found: Figures) -> Table:
    """The figures as a table."""
    table = Table("", *COLUMNS, title=f"{found['users']} users, {found['items']:,} items, one list at a time")
    for way, row in found["ways"].items():
        table.add_row(way, *(f"{row[name]:.3g}" if name in row else "" for name in COLUMNS))
    table.caption = f"The index is built in {found['build_s']:.0f} s and has {found['file_mb']:.0f} MB"
    return table


if __name__ == "__main__":
    main()
