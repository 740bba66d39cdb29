"""The training loop: any task that knows its loss and its score, to the best epoch, resumable at any moment."""

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import nn

from tasks.average import Average
from tasks.batches import shuffled
from tasks.checkpoints import Keeper, Saved, Tensors
from tasks.core.errors import StageError
from tasks.core.progress import Progress, progress
from tasks.dropout import CheapDropout

if TYPE_CHECKING:
    from tasks.train import TrainSettings

log = logging.getLogger("tidegate")

SCORE = "validation_score"
Report = Callable[[dict[str, float]], None]


class Task(Protocol):
    """What a task kind brings to the loop."""

    model: nn.Module
    lengths: np.ndarray
    """Tokens per training row: rows of like length share a batch."""

    def begin(self) -> bool:
        """Set what a training starts from, once; whether that is worth being judged as epoch 0."""
        ...

    def loss(self, rows: np.ndarray) -> torch.Tensor:
        """Mean loss over training rows, given by number."""
        ...

    def validate(self) -> dict[str, float]:
        """Figures on the validation rows; the epoch with the highest `validation_score` is kept.

        Without one it is the last.
        """
        ...

    def refit(self, history: list[dict[str, float]]) -> "TrainSettings | None":
        """How to train once more, after the training that left this history; None where once is enough.

        The task is then ready for it: its model is as at the beginning, and its rows are those to train on.
        """
        ...


@dataclass
class Position:
    """How far a training has come; `batch` batches of epoch `epoch` are done."""

    step: int = 0
    epoch: int = 0
    batch: int = 0
    best_score: float | None = None
    best_epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)


def fit(task: Task, recipe: "TrainSettings", keeper: Keeper, report: Report) -> list[dict[str, float]]:
    """Train `task.model` in place and leave the weights of its best epoch in it.

    AdamW with linear warm-up and decay, gradient clipping, early stopping after `patience` epochs without a better
    score; a start that is worth it is judged too, and may be the best. With `average` it is the weights' moving average
    that is judged and kept. Every `log_steps` steps and at each epoch's end
    a record goes to `report`, those of an earlier, broken run first; returned are all records. Raises StageError when
    the loss is no longer finite.
    """
    with _reproducible(recipe.seed):
        loop = _Loop(task, recipe, keeper, report)
        if not loop.resume():
            loop.begin()
        rows = len(task.lengths)
        done = loop.at.epoch * rows + min(rows, loop.at.batch * recipe.batch_size)
        with progress("train", recipe.epochs * rows, done=done) as bar:
            while not loop.finished():
                loop.epoch(bar)
        loop.restore_best()
        return loop.at.history


def schedule(step: int, steps: int, warmup: float) -> float:
    """Share of the peak learning rate at a step counted from 0: up linearly, then down linearly to 0 after the last."""
    rising = math.ceil(steps * warmup)
    return (step + 1) / (rising + 1) if step < rising else (steps - step) / (steps - rising)


