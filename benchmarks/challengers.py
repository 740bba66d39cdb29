"""Models of known worth: trained on a small part of the film sentences, judged on a pool that none of them has seen."""

import contextlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import corpora
import numpy as np
import pandas as pd
from corpora import Corpus
from numpy.typing import NDArray
from project import KEPT, ROOT, Figures, measured

from tasks.core.files import read_parquet, write_parquet
from tasks.core.settings import line_params, parse, read_params
from tasks.train import TrainSettings, computes_in_bf16, prepare_environment

TRAIN, VALIDATION = 0.28, 0.05  # shares of the film sentences; the pool is the rest, some 7,000 rows
SEEDS = 10
EPOCHS = 2  # one less than the default recipe: what counts here is that models differ, not how good they are
FLIPS = (0.1, 0.2, 0.3, 0.35, 0.4)  # shares of the training labels turned round
FEWER = (0.5, 0.3, 0.2, 0.1)  # shares of the training rows


@dataclass(frozen=True)
class Trained:
    """A model's answers on the pool, in the pool's order."""

    name: str
    probabilities: NDArray[np.float64]
    """[rows, classes], the softmax of its logits: not calibrated."""

    @property
    def predicted(self) -> NDArray[np.int64]:
        """[rows], class indices."""
        best: NDArray[np.int64] = self.probabilities.argmax(axis=1)
        return best


def pool() -> Corpus:
    """The film sentences dealt out anew, by the half of split_key that the split stage does not look at."""
    default = line_params(read_params(), "sentiment")
    rows = pd.concat(corpora.sentiment(default).sides.values()).sort_values("id", ignore_index=True)
    place = rows["split_key"].str[16:24].map(lambda digits: int(digits, 16) / 16**8)
    side = np.select([place < TRAIN, place < TRAIN + VALIDATION], ["train", "validation"], "test")
    sides = {name: rows[side == name].reset_index(drop=True) for name in corpora.SIDES}
    return Corpus(sides, {"pool": int((side == "test").sum())}, corpora.LABELS)


def recipes() -> dict[str, dict[str, float]]:
    """What each model differs in: its seed, the labels turned round, the rows it gets."""
    seeds = {f"seed {n}": {"seed": n} for n in range(SEEDS)}
    flipped = {f"{share:.0%} of labels turned": {"flips": share} for share in FLIPS}
    return seeds | flipped | {f"{share:.0%} of rows": {"rows": share} for share in FEWER}


def trained(corpus: Corpus) -> list[Trained]:
    """All models' answers on the pool; those that an earlier run trained are read."""
    return [Trained(name, _answers(corpus, recipe)) for name, recipe in recipes().items()]


def _answers(corpus: Corpus, recipe: dict[str, float]) -> NDArray[np.float64]:
    params = line_params(read_params(), "sentiment")
    train = {**params["train"], "epochs": EPOCHS, "seed": int(recipe.get("seed", 0))}
    line_block: dict[str, Any] = {"kind": params["kind"], "train": train}
    with tempfile.TemporaryDirectory() as folder:
        given(corpus, recipe).write(Path(folder))
        figures = measured("challenger", line_block, Path(folder), ("train",), lambda at: _keep(at, corpus, train))
    return np.array(read_parquet(KEPT / figures["file"])["probabilities"].tolist(), dtype=np.float64)


def given(corpus: Corpus, recipe: dict[str, float]) -> Corpus:
    """The rows that a model learns from. Its pool is left out: it is judged on it by us, not by the stage."""
    train = corpus.sides["train"]
    rng = np.random.default_rng(0)
    if share := recipe.get("rows"):
        train = train.iloc[np.sort(rng.choice(len(train), round(share * len(train)), replace=False))]
    if share := recipe.get("flips"):
        turned = rng.random(len(train)) < share
        other = train["label"].map(dict(zip(corpora.LABELS, reversed(corpora.LABELS), strict=True)))
        train = train.assign(label=train["label"].where(~turned, other))
    few = corpus.sides["test"].head(2)
    return Corpus({**corpus.sides, "train": train.reset_index(drop=True), "test": few}, {}, corpus.labels)


def _keep(folder: Path, corpus: Corpus, train: dict[str, Any]) -> Figures:
    """Let the checkpoint in train/ answer the pool, and write the answers down for good."""
    import torch

    from tasks.batches import by_length, tokenize
    from tasks.calibration import softmax
    from tasks.kinds.classify.checkpoint import Checkpoint

    prepare_environment()
    bf16 = computes_in_bf16(parse(TrainSettings, train, "train").precision)
    model = Checkpoint(folder / "train")
    tokens = tokenize(model.tokenizer, corpus.sides["test"]["text"].tolist(), model.max_length)
    logits = np.empty((len(tokens.lengths), len(model.labels)))
    with torch.inference_mode(), torch.autocast(model.device.type, torch.bfloat16, enabled=bf16):
        for rows in by_length(tokens.lengths, 64):
            logits[rows] = model.model(**tokens.batch(rows, model.device)).logits.float().cpu().numpy()
    file = Path("pool", f"{folder.parent.parent.name}.parquet")
    write_parquet(KEPT / file, pd.DataFrame({"probabilities": list(softmax(logits))}))
    return {"file": str(file)}


if __name__ == "__main__":
    from tasks.core.quiet import silence

    silence()
    with contextlib.chdir(ROOT):
        trained(pool())
