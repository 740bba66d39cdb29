"""Texts of several sources with a model's answers to them: what live traffic of a line would have left in its log.

Film sentences, product reviews, tweets and newspaper editorials with human ratings come out of vaderSentiment's source
archive, IMDB and financial news out of the folder that TIDEGATE_DATA names. Each text is answered once per model;
answers are kept.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import corpora
import numpy as np
import pandas as pd
from corpora import LABELS
from numpy.typing import NDArray
from project import KEPT, ROOT

from flows.demo import replay
from flows.settings import load
from tasks.core.errors import SourceError
from tasks.core.files import read_parquet, sha256, write_parquet
from tasks.core.settings import line_params, read_params
from tasks.drift.window import Window
from tasks.text import TextSettings, clean, split_key

DATA = Path(os.environ.get("TIDEGATE_DATA", ROOT.parent / "shared" / "data")).resolve()
FOREIGN = ("products", "editorials", "tweets")
HARMLESS: dict[str, Callable[[str], str]] = {
    "small letters": str.lower,
    "capitals": str.upper,
    "no punctuation": lambda text: re.sub(r"\s+", " ", re.sub(r"[^\w\s]", " ", text)).strip(),
    "more punctuation": lambda text: re.sub(r"[.,;]", lambda mark: mark[0] * 2, text) + " !",
}
"""What changes the look of a text and not what it says."""
PROJECTION = 24  # numbers, the prediction log's default

Answer = Callable[[list[str]], tuple[NDArray[Any], NDArray[Any]]]
"""Texts to probabilities [rows, classes] and embeddings [rows, width]."""


@dataclass(frozen=True)
class Responder:
    """A model that answers, and a key that its answers are kept under."""

    key: str
    answer: Answer


def policy() -> TextSettings:
    """The default line's text policy: what the service does to a text before it answers and logs."""
    return TextSettings.model_validate(line_params(read_params(), "sentiment")["text"])


def texts(name: str, rows: int | None = None) -> pd.DataFrame:
    """(text, label, split_key) of a source in the order of its file, each text once; a seeded sample of so many rows.

    Raises SourceError where the data are not there.
    """
    settings = policy()
    if name == "imdb":
        frame = corpora.load("imdb", DATA, settings).sides["test"]
    else:
        frame = _finance(settings) if name == "finance" else _rated(name, settings)
    frame = frame.drop_duplicates("text").drop_duplicates("split_key")[["text", "label", "split_key"]]
    if rows is not None and rows < len(frame):
        frame = frame.sample(rows, random_state=0).sort_index()
    return frame.reset_index(drop=True)


def _rated(name: str, settings: TextSettings) -> pd.DataFrame:
    """Rows whose mean rating decides for one side, as the default line labels its own."""
    return _cleaned([(row.text, row.label) for row in replay.rated(name, load()["sentiment"])], settings)


def _finance(settings: TextSettings) -> pd.DataFrame:
    """Sentences of financial news that half of their annotators or more found positive or negative."""
    path = DATA / "financial_phrasebank" / "Sentences_50Agree.txt"
    if not path.exists():
        raise SourceError(f"{path} is not there. Set TIDEGATE_DATA to the folder that holds it.")
    split = [line.rpartition("@") for line in path.read_text(encoding="latin-1").splitlines()]
    return _cleaned([(text, label.strip()) for text, _, label in split if label.strip() in LABELS], settings)


def _cleaned(rows: list[tuple[str, str]], settings: TextSettings) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["raw", "label"])
    frame["text"] = [clean(text, settings) for text in frame["raw"]]
    frame["split_key"] = [split_key(text, settings.split_salt) for text in frame["raw"]]
    return frame[frame["text"] != ""]


def answered(responder: Responder, name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """`frame` with `probabilities`, `projection` and the text's descriptors; answers of an earlier run are read."""
    from serving.log.descriptors import describe
    from serving.log.projection import project

    digest = hashlib.sha256(json.dumps(frame["text"].tolist()).encode()).hexdigest()[:8]
    path = KEPT / "traffic" / f"{responder.key}-{name.replace(' ', '-')}-{digest}.parquet"
    if path.exists():
        return read_parquet(path)
    print(f"{len(frame):,} texts of {name} are answered", flush=True)
    listed = frame["text"].tolist()
    probabilities, embeddings = responder.answer(listed)
    told = describe(listed)
    full = frame.assign(
        predicted=[LABELS[n] for n in probabilities.argmax(axis=1)],
        probabilities=list(probabilities.astype(np.float32)),
        projection=list(project(embeddings, PROJECTION).astype(np.float32)),
        characters=told.characters, words=told.words, non_letters=told.non_letters,
        script=told.script, script_share=told.script_share,
    )  # fmt: skip
    write_parquet(path, full)
    return full


def window(frame: pd.DataFrame, labelled: bool = False) -> Window:
    """Rows as the monitor sees them; without their true labels where these have not come yet."""
    return Window(
        text=frame["text"].tolist(),
        label=frame["predicted"].tolist(),
        probabilities=np.stack(frame["probabilities"].tolist()).astype(np.float32),
        projection=np.stack(frame["projection"].tolist()).astype(np.float32),
        characters=frame["characters"].to_numpy(np.int32),
        words=frame["words"].to_numpy(np.int32),
        non_letters=frame["non_letters"].to_numpy(np.float32),
        script=frame["script"].tolist(),
        script_share=frame["script_share"].to_numpy(np.float32),
        true_label=frame["label"].tolist() if labelled else [None] * len(frame),
    )


def accuracy(frame: pd.DataFrame) -> float:
    """Share of rows that the model labels as people did."""
    return float((frame["predicted"] == frame["label"]).mean())


def released(folder: Path) -> Responder:
    """A release's int8 variant, by the code that serves it."""
    from tasks.inference import Model

    def answer(listed: list[str]) -> tuple[NDArray[Any], NDArray[Any]]:
        found = Model.load(folder, "int8").predict(listed, cleaned=True)
        return found.probabilities, found.embeddings

    return Responder(sha256(folder / "manifest.json")[:12], answer)


def unseen(folder: Path, frame: pd.DataFrame) -> NDArray[np.int64]:
    """Places of the rows that the release was not trained on."""
    keys = read_parquet(folder / "split_keys.parquet")
    trained_on = set(keys.loc[keys["side"] == "train", "split_key"])
    return np.flatnonzero(~frame["split_key"].isin(trained_on).to_numpy())
