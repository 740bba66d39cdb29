"""Texts whose sides are given: read from where they lie, and written as the split stage writes them."""

import contextlib
import csv
import hashlib
import json
import tarfile
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from project import KEPT, ROOT, Project, code

from tasks.core.errors import SourceError
from tasks.core.files import read_json, read_parquet, sha256, write_json, write_parquet
from tasks.core.line import Line
from tasks.rows import LABELED
from tasks.scope import FILE as OUT_OF_SCOPE
from tasks.text import TextSettings, clean, split_key

SIDES = ("train", "validation", "test")
LABELS = ["negative", "positive"]
VALIDATION = 2000  # rows of a training side that comes without validation: they stop the training and fit a calibration
FRAGMENT = 5  # words from which on a phrase found inside a judged sentence is more than a turn of speech


@dataclass(frozen=True)
class Corpus:
    """Three tables as the split stage writes them (tasks.rows.LABELED), and what was counted in making them."""

    sides: dict[str, pd.DataFrame]
    facts: dict[str, int]
    labels: list[str]
    strange: pd.DataFrame | None = None
    """Rows that have none of the labels, each with its side."""

    def sample(self, **rows: int | None) -> "Corpus":
        """Some sides cut to a seeded sample of so many rows; None leaves a side whole."""
        cut = {side: self.sides[side].sample(n, random_state=0).sort_values("id")
               for side, n in rows.items() if n is not None and n < len(self.sides[side])}  # fmt: skip
        return replace(self, sides={**self.sides, **cut})

    def rows(self) -> dict[str, int]:
        """Rows per side."""
        return {side: len(frame) for side, frame in self.sides.items()}

    def write(self, folder: Path) -> None:
        """Write label/labels.json and split/{train,validation,test,out_of_scope}.parquet."""
        write_json(folder / "label" / "labels.json", self.labels)
        for side, frame in self.sides.items():
            # A column without a single list is one of floats to pandas, and no list to pyarrow.
            write_parquet(folder / "split" / f"{side}.parquet", frame.astype({"soft": object}), LABELED)
        schema = LABELED.append(pa.field("side", pa.string()))
        none = schema.empty_table().to_pandas()
        write_parquet(
            folder / "split" / OUT_OF_SCOPE,
            none if self.strange is None else self.strange.astype({"soft": object}),
            schema,
        )


def sentiment(params: dict[str, Any]) -> Corpus:
    """The default line's sides, by its own sync and stages; the folder stays, so that they run once for all seeds."""
    stages = ("ingest", "validate", "label", "split")
    blocks = {name: params[name] for name in ("kind", "text", "sources", *stages)}
    expectations = ROOT / "data" / "sentiment" / "expectations.yaml"
    what = [blocks, code(Line("sentiment", params["kind"]), stages), sha256(expectations)]
    key = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]
    with tempfile.TemporaryDirectory() as data:
        (Path(data) / expectations.name).write_bytes(expectations.read_bytes())
        (Path(data) / "labelling").mkdir()
        project = Project(KEPT / f"sentiment-sides-{key}", "sentiment", params, Path(data))
    if not (project.data / "ingest").exists():
        _sync(project.folder)
    for stage in stages:
        project.run(stage)
    corpus = _written(project.data, {})
    return replace(corpus, facts={"ambiguous rows in test": int(corpus.sides["test"]["ambiguous"].sum())})


def _sync(folder: Path) -> None:
    from flows.settings import load
    from tasks.sync import sync

    with contextlib.chdir(folder):
        settings = load()["sentiment"]
        sync(Line("sentiment", settings.kind), settings.sources, settings.text)


def load(name: str, data: Path, text: TextSettings) -> Corpus:
    """`sst2` or `imdb` from the folder `data`, kept once read. Raises SourceError when it is not there."""
    place, read = {"sst2": ("sst2_glue", sst2), "imdb": ("imdb/aclImdb_by_file.tar.gz", imdb)}[name]
    source = data / place
    if not source.exists():
        raise SourceError(f"{source} is not there. Set TIDEGATE_DATA to the folder that holds {place}.")
    what = [sha256(source), text.model_dump(), sha256(ROOT / "tasks" / "text.py"), sha256(Path(__file__))]
    folder = KEPT / f"{name}-sides-{hashlib.sha256(json.dumps(what).encode()).hexdigest()[:16]}"
    if not (folder / "facts.json").exists():
        corpus = read(source, text)
        corpus.write(folder)
        write_json(folder / "facts.json", corpus.facts)
    return _written(folder, read_json(folder / "facts.json"))


