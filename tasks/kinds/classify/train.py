"""Training a classifier: one label per text, by any encoder with a sequence-classification head."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from tasks.batches import Tokens, by_length, tokenize
from tasks.core.errors import DataError, SettingsError, SourceError
from tasks.core.files import read_json, read_parquet
from tasks.core.line import Line
from tasks.embedding import compute_in_bf16, restore, shrink
from tasks.trainer import SCORE

if TYPE_CHECKING:
    import pandas as pd

    from tasks.train import TrainSettings

VALIDATION_BATCH = 128


class Classification:
    """A sequence classifier with its training and validation rows (tasks.trainer.Task)."""

    def __init__(self, line: Line, settings: "TrainSettings", base: Path, bf16: bool) -> None:
        """Read the rows and load the base model. Raises DataError, SettingsError or SourceError."""
        self.labels: list[str] = read_json(line.file("label", "labels.json"))
        rows = {side: _rows(line, side, self.labels) for side in ("train", "validation")}
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.bf16 = bf16
        self.tokenizer, self.model = _load(base, self.labels, settings)
        self.tokens, self.validation = (
            tokenize(self.tokenizer, rows[side]["text"].tolist(), settings.max_length) for side in rows
        )
        ids = np.union1d(self.tokens.ids, self.validation.ids)
        self.embedding = shrink(self.model, ids, self.tokenizer.pad_token_id)
        self.cast = compute_in_bf16(self.model) if bf16 and self.device.type == "cpu" else None
        self.model.to(self.device)
        self.lengths = self.tokens.lengths
        self.targets, self.actual = (_codes(rows[side]["label"], self.labels) for side in rows)
        classes, soft = len(self.labels), rows["train"]["soft"]
        self.soft = soft_targets(soft, self.targets, classes) if settings.soft_labels else None
        totals = np.bincount(self.targets, minlength=classes) if self.soft is None else self.soft.sum(0, dtype=float)
        weights = class_weights(totals) if settings.class_weights == "balanced" else None
        self.criterion = nn.CrossEntropyLoss(weights, label_smoothing=settings.label_smoothing).to(self.device)

    def loss(self, rows: np.ndarray) -> torch.Tensor:
        """Cross-entropy of some training rows."""
        logits = self._logits(self.tokens, rows)
        if self.soft is not None:
            return soft_cross_entropy(self.criterion, logits, self._targets(self.soft[rows]))
        result: torch.Tensor = self.criterion(logits, self._targets(self.targets[rows]))
        return result

    def validate(self) -> dict[str, float]:
        """Loss, accuracy and macro F1 on the validation rows; the score is macro F1."""
        from sklearn.metrics import accuracy_score, f1_score

        logits = torch.empty(len(self.actual), len(self.labels))
        with torch.inference_mode():
            for rows in by_length(self.validation.lengths, VALIDATION_BATCH):
                logits[torch.from_numpy(rows)] = self._logits(self.validation, rows).cpu()
            loss = nn.functional.cross_entropy(logits, torch.from_numpy(self.actual))
        predicted = logits.argmax(1).numpy()
        codes = range(len(self.labels))
        f1 = float(f1_score(self.actual, predicted, labels=codes, average="macro", zero_division=0.0))
        return {
            "validation_loss": float(loss),
            "validation_accuracy": float(accuracy_score(self.actual, predicted)),
            "validation_f1_macro": f1,
            SCORE: f1,
        }

    def finish(self) -> None:
        """Give the model back what it was loaded with: its whole embedding, in fp32."""
        restore(self.model, self.embedding)
        self.embedding = None
        if self.cast is not None:
            self.cast.remove()

    def save(self, out: Path) -> None:
        """Write config.json, model.safetensors, tokenizer.json and tokenizer_config.json."""
        self.finish()
        self.model.save_pretrained(out)
        self.tokenizer.save_pretrained(out)
        (out / "model.safetensors").chmod(0o644)

    def _logits(self, tokens: Tokens, rows: np.ndarray) -> torch.Tensor:
        precision: Any = torch.autocast(self.device.type, torch.bfloat16) if self.bf16 else nullcontext()
        with precision:
            logits: torch.Tensor = self.model(**tokens.batch(rows, self.device)).logits
        return logits.float()

    def _targets(self, targets: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(targets).to(self.device)


def prepare(line: Line, settings: "TrainSettings", base: Path, bf16: bool) -> Classification:
    """The task that tasks.train trains: reads label/labels.json, split/train.parquet, split/validation.parquet."""
    return Classification(line, settings, base, bf16)


def class_weights(totals: np.ndarray) -> torch.Tensor:
    """Weights inverse to the rows of each class ([classes]), 1 on average over the rows."""
    return torch.from_numpy(totals.sum() / (len(totals) * totals)).float()


def soft_targets(soft: "pd.Series[Any]", codes: np.ndarray, classes: int) -> np.ndarray | None:
    """[rows, classes] probabilities that add up to 1, one-hot where a row has none; None where no row has any."""
    given = soft.notna().to_numpy()
    if not given.any():
        return None
    targets: np.ndarray = np.eye(classes, dtype=np.float32)[codes]
    known = np.stack(soft[given].to_list())
    targets[given] = known / known.sum(axis=1, keepdims=True)
    return targets


def soft_cross_entropy(criterion: nn.CrossEntropyLoss, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Cross-entropy with distributions; one-hot ones give what the class itself gives, with class weights too.

    torch divides by the rows there, and by the rows' weights where targets are classes.
    """
    weight, smoothing = criterion.weight, criterion.label_smoothing
    total = nn.functional.cross_entropy(logits, targets, weight, reduction="sum", label_smoothing=smoothing)
    return total / (len(targets) if weight is None else (targets @ weight).sum())


