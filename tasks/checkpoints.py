"""Where a broken training goes on: weights, optimizer, random state and position, written whole or not at all."""

import json
import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from tasks.core.errors import BusyError
from tasks.core.files import write_json
from tasks.core.line import STATE

log = logging.getLogger("tidegate")

CHECKPOINTS = STATE / "checkpoints"
POSITION = "checkpoint.json"

Tensors = dict[str, torch.Tensor]


@dataclass
class Saved:
    """One checkpoint. `best` is None until the first epoch was scored."""

    state: Tensors
    best: Tensors | None
    position: dict[str, Any]


class Keeper:
    """The checkpoints of one training, newest only, in a folder of their own.

    checkpoint.json is written last and by renaming: it names the files that belong to it, so that a kill at any moment
    leaves either the earlier checkpoint or the new one.
    """

    def __init__(self, folder: Path, every: float) -> None:
        """`every`: seconds between checkpoints."""
        self.folder, self.every = folder, every
        self.last = time.monotonic()

    def due(self) -> bool:
        """Whether it is time for the next one."""
        return time.monotonic() - self.last >= self.every

    def save(self, saved: Saved) -> None:
        """Write a checkpoint and remove the one before. `position` must hold `step` and `best_epoch`."""
        files = {"state": f"state-{saved.position['step']}.safetensors"}
        self._write(files["state"], saved.state)
        if saved.best is not None:
            files["best"] = f"best-{saved.position['best_epoch']}.safetensors"
            if not (self.folder / files["best"]).exists():
                self._write(files["best"], saved.best)
        write_json(self.folder / POSITION, {"files": files, "position": saved.position})
        for path in self.folder.glob("*.safetensors"):
            if path.name not in files.values():
                path.unlink()
        self.last = time.monotonic()

    def load(self) -> Saved | None:
        """The checkpoint, None where there is none. One that cannot be read is left aside, and training starts anew."""
        path = self.folder / POSITION
        if not path.exists():
            return None
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            files = {name: load_file(self.folder / file) for name, file in content["files"].items()}
            return Saved(files["state"], files.get("best"), content["position"])
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            log.warning("The checkpoint in %s cannot be read (%s): training starts anew.", self.folder, error)
            return None

    def _write(self, name: str, tensors: Tensors) -> None:
        temporary = self.folder / f"{name}.tmp"
        save_file({key: tensor.detach().contiguous() for key, tensor in tensors.items()}, temporary)
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        temporary.replace(self.folder / name)


@contextmanager
def kept(key: str, every: float) -> Iterator[Keeper]:
    """The checkpoints of the training that `key` names, locked; removed when the block ends without an error.

    Raises BusyError when another process trains the same.
    """
    folder = CHECKPOINTS / key
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(CHECKPOINTS / f"{key}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise BusyError(
            f"Another process is running this very training (its lock is {lock.lock_file}). Wait for it or end it."
        ) from None
    try:
        yield Keeper(folder, every)
        shutil.rmtree(folder)
        Path(lock.lock_file).unlink(missing_ok=True)
    finally:
        lock.release()
