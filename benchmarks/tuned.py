"""The default recipe on rows given as tables, and a frozen encoder beside it: what a model says of texts."""

import contextlib
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from corpora import Corpus
from numpy.typing import NDArray
from project import ROOT

from tasks.core.line import Line
from tasks.core.settings import line_params, parse, read_params
from tasks.rows import LABELED
from tasks.train import TrainSettings, computes_in_bf16, prepare_environment

LINE = Line("benchmark")
Floats = NDArray[np.float64]


def recipe(**changed: Any) -> TrainSettings:
    """The default line's block `train` with other values."""
    return parse(TrainSettings, line_params(read_params(ROOT / "params.yaml"), "sentiment")["train"] | changed, "train")


def rows(texts: list[str], labels: list[str], soft: Floats | None = None) -> pd.DataFrame:
    """A table as the split stage writes it (tasks.rows.LABELED)."""
    frame = pd.DataFrame({"id": [f"r{n:06}" for n in range(len(texts))], "text": texts, "label": labels})
    frame["soft"] = None if soft is None else list(soft.astype(np.float32))
    return frame.reindex(columns=LABELED.names).astype({"created_at": "datetime64[us, UTC]"})


def fine_tuned(
    train: pd.DataFrame, validation: pd.DataFrame, labels: list[str], texts: list[str], settings: TrainSettings
) -> Floats:
    """Logits [rows, classes] of texts by the encoder, fine-tuned on `train` to its best epoch on `validation`."""
    prepare_environment()
    import torch
    from transformers.utils import logging

    from tasks.batches import by_length, tokenize
    from tasks.checkpoints import Keeper
    from tasks.encoders import locate
    from tasks.kinds.classify.train import prepare
    from tasks.trainer import fit

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)))
    base = _located(locate, settings)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        Corpus({"train": train, "validation": validation}, {}, labels).write(LINE.folder)
        task = prepare(LINE, settings, base, computes_in_bf16(settings.precision))
        fit(task, settings, Keeper(Path("kept"), 3600), lambda _: None)
    task.finish()
    task.model.eval()
    tokens = tokenize(task.tokenizer, texts, settings.max_length)
    logits = np.empty((len(texts), len(labels)))
    with torch.inference_mode():
        for places in by_length(tokens.lengths, 64):
            logits[places] = task.model(**tokens.batch(places, torch.device("cpu"))).logits.numpy()
    return logits


def embedded(texts: list[str]) -> NDArray[np.float32]:
    """Mean-pooled outputs of the encoder as it comes, [rows, width], of length 1."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    from tasks.batches import by_length, tokenize
    from tasks.encoders import locate

    settings = recipe()
    folder = _located(locate, settings)
    model = AutoModel.from_pretrained(folder, local_files_only=True).eval()
    tokens = tokenize(AutoTokenizer.from_pretrained(folder), texts, settings.max_length)
    found = np.empty((len(texts), model.config.hidden_size), np.float32)
    with torch.inference_mode():
        for places in by_length(tokens.lengths, 64):
            given = tokens.batch(places, torch.device("cpu"))
            mask = given["attention_mask"][..., None]
            pooled = (model(**given).last_hidden_state * mask).sum(1) / mask.sum(1)
            found[places] = torch.nn.functional.normalize(pooled).numpy()
    return found


def linear(features: NDArray[Any], targets: Floats, given: NDArray[Any]) -> Floats:
    """Logits [rows, 2] of `given` by a logistic regression on distributions over two labels [rows, 2]."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=2000)
    classes = np.repeat([0, 1], len(targets))
    model.fit(np.concatenate([features, features]), classes, sample_weight=targets.T.ravel())
    scores = model.decision_function(given)
    return np.stack([-scores / 2, scores / 2], axis=1)


def interval(values: list[float]) -> tuple[float, float, float]:
    """Mean with its 95 % Student interval over seeds."""
    from scipy.stats import t

    found = np.array(values)
    half = t.ppf(0.975, len(found) - 1) * found.std(ddof=1) / len(found) ** 0.5 if len(found) > 1 else float("nan")
    return float(found.mean()), float(found.mean() - half), float(found.mean() + half)


def _located(locate: Any, settings: TrainSettings) -> Path:
    with contextlib.chdir(ROOT):
        return (ROOT / locate(settings.base_model)).resolve()
