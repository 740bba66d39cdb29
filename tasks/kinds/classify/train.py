"""Training a classifier: one label per text, by any encoder with a sequence-classification head."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from tasks.batches import Tokens, by_length
from tasks.core.line import Line
from tasks.kinds.classify.shared import probe
from tasks.kinds.classify.shared.model import EmbeddingClassifier
from tasks.kinds.common.learning import VALIDATION_BATCH, Learner
from tasks.trainer import SCORE

if TYPE_CHECKING:
    import pandas as pd

    from tasks.train import TrainSettings


class Classification(Learner):
    """A sequence classifier with its training and validation rows (tasks.trainer.Task)."""

    def __init__(self, line: Line, settings: "TrainSettings", base: Path, bf16: bool) -> None:
        """Read the rows and load the base model. Raises DataError, SettingsError or SourceError."""
        self.settings = settings
        auto = EmbeddingClassifier if settings.head == "probe" else "AutoModelForSequenceClassification"
        super().__init__(line, settings, base, bf16, auto, ignore_mismatched_sizes=True)
        self.model.config.problem_type = "single_label_classification"
        classes = len(self.labels)
        self.soft = soft_targets(self.given, self.targets, classes) if settings.soft_labels else None
        totals = np.bincount(self.targets, minlength=classes) if self.soft is None else self.soft.sum(0, dtype=float)
        weights = class_weights(totals) if settings.class_weights == "balanced" else None
        self.criterion = nn.CrossEntropyLoss(weights, label_smoothing=settings.label_smoothing).to(self.device)

    def begin(self) -> bool:
        """Set the head to the probe of the encoder as it is, where that is asked for."""
        if self.settings.head != "probe":
            return False
        rows = probe.drawn(self.targets, self.settings.seed)
        weight, bias = probe.logistic(self._embeddings(rows), self.targets[rows], self.settings.class_weights)
        head = self.model.classifier
        with torch.no_grad():
            head.weight.copy_(torch.from_numpy(weight))
            head.bias.copy_(torch.from_numpy(bias))
        return True

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

    def _embeddings(self, rows: np.ndarray) -> np.ndarray:
        """[rows, width] of some training rows, as the head gets them."""
        found = np.empty((len(rows), self.model.config.hidden_size), np.float32)
        with torch.inference_mode(), self.precision():
            for places in by_length(self.lengths[rows], VALIDATION_BATCH):
                embedding, _ = self.model.embed(**self.batch(self.tokens, rows[places]))
                found[places] = embedding.float().cpu().numpy()
        return found

    def _logits(self, tokens: Tokens, rows: np.ndarray) -> torch.Tensor:
        logits: torch.Tensor = self.said(self.batch(tokens, rows)).logits
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
