"""Training an encoder of texts so that texts with the same answer lie near each other."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from tasks import search
from tasks.batches import Tokens, by_length
from tasks.core.line import Line
from tasks.kinds.common.learning import VALIDATION_BATCH, Learner
from tasks.kinds.common.pooling import pooled
from tasks.trainer import SCORE

if TYPE_CHECKING:
    from tasks.train import TrainSettings


class Retrieval(Learner):
    """A bi-encoder with its training and validation rows (tasks.trainer.Task)."""

    def __init__(self, line: Line, settings: "TrainSettings", base: Path, bf16: bool) -> None:
        """Read the rows and load the base model. Raises DataError, SettingsError or SourceError."""
        super().__init__(line, settings, base, bf16, "AutoModel")
        self.partners = Partners(self.targets)

    def loss(self, rows: np.ndarray) -> torch.Tensor:
        """InfoNCE (van den Oord et al. 2018) with in-batch negatives (Henderson et al. 2017).

        Each row looks for another training row of its label among those of the whole batch; those that share its label
        as well are left out of the comparison.
        """
        asked, found = self._embed(self.tokens, np.concatenate([rows, self.partners.draw(rows)])).chunk(2)
        labels = torch.from_numpy(self.targets[rows]).to(self.device)
        others = (labels[:, None] == labels).fill_diagonal_(False)
        logits = (search.SCALE * asked @ found.T).masked_fill(others, -torch.inf)
        return nn.functional.cross_entropy(logits, torch.arange(len(rows), device=self.device))

    def validate(self) -> dict[str, float]:
        """Validation rows look for their label among the training rows; the score is MRR@10."""
        index = search.Exact(self._all(self.tokens), self.targets, len(self.labels))
        places = search.ranks(index.similarities(self._all(self.validation)), self.actual)
        mrr = float(search.reciprocal(places).mean())
        return {
            "validation_accuracy": float((places == 1).mean()),
            "validation_recall_at_5": float((places <= 5).mean()),
            "validation_mrr_at_10": mrr,
            SCORE: mrr,
        }

    def _embed(self, tokens: Tokens, rows: np.ndarray) -> torch.Tensor:
        inputs = self.batch(tokens, rows)
        return pooled(self.said(inputs).last_hidden_state.float(), inputs["attention_mask"])

    def _all(self, tokens: Tokens) -> np.ndarray:
        """[rows, width], the embedding of every row."""
        parts = by_length(tokens.lengths, VALIDATION_BATCH)
        with torch.inference_mode():
            found = [self._embed(tokens, rows).cpu().numpy() for rows in parts]
        result = np.empty((len(tokens.lengths), found[0].shape[1]), dtype=np.float32)
        result[np.concatenate(parts)] = np.concatenate(found)
        return result


class Partners:
    """For each row another of its label; a row that is alone in its label is its own partner, under other dropout."""

    def __init__(self, labels: np.ndarray) -> None:
        """`labels` [rows], label indices."""
        self.order = np.argsort(labels, kind="stable")
        counts = np.bincount(labels)
        self.counts, self.first = counts[labels], (np.cumsum(counts) - counts)[labels]
        self.rank = np.empty(len(labels), dtype=np.int64)
        self.rank[self.order] = np.arange(len(labels)) - self.first[self.order]

    def draw(self, rows: np.ndarray) -> np.ndarray:
        """A partner for each of some rows, by torch's generator: a resumed training draws on where it stood."""
        chance = torch.rand(len(rows), dtype=torch.float64).numpy()
        step = 1 + (chance * (self.counts[rows] - 1)).astype(np.int64)
        found: np.ndarray = self.order[self.first[rows] + (self.rank[rows] + step) % self.counts[rows]]
        return found


def prepare(line: Line, settings: "TrainSettings", base: Path, bf16: bool) -> Retrieval:
    """The task that tasks.train trains: reads label/labels.json, split/train.parquet, split/validation.parquet."""
    return Retrieval(line, settings, base, bf16)
