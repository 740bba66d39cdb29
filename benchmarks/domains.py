"""Labelled texts of several domains with a release's answers to them, asked once and kept.

The release's own test and validation rows are `film`; what it was trained on is in none of them.
"""

import hashlib
import os
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from project import KEPT, ROOT

from flows.demo import replay
from flows.settings import load
from flows.window import reference
from serving.log import projection
from serving.log.descriptors import describe
from tasks.bundle import release_id
from tasks.core.errors import SourceError
from tasks.drift.window import Window
from tasks.inference import Model, read_policy

WIDTH = 24  # the log's own default
IMDB_ROWS = 4_000  # of 50,000: a window needs 500
LABELS = ("negative", "positive")


@dataclass(frozen=True)
class Domain:
    """Texts of one origin as a window, every row with its true label."""

    name: str
    window: Window

    def right(self) -> NDArray[np.bool_]:
        """Row by row whether the model is right."""
        return np.array([a == b for a, b in zip(self.window.label, self.window.true_label, strict=True)])


def data() -> Path:
    """The folder of public data sets."""
    return Path(os.environ.get("TIDEGATE_DATA", ROOT.parent / "shared" / "data")).resolve()


def domains(bundle: Path, variant: str, names: Iterable[str]) -> list[Domain]:
    """Domains by name: film, products, tweets, editorials, imdb, finance. Raises SourceError where data are absent."""
    return [Domain(name, _kept(bundle, variant, name)) for name in names]


def _kept(bundle: Path, variant: str, name: str) -> Window:
    """The answers that an earlier run kept, or new ones."""
    if name == "film":
        return reference(bundle, variant, WIDTH, 100_000, 0).window
    path = KEPT / "domains" / f"{release_id(bundle)}-{variant}-{name}.parquet"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        _answered(bundle, variant, READERS[name]()).to_parquet(path)
    frame = pd.read_parquet(path)
    return window(
        frame["text"].tolist(), frame["label"].tolist(), np.stack(frame["probabilities"].tolist()),
        np.stack(frame["projection"].tolist()), frame["true_label"].tolist(),
    )  # fmt: skip


def _answered(bundle: Path, variant: str, rows: list[tuple[str, str]]) -> pd.DataFrame:
    model, clean = Model.load(bundle, variant), read_policy(bundle / "text_policy.json") or str
    texts = [clean(text) for text, _ in rows]
    answers = model.predict(texts, cleaned=True)
    return pd.DataFrame(
        {
            "text": texts,
            "true_label": [label for _, label in rows],
            "label": answers.labels,
            "probabilities": list(answers.probabilities),
            "projection": list(projection.project(answers.embeddings, WIDTH).astype(np.float32)),
        }
    )


def window(
    texts: list[str], labels: list[str], probabilities: NDArray[np.float32], projected: NDArray[np.float32],
    true: list[str],
) -> Window:  # fmt: skip
    """A window of texts with a model's answers."""
    about = describe(texts)
    return Window(
        text=texts, label=labels, probabilities=probabilities.astype(np.float32),
        projection=projected.astype(np.float32), characters=np.array(about.characters, np.int32),
        words=np.array(about.words, np.int32), non_letters=np.array(about.non_letters, np.float32),
        script=about.script, script_share=np.array(about.script_share, np.float32), true_label=true,
    )  # fmt: skip


def _elsewhere(origin: str) -> list[tuple[str, str]]:
    return [(row.text, row.label) for row in replay.elsewhere(load()["sentiment"]) if row.origin == origin]


def _imdb() -> list[tuple[str, str]]:
    """Reviews drawn by a hash of their file's name, both labels, both official sides."""
    archive = data() / "imdb" / "aclImdb_by_file.tar.gz"
    if not archive.exists():
        raise SourceError(f"{archive} is not there. Set TIDEGATE_DATA to the folder that holds it.")
    rows = []
    with tarfile.open(archive) as members:
        for member in members:
            path = PurePosixPath(member.name)
            label = {"neg": LABELS[0], "pos": LABELS[1]}.get(path.parent.name)
            drawn = int(hashlib.sha256(member.name.encode()).hexdigest()[:8], 16) / 2**32 < IMDB_ROWS / 50_000
            if label and member.isfile() and path.suffix == ".txt" and drawn:
                stream = members.extractfile(member)
                rows.append((stream.read().decode() if stream else "", label))
    return rows


def _finance() -> list[tuple[str, str]]:
    """Sentences of financial news on which half of the annotators or more agree; neutral ones left out."""
    path = data() / "financial_phrasebank" / "Sentences_50Agree.txt"
    if not path.exists():
        raise SourceError(f"{path} is not there. Set TIDEGATE_DATA to the folder that holds it.")
    split = [line.rpartition("@") for line in path.read_text(encoding="latin-1").splitlines()]
    return [(text, label.strip()) for text, _, label in split if label.strip() in LABELS]


READERS: dict[str, Callable[[], list[tuple[str, str]]]] = {
    **{name: lambda name=name: _elsewhere(name) for name in replay.ELSEWHERE},  # type: ignore[misc]
    "imdb": _imdb,
    "finance": _finance,
}


def joined(one: Window, other: Window) -> Window:
    """The rows of both."""

    def both(name: str) -> object:
        columns = getattr(one, name), getattr(other, name)
        return np.concatenate(columns) if isinstance(columns[0], np.ndarray) else [*columns[0], *columns[1]]

    return Window(**{name: both(name) for name in Window.__dataclass_fields__})  # type: ignore[arg-type]
