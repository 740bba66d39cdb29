"""The two towers: an item out of its text and its own part, a user out of the items of a history."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tasks.kinds.rank.shared import timeline
from tasks.kinds.rank.shared.history import CLASSES, DISLIKED, LIKED
from tasks.ranks import FALL, LEFT, PARTS, RankSettings

HEADS = PARTS
SLOW = 0.1
"""Of a step, what moves the items: they start in closed form, where there is far to fall."""
FEATURES = 16
ALL = slice(None)
SHARPNESS = 25.0  # of scores as logits, at the start: less of it, and popularity would be learned first


class UserTower(nn.Module):
    """`(vectors, classes)` to `user` [rows, width] and `parts` [rows, places, width], the summands that make it.

    vectors [rows, places, width] are the items of histories, the latest first, and classes int64 [rows, places] how
    they were rated (tasks.kinds.rank.shared.history). A user is the sum of the items, each weighed by its age and by
    how it was rated, by each of HEADS parts of the width in its own way.
    """

    def __init__(self, fall: float = FALL, left: float = LEFT) -> None:
        """As at the start: after `fall` events the weight of one has fallen by e, and `left` of it stays."""
        super().__init__()
        self.fall = nn.Parameter(torch.full((HEADS,), fall).log())
        self.left = nn.Parameter(torch.logit(torch.full((HEADS,), left)))
        rates = torch.zeros(CLASSES)
        rates[DISLIKED + 1], rates[LIKED] = 0.2, 1.0
        self.rates = nn.Parameter(rates.repeat(HEADS, 1))
        self.sharpness = nn.Parameter(torch.tensor(SHARPNESS).log())

    def weights(self, classes: Tensor) -> Tensor:
        """[rows, places, HEADS], how much each place of a history counts."""
        age = torch.arange(classes.shape[1], device=classes.device, dtype=torch.float32)
        left = torch.sigmoid(self.left)
        fallen = left + (1 - left) * torch.exp(-age[:, None] / self.fall.exp())
        rated = self.rates.T[classes] * (classes > 0)[..., None]
        return rated * fallen

    def forward(self, vectors: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
        """The user, and the summands that make it."""
        width = vectors.shape[-1] // HEADS
        weights = self.weights(classes).repeat_interleave(width, dim=-1)
        parts = self.sharpness.exp() * weights * vectors
        return parts.sum(dim=1), parts


class Towers(nn.Module):
    """Both towers over a fixed set of items."""

    texts: Tensor
    known: Tensor

    def __init__(self, texts: Tensor, start: Mapping[str, Any], known: Tensor, recipe: RankSettings) -> None:
        """`texts` [items, text width + 1] are embeddings with a 1 behind.

        `start` has `text_in` and `text_out` [text width + 1, width], and `own_in` and `own_out` [items, width], which
        count where an item is `known` [items] by behaviour. The rest starts as the recipe says.
        """
        super().__init__()
        self.user = UserTower(recipe.fall, recipe.left)
        self.popular = nn.Parameter(torch.tensor(recipe.popular).log())
        self.popularity = nn.Sequential(nn.Linear(timeline.WIDTH, FEATURES), nn.GELU(), nn.Linear(FEATURES, 1))
        nn.init.zeros_(self.popularity[2].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.popularity[2].bias)  # type: ignore[arg-type]
        self.register_buffer("texts", texts)
        self.register_buffer("known", known.float()[:, None])
        for name, tensor in start.items():
            self.register_buffer(f"start_{name}", tensor)
            self.register_parameter(name, nn.Parameter(torch.zeros_like(tensor)))

    def table(self, name: str, which: Tensor | slice = ALL) -> Tensor:
        """Rows of a part of the item tower: where it started, and what it learned since."""
        start: Tensor = getattr(self, f"start_{name}")
        learned: Tensor = getattr(self, name)
        return start[which] + SLOW * learned[which]

    def items(self, way: str, which: Tensor | slice = ALL, kept: Tensor | None = None) -> Tensor:
        """[items, width], `in` histories or `out` of them, of the items `which` by number.

        Where not `kept` [all items, 1], by text alone.
        """
        known = self.known[which] if kept is None else self.known[which] * kept[which]
        return self.texts[which] @ self.table(f"text_{way}") + known * self.table(f"own_{way}", which)

    def bias(self, features: Tensor) -> Tensor:
        """[..., items], what items have to say for themselves by how popular they are: features [..., items, WIDTH].

        It is for users of whom nothing is known. For others a share of it counts: the order is the same for both.
        """
        found: Tensor = features[..., timeline.LIKES] + self.popularity(features)[..., 0]
        return found

    def share(self, known: Tensor) -> Tensor:
        """[rows], how much of the bias counts for users, who are `known` [rows] by an event or are not."""
        return torch.where(known, self.popular.exp(), 1.0)
