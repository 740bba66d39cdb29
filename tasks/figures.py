"""The figures of evaluate by which people know a model: one order for all kinds, the main one first."""

from collections.abc import Mapping
from typing import Any, NamedTuple

TOLD = {
    "ndcg_at_10": "NDCG@10", "recall_at_10": "recall@10", "mrr_at_10": "MRR@10", "accuracy": "accuracy",
    "f1_macro": "macro F1",
}  # fmt: skip
"""Keys of metrics.json, with their names; what a kind does not have is not told of it."""


class Told(NamedTuple):
    """A figure, and what it is called."""

    name: str
    value: float

    @property
    def shown(self) -> str:
        """The value; a share of rows in percent."""
        return f"{self.value:.1%}" if self.name == TOLD["accuracy"] else f"{self.value:.4f}"


def told(metrics: Mapping[str, Any]) -> list[Told]:
    """The figures that metrics.json has, the main one of the kind first."""
    return [Told(name, float(metrics[key])) for key, name in TOLD.items() if key in metrics]
