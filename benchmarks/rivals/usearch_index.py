"""usearch's HNSW with its usual 16 links, one byte a dimension, over FOLDER/entries.npy; FOLDER/right.npy is right.

    python usearch_index.py FOLDER       # with the interpreter of an environment that has usearch

Prints JSON: what it took to build with all threads, and to find with one. It shares no code with the rest.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import psutil
from usearch.index import Index

BEST = 10
folder = Path(sys.argv[1])
entries, queries, right = (np.load(folder / f"{name}.npy") for name in ("entries", "queries", "right"))
index = Index(ndim=entries.shape[1], metric="cos", dtype="i8", connectivity=16, expansion_add=128, expansion_search=256)
start = time.perf_counter()
index.add(np.arange(len(entries)), entries)
built = time.perf_counter() - start
index.save(folder / "peer.index")
seconds, hits = [], 0
for query, wanted in zip(queries, right, strict=True):
    start = time.perf_counter()
    places = index.search(query, 4 * BEST, threads=1).keys.astype(np.int64)
    first = places[np.argsort(-(entries[places] @ query), kind="stable")[:BEST]]  # measured in full, as ours are
    seconds.append(time.perf_counter() - start)
    hits += len({*first.tolist()} & {*wanted.tolist()})
p50, p95 = 1e3 * np.quantile(seconds, [0.5, 0.95])
print(
    json.dumps(
        {
            "entries": len(entries), "build_s": built, "file_mb": (folder / "peer.index").stat().st_size / 1e6,
            "p50_ms": p50, "p95_ms": p95, "recall_at_10": hits / right.size,
            "memory_mb": psutil.Process().memory_info().rss / 1e6,
        }
    )
)  # fmt: skip