class _Loop:
    def __init__(self, task: Task, recipe: "TrainSettings", keeper: Keeper, report: Report) -> None:
        self.task, self.recipe, self.keeper, self.report = task, recipe, keeper, report
        self.named = {name: p for name, p in task.model.named_parameters() if p.requires_grad}
        self.optimizer = adamw(task.model, recipe)
        self.steps = recipe.epochs * math.ceil(len(task.lengths) / recipe.batch_size)
        self.average = Average(self.named, recipe.average) if recipe.average else None
        self.at = Position()
        self.best: Tensors | None = None

    def finished(self) -> bool:
        return self.at.epoch >= self.recipe.epochs or self.at.epoch - self.at.best_epoch >= self.recipe.patience

    def begin(self) -> None:
        self.task.model.eval()
        if self.task.begin():
            self.judge([])

    def epoch(self, bar: Progress) -> None:
        """From the position to the end of its epoch."""
        rng = np.random.default_rng([self.recipe.seed, self.at.epoch])
        batches = shuffled(self.task.lengths, self.recipe.batch_size, rng)
        losses: list[torch.Tensor] = []
        self.task.model.train()
        for rows in batches[self.at.batch :]:
            losses.append(self.step(rows))
            bar.update(len(rows))
            self.at.batch += 1
            if len(losses) == self.recipe.log_steps and self.at.batch < len(batches):
                self.record(losses, self.at.epoch + self.at.batch / len(batches))
                losses = []
                if self.keeper.due():
                    self.save()
        self.at.epoch, self.at.batch = self.at.epoch + 1, 0
        self.judge(losses)

    def step(self, rows: np.ndarray) -> torch.Tensor:
        rate = self.recipe.learning_rate * schedule(self.at.step, self.steps, self.recipe.warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with CheapDropout():
            loss = self.task.loss(rows)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.named.values(), self.recipe.gradient_clip, foreach=True)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.at.step += 1
        if self.average is not None:
            self.average.take(self.at.step)
        return loss.detach()

    def judge(self, losses: list[torch.Tensor]) -> None:
        self.task.model.eval()
        with self.average.in_place() if self.average else nullcontext():
            figures = self.task.validate()
            self.record(losses, self.at.epoch, figures)
            score = figures.get(SCORE, float(self.at.epoch))
            if self.at.best_score is None or score > self.at.best_score:
                self.at.best_score, self.at.best_epoch = score, self.at.epoch
                self.best = {name: parameter.detach().clone() for name, parameter in self.named.items()}
        log.info("epoch %d: %s", self.at.epoch, ", ".join(f"{k} {v:.4f}" for k, v in self.at.history[-1].items()))
        if self.keeper.due():
            self.save()

    def record(self, losses: list[torch.Tensor], epoch: float, figures: dict[str, float] | None = None) -> None:
        entry: dict[str, float] = {"step": self.at.step, "epoch": round(epoch, 4)}
        if losses:
            entry |= {"loss": self.mean(losses), "learning_rate": self.optimizer.param_groups[0]["lr"]}
        entry |= figures or {}
        self.at.history.append(entry)
        self.report(entry)

    def mean(self, losses: list[torch.Tensor]) -> float:
        loss = float(torch.stack(losses).double().mean())
        if not math.isfinite(loss):
            raise StageError(
                f"The training loss is {loss} at step {self.at.step}: training diverged. Lower train.learning_rate "
                f"(now {self.recipe.learning_rate:g}) or set train.precision to fp32."
            )
        return loss

    def save(self) -> None:
        state: Tensors = {f"weight:{name}": parameter for name, parameter in self.named.items()}
        for name, parameter in self.named.items():
            for key, value in self.optimizer.state.get(parameter, {}).items():
                state[f"{key}:{name}"] = value
        if self.average is not None:
            state |= {f"average:{name}": tensor for name, tensor in self.average.kept.items()}
        state["rng:cpu"] = torch.get_rng_state()
        if torch.cuda.is_available():
            state["rng:cuda"] = torch.cuda.get_rng_state()
        self.keeper.save(Saved(state, self.best, asdict(self.at)))

    def resume(self) -> bool:
        """Go on where the checkpoint stands, if there is one."""
        saved = self.keeper.load()
        if saved is None:
            return False
        self.at, self.best = Position(**saved.position), saved.best
        for name, parameter in self.named.items():
            parameter.data.copy_(saved.state[f"weight:{name}"])
            self.optimizer.state[parameter] = {
                key: _like(saved.state[f"{key}:{name}"], parameter)
                for key in ("step", "exp_avg", "exp_avg_sq")
                if f"{key}:{name}" in saved.state
            }
            if self.average is not None and f"average:{name}" in saved.state:
                self.average.kept[name] = _like(saved.state[f"average:{name}"], parameter)
        torch.set_rng_state(saved.state["rng:cpu"])
        if "rng:cuda" in saved.state:
            torch.cuda.set_rng_state(saved.state["rng:cuda"])
        for entry in self.at.history:
            self.report(entry)
        log.info("Resuming at step %d of %d, epoch %d", self.at.step, self.steps, self.at.epoch + 1)
        return True

    def restore_best(self) -> None:
        for name, tensor in (self.best or {}).items():
            self.named[name].data.copy_(tensor)


def adamw(model: nn.Module, recipe: "TrainSettings") -> torch.optim.AdamW:
    """AdamW, fused. Matrices decay; biases, norms and embeddings do not."""
    embeddings = {id(p) for module in model.modules() if isinstance(module, nn.Embedding) for p in module.parameters()}
    groups: dict[bool, list[nn.Parameter]] = {True: [], False: []}
    for parameter in model.parameters():
        if parameter.requires_grad:
            groups[parameter.ndim > 1 and id(parameter) not in embeddings].append(parameter)
    return torch.optim.AdamW(
        [{"params": groups[True], "weight_decay": recipe.weight_decay}, {"params": groups[False], "weight_decay": 0.0}],
        lr=recipe.learning_rate,
        fused=True,
    )


def _like(tensor: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    """A copy of a loaded tensor in memory that torch itself laid out: alignment changes what kernels compute."""
    return torch.empty_like(tensor, device=parameter.device).copy_(tensor)


@contextmanager
def _reproducible(seed: int) -> Iterator[None]:
    """Deterministic algorithms and a seeded torch generator inside the block; both as they were after it."""
    debugging: Any = torch.utils.deterministic
    before = torch.are_deterministic_algorithms_enabled(), debugging.fill_uninitialized_memory
    debugging.fill_uninitialized_memory = False  # overwrites all fresh memory, which costs time
    torch.use_deterministic_algorithms(True)
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        debugging.fill_uninitialized_memory = before[1]
