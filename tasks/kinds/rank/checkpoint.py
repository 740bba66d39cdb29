"""The trained towers over histories."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.core.errors import StageError
from tasks.core.files import read_json
from tasks.kinds.rank.shared import history, rankings
from tasks.kinds.rank.shared.catalogue import ARRAYS, Catalogue
from tasks.kinds.rank.shared.history import Tastes

Floats = NDArray[np.float32]


class Checkpoint:
    """What train wrote: the user tower, and the items that it is multiplied with."""

    def __init__(self, folder: Path) -> None:
        """Load from train's folder. Raises StageError when its files do not make a model."""
        import torch
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        from tasks.kinds.rank.shared.towers import UserTower

        try:
            self.facts: dict[str, Any] = read_json(folder / "config.json")
            tensors = load_file(folder / "model.safetensors")
            entries = json.loads(tensors["entries"].numpy().tobytes())
            self.tower = UserTower()
            self.tower.load_state_dict(
                {name.removeprefix("user."): tensor for name, tensor in tensors.items() if name.startswith("user.")}
            )
            self.tower.eval()
            self.catalogue = Catalogue(entries["id"], entries["text"], *(tensors[name].numpy() for name in ARRAYS))
            self.tastes = Tastes(self.facts["like"], self.facts["dislike"])
            self.longest, self.temperature = int(self.facts["history"]), float(self.facts["temperature"])
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise StageError(f"{folder} holds no readable checkpoint ({reason}). Run the train stage again.") from None
        if not all(torch.isfinite(tensor).all() for tensor in tensors.values()):
            raise StageError(
                f"{folder} holds numbers that are not finite: training diverged. Lower train.learning_rate."
            )

    @property
    def labels(self) -> list[str]:
        """The items, in the order of the scores."""
        return self.catalogue.ids

    def scores(self, texts: Sequence[str], batch_size: int) -> Iterator[Floats]:
        """[rows, items] of some histories at a time, `batch_size` at most; -inf for what one names (if not all)."""
        import torch

        numbers = self.catalogue.numbers
        batch_size = min(batch_size, rankings.together(len(numbers)))
        for start in range(0, len(texts), batch_size):
            told, moments = zip(*map(history.parse, texts[start : start + batch_size]), strict=True)
            items, classes = history.arrays(told, numbers, self.tastes, self.longest)
            with torch.inference_mode():
                vectors = torch.from_numpy(self.catalogue.inward[items])
                user, _ = self.tower(vectors, torch.from_numpy(classes))
            found = user.numpy() @ self.catalogue.outward.T + self.catalogue.popular(moments)
            seen = history.seen(told, numbers)
            found[seen & ~seen.all(axis=1, keepdims=True)] = -np.inf
            yield found
