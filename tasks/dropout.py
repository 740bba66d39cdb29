"""Dropout on a CPU that costs little: torch draws one number per element there, on one thread."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

STEPS = 1 << 16  # the probability is taken to the nearest 1/65,536
INT64 = torch.iinfo(torch.int64)


class CheapDropout(TorchFunctionMode):
    """Inside this context `torch.nn.functional.dropout` takes four 16-bit draws from each 64-bit number of torch's
    generator: the same distribution, other numbers, an eighth of the time.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is nn.functional.dropout:
            return dropout(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def dropout(input: torch.Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> torch.Tensor:
    """As `torch.nn.functional.dropout`, for tensors on the CPU; never in place."""
    if not training or p == 0.0 or not 0.0 < p < 1.0 or input.device.type != "cpu":
        return nn.functional.dropout(input, p, training, inplace)
    dropped = round(p * STEPS)
    draws = torch.empty(-(-input.numel() // 4), dtype=torch.int64).random_(INT64.min, None)
    lanes = draws.view(torch.int16)[: input.numel()].view(input.shape)
    noise = lanes.ge(dropped - STEPS // 2).to(input.dtype).mul_(STEPS / (STEPS - dropped))
    return input * noise
