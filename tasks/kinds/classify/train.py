"""Training a classifier: one label per text, by any encoder with a sequence-classification head."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from tasks.batches import Tokens, by_length
from tasks.core.line import Line
from tasks.kinds.common.learning import VALIDATION_BATCH, Learner
from tasks.trainer import SCORE

if TYPE_CHECKING:
    from tasks.train import TrainSettings


class Classification(Learner):
    """A sequence classifier with its training and validation rows (tasks.trainer.Task)."""

    def __init__(self, line: Line, settings: "TrainSettings", base: Path, bf16: bool) -> None:
        """Read the rows and load the base model. Raises DataError, SettingsError or SourceError."""
        super().__init__(line, settings, base, bf16, "AutoModelForSequenceClassification", ignore_mismatched_sizes=True)
        self.model.config.problem_type = "single_label_classification"
        weights = class_weights(self.targets, len(self.labels)) if settings.class_weights == "balanced" else None
        self.criterion = nn.CrossEntropyLoss(weights, label_smoothing=settings.label_smoothing).to(self.device)

    def loss(self, rows: np.ndarray) -> torch.Tensor:
        """Cross-entropy of some training rows."""
        result: torch.Tensor = self.criterion(self._logits(self.tokens, rows), self._targets(self.targets[rows]))
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

    def _logits(self, tokens: Tokens, rows: np.ndarray) -> torch.Tensor:
        logits: torch.Tensor = self.said(self.batch(tokens, rows)).logits
        return logits.float()

    def _targets(self, codes: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(codes).to(self.device)


def prepare(line: Line, settings: "TrainSettings", base: Path, bf16: bool) -> Classification:
    """The task that tasks.train trains: reads label/labels.json, split/train.parquet, split/validation.parquet."""
    return Classification(line, settings, base, bf16)


def class_weights(codes: np.ndarray, classes: int) -> torch.Tensor:
    """Weights inverse to the classes' frequency, 1 on average over the rows."""
    return torch.from_numpy(len(codes) / (classes * np.bincount(codes, minlength=classes))).float()