def _rows(line: Line, side: str, labels: list[str]) -> "pd.DataFrame":
    """One side of the split. Raises DataError when it cannot be learnt from or scored on."""
    path = line.file("split", f"{side}.parquet")
    frame = read_parquet(path, ["text", "label", "soft"] if side == "train" else ["text", "label"])
    counts = frame["label"].value_counts()
    if len(labels) < 2:
        raise DataError(f"{line.file('label', 'labels.json')} names {labels}: a classifier needs two labels or more.")
    if unknown := sorted(set(counts.index) - set(labels)):
        raise DataError(
            f"{path} holds labels outside the set {labels}: {', '.join(map(str, unknown))}. Run label again."
        )
    if frame.empty:
        raise DataError(
            f"{path} holds no rows. Bring more data, or give {side} a larger share in lines.{line.name}.split."
        )
    if side == "train" and (missing := [label for label in labels if label not in counts.index]):
        raise DataError(
            f"{path} holds no row labelled {', '.join(missing)} ({len(frame)} rows in all). Bring more data, or take "
            f"the label out of lines.{line.name}.label.labels."
        )
    return frame


def _codes(labels: "pd.Series[str]", names: list[str]) -> np.ndarray:
    return labels.map({name: code for code, name in enumerate(names)}).to_numpy(dtype=np.int64, copy=True)


def _load(base: Path, labels: list[str], settings: "TrainSettings") -> tuple[Any, Any]:
    """Tokenizer and model with a fresh head, drawn from the seed."""
    from safetensors import SafetensorError
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    with torch.random.fork_rng(), _quiet():
        torch.manual_seed(settings.seed)
        try:
            tokenizer: Any = AutoTokenizer.from_pretrained(base, local_files_only=True)
            model: Any = AutoModelForSequenceClassification.from_pretrained(
                base,
                local_files_only=True,
                use_safetensors=True,
                dtype=torch.float32,
                attn_implementation=_attention(),
                id2label=dict(enumerate(labels)),
                label2id={label: code for code, label in enumerate(labels)},
                ignore_mismatched_sizes=True,
            )
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise SourceError(f"The base model in {base} cannot be loaded as a text classifier: {reason}") from None
    _fits(tokenizer, model, settings)
    return tokenizer, model


@contextmanager
def _quiet() -> Iterator[None]:
    """Without transformers' bars and its report that the head is new, as it must be."""
    from transformers.utils import logging

    before: Any = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.set_verbosity(before[0])
        if before[1]:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _attention() -> str | None:
    """On a CPU, fused attention falls back to a slow path when attention weights are dropped out: plain is faster."""
    return None if torch.cuda.is_available() else "eager"


def _fits(tokenizer: Any, model: Any, settings: "TrainSettings") -> None:
    if not tokenizer.is_fast or tokenizer.pad_token_id is None:
        raise SourceError(
            "The base model's tokenizer cannot be used: it needs a tokenizer.json with a padding token. "
            "Choose another train.base_model."
        )
    limit = min(getattr(model.config, "max_position_embeddings", settings.max_length), tokenizer.model_max_length)
    if settings.max_length > limit:
        raise SettingsError(f"train.max_length is {settings.max_length}; the base model takes at most {limit} tokens.")
    tokenizer.model_max_length = settings.max_length
    model.config.problem_type = "single_label_classification"
