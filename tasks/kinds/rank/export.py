"""The user tower to export: the items of a history in, a user out; and beside it the items that it is looked for in."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tasks import nearest
from tasks.core.files import read_json
from tasks.core.line import Line
from tasks.kinds.rank.checkpoint import Checkpoint
from tasks.kinds.rank.shared import catalogue
from tasks.kinds.rank.shared.history import LIKED, PADDING

CORE = ("user", "parts")
HEAD: tuple[str, ...] = ()
OUTPUTS = CORE


def calibrator(_fitted: Mapping[str, Any]) -> None:
    """None: probabilities are made behind the search."""


def calibration_of(variant: str, line: Line, core: Path, _signature: Mapping[str, Any]) -> dict[str, Any]:
    """The temperature that evaluate tells of; writes `<variant>.items.npz` beside the graph in the file `core`.

    Many items get an index, the file `<variant>.items.index`.
    """
    items = Checkpoint(line.folder / "train").catalogue
    catalogue.write(core.with_name(f"{variant}.{catalogue.FILE}"), items)
    if len(items.ids) >= nearest.LARGE:
        nearest.write(core.with_name(f"{variant}.{catalogue.INDEX}"), items.sought)
    known: dict[str, Any] = read_json(line.file("evaluate", "calibration.json"))
    return known


def example(_facts: Mapping[str, Any]) -> dict[str, Tensor]:
    """Nothing: there is no head to export."""
    return {}


def given(facts: Mapping[str, Any]) -> dict[str, Tensor]:
    """Two histories of different length to export with: a batch of one would be taken for fixed."""
    return {
        "vectors": torch.ones((2, 5, facts["width"])),
        "classes": torch.tensor([[LIKED] * 5, [LIKED] * 3 + [PADDING] * 2]),
    }


def wrap(checkpoint: Path) -> tuple[nn.Module, dict[str, Any]]:
    """The module to export for a checkpoint, and what its signature says of it."""
    model = Checkpoint(checkpoint)
    tastes = {"like": model.tastes.like, "dislike": model.tastes.dislike}
    facts = {"labels": model.labels, "max_length": model.longest, "pad_id": PADDING, "tastes": tastes}
    return model.tower, {**facts, "width": model.catalogue.inward.shape[1]}
