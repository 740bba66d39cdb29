"""Models of the default recipe on 40 % of the film sentences: the others are as new to them as live traffic."""

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from answered import Responder
from corpora import LABELS, Corpus
from numpy.typing import NDArray
from project import KEPT, Project, code

from tasks.core.line import Line
from tasks.core.settings import line_params, read_params
from tasks.rows import LABELED

TRAIN, VALIDATION = 0.36, 0.04
BATCH = 64


def model(n: int, film: pd.DataFrame) -> tuple[Responder, NDArray[np.int64]]:
    """The n-th model, trained now unless an earlier run did, and the places of the sentences that it has not seen."""
    order = np.random.default_rng([n, len(film)]).permutation(len(film))
    cuts = np.cumsum([round(TRAIN * len(film)), round(VALIDATION * len(film))])
    train, validation, unseen = np.split(order, cuts)
    checkpoint, key = _trained(n, film, train, validation)
    return Responder(key, _Answers(checkpoint, film.iloc[validation])), np.sort(unseen)


def _trained(n: int, film: pd.DataFrame, train: NDArray[Any], validation: NDArray[Any]) -> tuple[Path, str]:
    """The folder of the checkpoint, and a key that names recipe, code and rows."""
    params = line_params(read_params(), "sentiment")
    block: dict[str, Any] = {"kind": params["kind"], "train": {**params["train"], "seed": n}}
    what = [block, code(Line("sentiment", params["kind"]), ("train",)), film["split_key"].tolist(), n]
    key = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:12]
    sides = {"train": train, "validation": validation, "test": validation[:2]}
    with tempfile.TemporaryDirectory() as folder:
        Corpus({side: _labeled(film.iloc[np.sort(rows)]) for side, rows in sides.items()}, {}, LABELS).write(
            Path(folder)
        )
        project = Project(KEPT / f"monitored-{key}", "monitored", block, Path(folder))
    project.run("train")
    return project.data / "train", key


def _labeled(rows: pd.DataFrame) -> pd.DataFrame:
    """As the split stage writes rows."""
    named = rows.assign(
        id=[f"film-{place:05}" for place in rows.index], source="film", decided_by="ratings", ambiguous=False
    )
    return named.reindex(columns=LABELED.names).astype({"created_at": "datetime64[us, UTC]"})


class _Answers:
    """Calibrated probabilities and embeddings of a checkpoint, as its fp32 export would give them."""

    def __init__(self, checkpoint: Path, validation: pd.DataFrame) -> None:
        self.checkpoint, self.validation = checkpoint, validation

    def __call__(self, texts: list[str]) -> tuple[NDArray[Any], NDArray[Any]]:
        from tasks import calibration

        if not hasattr(self, "fitted"):
            actual = self.validation["label"].map(LABELS.index).to_numpy()
            self.fitted = calibration.fit(self._outputs(self.validation["text"].tolist())[0], actual)[0]
        logits, embeddings = self._outputs(texts)
        return calibration.apply(self.fitted, logits), embeddings

    def _outputs(self, texts: list[str]) -> tuple[NDArray[Any], NDArray[Any]]:
        import torch
        from transformers import AutoTokenizer

        from tasks.batches import by_length, tokenize
        from tasks.kinds.classify.export import wrap

        module, facts = wrap(self.checkpoint)
        tokens = tokenize(AutoTokenizer.from_pretrained(self.checkpoint), texts, facts["max_length"])
        logits = np.empty((len(texts), len(LABELS)))
        embeddings = np.empty((len(texts), module.model.config.hidden_size), np.float32)
        with torch.inference_mode():
            for rows in by_length(tokens.lengths, BATCH):
                given = tokens.batch(rows, torch.device("cpu"))
                one, embedding = module(given["input_ids"], given["attention_mask"])
                embeddings = (
                    np.empty((len(texts), embedding.shape[1]), np.float32) if embeddings is None else embeddings
                )
                logits[rows], embeddings[rows] = one.numpy(), embedding.numpy()
        return logits, embeddings
