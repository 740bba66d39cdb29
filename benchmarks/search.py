"""The index of a large base against exact search and another library's index: latency, recall, build time, memory.

    TIDEGATE_DATA=/path/to/data python benchmarks/search.py           # a million entries
    python benchmarks/search.py --quick                               # 100,000
    python benchmarks/search.py --peer /path/to/python --peer-entries 100000

Entries are sentences of IMDB reviews, embedded by the default line's base model as it is published, and what is made of
these: each again and again, moved by 0.4 of the difference of two other embeddings, so that what is made scatters as
real embeddings do, most about the real one. Queries are sentences that are no entries, one at a time on one thread. The
peer is usearch's HNSW in an environment of its own that has usearch and psutil; it builds slowly, so that it may have
the first entries alone, and exact search then says what is right among those. Each search is a process of its own.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
from project import KEPT, ROOT, Figures
from rich.console import Console
from rich.table import Table

from tasks import nearest
from tasks.core.errors import SourceError

DATA = Path(os.environ.get("TIDEGATE_DATA", ROOT.parent / "shared" / "data")).resolve()
QUERIES, MOVED, BEST, WITHDRAWN = 400, 0.4, 10, 0.01
LETTERS = range(30, 151)  # a sentence's
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
COLUMNS = ("entries", "build_s", "file_mb", "memory_mb", "p50_ms", "p95_ms", "recall_at_10")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="100,000 entries of 4,000 sentences")
    parser.add_argument("--peer", default=sys.executable, help="an interpreter that has usearch")
    parser.add_argument("--peer-entries", type=int, help="entries that the peer has; default: all")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(ONE[arguments.one[0]](Path(arguments.one[1]))))
        return
    real = embedded(4_000 if arguments.quick else 40_000)
    entries = made(real[QUERIES:], 100_000 if arguments.quick else 1_000_000)
    rows: dict[str, Figures] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        some = min(arguments.peer_entries or len(entries), len(entries))
        for part in dict.fromkeys([len(entries), some]):
            place = folder / str(part)
            place.mkdir()
            np.save(place / "entries.npy", entries[:part])
            np.save(place / "queries.npy", real[:QUERIES])
            np.save(place / "right.npy", nearest.exact(entries[:part], real[:QUERIES], BEST)[0])
        for which in ("exact", "index"):
            rows[which] = apart(which, folder / str(len(entries)))
        rows["usearch"] = peer(arguments.peer, folder / str(some))
    Console().print(told(rows))


def embedded(count: int) -> np.ndarray:
    """[QUERIES + count, width], sentences in an order by lot; kept for the next run."""
    path = KEPT / f"sentences-{count}.npy"
    if not path.exists():
        from retrieve import Encoder

        from tasks.core.settings import parse, read_params
        from tasks.encoders import locate
        from tasks.train import TrainSettings

        base = read_params(ROOT / "params.yaml")["lines"]["sentiment"]["train"]["base_model"]
        settings = parse(TrainSettings, {"base_model": base}, "train")
        found = sorted(set(sentences(8 * count)))
        texts = [found[n] for n in np.random.default_rng(0).permutation(len(found))[: QUERIES + count]]
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, Encoder(locate(settings.base_model).resolve(), "AutoModel").outputs(texts, 128, "sentences"))
    return np.load(path)


def sentences(most: int) -> Iterator[str]:
    """Sentences of reviews, `most` of them. Raises SourceError where the reviews are absent."""
    archive = DATA / "imdb" / "aclImdb_by_file.tar.gz"
    if not archive.exists():
        raise SourceError(f"{archive} is not there. Set TIDEGATE_DATA to the folder that holds imdb.")
    with tarfile.open(archive) as members:
        for member in members:
            stream = members.extractfile(member) if member.name.endswith(".txt") else None
            for sentence in re.split(r"(?<=[.!?])\s+", stream.read().decode() if stream else ""):
                if len(sentence) in LETTERS and "<br" not in sentence:
                    yield sentence
                    most -= 1
            if most <= 0:
                return


def made(real: np.ndarray, count: int) -> np.ndarray:
    """[count, width]: the real ones, and behind them moved copies, all of length 1."""
    rng = np.random.default_rng(0)
    parts = [real]
    while sum(map(len, parts)) < count:
        one, other = rng.integers(len(real), size=(2, len(real)))
        moved = real + MOVED * (real[one] - real[other])
        parts.append(moved / np.linalg.norm(moved, axis=1, keepdims=True))
    return np.concatenate(parts)[:count].astype(np.float32)


def apart(which: str, folder: Path, python: str = sys.executable) -> Figures:
    """What a process of its own finds, on one thread but for the build."""
    environment = os.environ | ({} if which == "index" else dict.fromkeys(THREADS, "1"))
    done = subprocess.run(
        [python, __file__, "--one", which, folder], env=environment, capture_output=True, text=True, check=True
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def peer(python: str, folder: Path) -> Figures:
    """usearch's figures; none where it is not installed."""
    try:
        return dict(json.loads(subprocess.run(
            [python, ROOT / "benchmarks/rivals/usearch_index.py", folder], capture_output=True, text=True, check=True
        ).stdout.splitlines()[-1]))  # fmt: skip
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"usearch is left out: {error}", file=sys.stderr)
        return {}