def _written(folder: Path, facts: dict[str, int]) -> Corpus:
    sides = {side: read_parquet(folder / "split" / f"{side}.parquet") for side in SIDES}
    return Corpus(sides, facts, read_json(folder / "label" / "labels.json"))


def sst2(folder: Path, text: TextSettings) -> Corpus:
    """SST-2 of GLUE: its training phrases without those that are a dev sentence, judged on its 872 dev sentences.

    These files have the label first, GLUE has the sentence first.
    """
    train, dev = (table("sst2", _sst2_rows(folder / f"{side}.tsv"), text) for side in ("train", "dev"))
    phrases = {phrase for sentence in dev["text"] for phrase in _phrases(sentence.lower().split())}
    fragments = int(train["text"].str.lower().str.split().str.join(" ").isin(phrases).sum())
    return _sides(train, dev, {f"training phrases of {FRAGMENT} or more words inside a test sentence": fragments})


def _sst2_rows(path: Path) -> Iterable[tuple[str, str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        rows = csv.reader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
        next(rows)
        for n, (label, sentence) in enumerate(rows):
            yield f"{path.stem}-{n:05}", LABELS[int(label)], sentence


def _phrases(words: list[str]) -> Iterable[str]:
    ends = range(len(words) + 1)
    return (" ".join(words[start:end]) for start in ends for end in ends if end - start >= FRAGMENT)


def imdb(archive: Path, text: TextSettings) -> Corpus:
    """The 50,000 reviews of Maas 2011 with their official sides, test texts that stand in train left out."""
    frame = table("imdb", _imdb_rows(archive), text)
    judged = frame["id"].str.startswith("test")
    train, test = frame[~judged], frame[judged]
    leaked = test["split_key"].isin(train["split_key"])
    repeated = int(test["split_key"].duplicated().sum())
    facts = {"test texts in train, removed": int(leaked.sum()), "test texts that repeat another": repeated}
    return _sides(train, test[~leaked], facts)


def _imdb_rows(archive: Path) -> Iterable[tuple[str, str, str]]:
    names = {"neg": "negative", "pos": "positive"}
    with tarfile.open(archive) as members:
        for member in members:
            path = Path(member.name)
            if member.isfile() and path.suffix == ".txt" and (stream := members.extractfile(member)):
                side, label = path.parts[-3:-1]
                yield f"{side}-{label}-{path.stem}", names[label], stream.read().decode("utf-8")


def table(source: str, rows: Iterable[tuple[str, str, str]], text: TextSettings) -> pd.DataFrame:
    """(id, label, raw text) as tasks.rows.LABELED, texts cleaned by the policy, by id."""
    raw = sorted(rows)
    content = {
        "id": [row[0] for row in raw],
        "text": [clean(row[2], text) for row in raw],
        "source": source,
        "split_key": [split_key(row[2], text.split_salt) for row in raw],
        "label": [row[1] for row in raw],
        "decided_by": "column",
        "ambiguous": False,
    }
    return pd.DataFrame(content).reindex(columns=LABELED.names).astype({"created_at": "datetime64[us, UTC]"})


def _sides(train: pd.DataFrame, test: pd.DataFrame, facts: dict[str, int]) -> Corpus:
    """Training rows that are a test row removed and counted; validation taken from train by split_key."""
    same = train["split_key"].isin(test["split_key"])
    train = train[~same]
    place = train["split_key"].str[:8].map(lambda digits: int(digits, 16) / 16**8)
    validation = place < VALIDATION / len(train)
    sides = {"train": train[~validation], "validation": train[validation], "test": test}
    return Corpus(sides, {"training texts equal to a test text, removed": int(same.sum()), **facts}, LABELS)
