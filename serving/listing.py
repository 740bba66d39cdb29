"""Lists of items as the batcher computes them: what users get is what the log keeps."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from serving.served import Row, Served
from tasks.kinds.rank.serve import Answering
from tasks.kinds.rank.shared.lists import Wanted


@dataclass(frozen=True)
class Listing:
    """Lists of one sort by one release of kind `rank`. Equal ones are computed together."""

    served: Served
    wanted: Wanted

    def compute(self, texts: Sequence[str]) -> list[Row]:
        """The list of each history: its first item as the label, "" without one; 0 behind the last probability."""
        model = self.served.model
        assert isinstance(model.answering, Answering)  # noqa: S101 - the kind was seen to
        cleaned = [model.clean(text) for text in texts] if model.clean else list(texts)
        lists, users = model.answering.lists(model.session, cleaned, self.wanted)
        chances = np.zeros((len(texts), self.wanted.top), np.float32)
        for row, listed in zip(chances, lists, strict=True):
            row[: len(listed)] = [item.score for item in listed]
        first = [listed[0].item if listed else "" for listed in lists]
        return [Row(*row[:4], listed=row[4]) for row in zip(cleaned, first, chances, users, lists, strict=True)]

    def cost(self, text: str) -> int:
        """Tokens, about."""
        return self.served.cost(text)