def exact(folder: Path) -> Figures:
    """Every entry compared."""
    entries = np.load(folder / "entries.npy")
    return {**asked(lambda query: nearest.exact(entries, query, BEST)[0], folder), "entries": len(entries)}


def index(folder: Path) -> Figures:
    """The index as a release has it, made, written, read and asked."""
    import faiss

    entries = np.load(folder / "entries.npy")
    start, path = time.perf_counter(), folder / nearest.FILE
    faiss.write_index(nearest.build(entries), str(path))
    seconds, size = time.perf_counter() - start, path.stat().st_size
    lists = nearest.open_lists(path, entries)
    large = nearest.over(lists, entries, range(len(entries)), entries[:0], np.zeros(len(entries), np.int64), 1)
    assert isinstance(large, nearest.Large)  # noqa: S101 - for mypy
    found = {
        f"{probes} lists": asked(lambda query, n=probes: large.nearest(query, BEST, n)[0], folder)
        for probes in (64, 128, 512)
    }
    gone = np.random.default_rng(0).random(len(entries)) < WITHDRAWN
    gone[np.load(folder / "right.npy")] = False
    less = replace(large, kept=~gone)
    found[f"{WITHDRAWN:.0%} withdrawn"] = asked(lambda query: less.nearest(query, BEST)[0], folder)
    best = asked(lambda query: large.nearest(query, BEST)[0], folder)
    answer = asked(lambda query: large.nearest(query, nearest.ASKED)[0], folder)
    more = {"answer_p95_ms": answer["p95_ms"], "variations": found}
    return {**best, **more, "entries": len(entries), "build_s": seconds, "file_mb": size / 1e6}


def asked(search: Callable[[np.ndarray], np.ndarray], folder: Path) -> Figures:
    """Latency of single queries, and the share of the BEST right entries that are found; the process's memory then."""
    queries, right = np.load(folder / "queries.npy"), np.load(folder / "right.npy")
    seconds, hits = [], 0
    for query, wanted in zip(queries, right, strict=True):
        start = time.perf_counter()
        places = search(query[None])[0]
        seconds.append(time.perf_counter() - start)
        hits += len({*places[:BEST].tolist()} & {*wanted.tolist()})
    p50, p95 = 1e3 * np.quantile(seconds, [0.5, 0.95])
    held = psutil.Process().memory_info().rss / 1e6
    return {"p50_ms": p50, "p95_ms": p95, "recall_at_10": hits / right.size, "memory_mb": held}


def told(rows: dict[str, Figures]) -> Table:
    """The figures as a table."""
    table = Table("", *COLUMNS, title=f"{QUERIES} queries, one at a time on one thread")
    for name, row in rows.items():
        table.add_row(name, *(f"{row[key]:,.4g}" if key in row else "" for key in COLUMNS))
    for name, row in rows["index"]["variations"].items():
        table.add_row(name, *(f"{row[key]:,.4g}" if key in row else "" for key in COLUMNS))
    table.caption = f"An answer of {nearest.ASKED} entries: p95 {rows['index']['answer_p95_ms']:.2f} ms"
    return table


ONE = {"exact": exact, "index": index}

if __name__ == "__main__":
    try:
        main()
    except SourceError as error:
        sys.exit(str(error))
