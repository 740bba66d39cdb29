"""The moving average of the weights: steadier than what a single step leaves behind."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from tasks.checkpoints import Tensors


class Average:
    """The exponential moving average of some parameters over the steps (Polyak and Juditsky 1992).

    After n steps the decay is min(decay, (1 + n) / (10 + n)): what a training began with is soon forgotten.
    """

    def __init__(self, named: Mapping[str, nn.Parameter], decay: float) -> None:
        """`decay`: share of the average that a step leaves; 0.99 is about the last hundred steps."""
        self.named, self.decay = named, decay
        self.kept: Tensors = {}

    def take(self, step: int) -> None:
        """Take in the weights that step number `step`, counted from 1, has left."""
        if not self.kept:
            self.kept = {name: parameter.detach().clone() for name, parameter in self.named.items()}
        decay = min(self.decay, (1 + step) / (10 + step))
        get_ema_multi_avg_fn(decay)(list(self.kept.values()), list(self.named.values()), None)  # type: ignore[no-untyped-call]

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The average in the parameters' place inside the block, where there is one yet."""
        before = {name: self.named[name].detach().clone() for name in self.kept}
        self._set(self.kept)
        try:
            yield
        finally:
            self._set(before)

    def _set(self, tensors: Tensors) -> None:
        for name, tensor in tensors.items():
            self.named[name].data.copy_(tensor)
