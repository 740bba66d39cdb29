"""The training loop, with a task of a single weight."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from tasks.checkpoints import Keeper
from tasks.core.errors import StageError
from tasks.encoders import FolderModel
from tasks.train import TrainSettings
from tasks.trainer import SCORE, adamw, fit, schedule

BASE = FolderModel(kind="folder", path=".")


class Task:
    """Pulls one weight towards 1; scores are those it is told."""

    def __init__(self, scores=(1, 2, 3, 4, 5), factor=1.0, start=None):
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 1))
        self.lengths = np.arange(1, 21)
        self.scores, self.factor, self.start = list(scores), factor, start
        self.seen = []

    def begin(self):
        assert not self.model.training
        if self.start is not None:
            self.model[1].weight.data.fill_(self.start)
        return self.start is not None

    def loss(self, rows):
        self.seen.append(rows.tolist())
        return ((self.model(torch.ones(len(rows), 4)) - 1) ** 2).mean() * self.factor

    def validate(self):
        assert not self.model.training
        self.weights = [*getattr(self, "weights", []), self.model[1].weight.detach().clone()]
        return {SCORE: float(self.scores[len(self.weights) - 1])}


def recipe(**other):
    return TrainSettings(base_model=BASE, batch_size=4, epochs=5, learning_rate=0.1, log_steps=2, **other)


def run(task, keeper, **other):
    records = []
    history = fit(task, recipe(**other), keeper, records.append)
    assert records == history
    return history


@pytest.fixture
def keeper(tmp_path):
    return Keeper(tmp_path, every=1e9)


def test_rate_rises_then_falls_to_nothing():
    rates = [schedule(step, 100, 0.1) for step in range(101)]
    assert rates[10] == 1
    assert all(a < b for a, b in itertools.pairwise(rates[:11]))
    assert all(a > b for a, b in itertools.pairwise(rates[10:]))
    assert rates[0] > 0
    assert rates[100] == 0
    assert schedule(0, 5, 0.0) == 1


def test_records_tell_step_epoch_loss_rate_and_scores(keeper):
    history = run(Task(), keeper)
    assert [entry["step"] for entry in history[:3]] == [2, 4, 5]
    assert [entry["epoch"] for entry in history[:3]] == [0.4, 0.8, 1]
    assert history[-1]["loss"] < history[0]["loss"]
    assert all({"loss", "learning_rate"} <= entry.keys() for entry in history)
    assert [entry[SCORE] for entry in history if SCORE in entry] == [1, 2, 3, 4, 5]


def test_the_best_epoch_is_kept_and_training_stops_early(keeper):
    task = Task(scores=(1, 5, 4, 5, 9))
    history = run(task, keeper, patience=2)
    assert history[-1]["epoch"] == 4, "two epochs without a better score, an equal one is not better"
    assert torch.equal(task.model[1].weight, task.weights[1])


def test_patience_waits_for_the_better_epoch(keeper):
    task = Task(scores=(2, 1, 1, 3, 1))
    assert run(task, keeper, patience=3)[-1]["epoch"] == 5
    assert torch.equal(task.model[1].weight, task.weights[3])


def test_a_start_that_is_worth_it_is_judged_and_may_be_the_best(keeper):
    task = Task(scores=(4, 3, 4, 9), start=0.5)
    history = run(task, keeper, patience=2)
    assert history[0] == {"step": 0, "epoch": 0, SCORE: 4}
    assert history[-1]["epoch"] == 2, "two epochs no better than the start"
    assert (task.model[1].weight == 0.5).all()
    beaten = Task(scores=(4, 3, 5, 1, 1), start=0.5)
    run(beaten, keeper, patience=2)
    assert torch.equal(beaten.model[1].weight, beaten.weights[2])


def test_a_start_is_kept_by_the_checkpoints_and_not_made_again(tmp_path):
    class Broken(Task):
        def loss(self, rows):
            if len(self.seen) == 3:
                raise KeyboardInterrupt
            return super().loss(rows)

    with pytest.raises(KeyboardInterrupt):
        run(Broken(scores=(9,), start=0.5), Keeper(tmp_path, 0))
    resumed = Task(scores=(1, 1, 1), start=7.0)
    assert run(resumed, Keeper(tmp_path, 0), patience=2)[0][SCORE] == 9
    assert (resumed.model[1].weight == 0.5).all()


def test_each_epoch_takes_every_row_in_an_order_of_its_own(keeper):
    task = Task()
    run(task, keeper)
    epochs = [list(itertools.chain(*task.seen[n : n + 5])) for n in range(0, 25, 5)]
    assert all(sorted(rows) == list(range(20)) for rows in epochs)
    assert len({tuple(rows) for rows in epochs}) == 5


def test_torchs_own_random_state_and_settings_are_left_as_they_were(keeper):
    task = Task()
    before = torch.get_rng_state()
    run(task, keeper)
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_loss_that_is_no_number_stops_with_what_to_do(keeper):
    with pytest.raises(StageError, match=r"diverged\. Lower train\.learning_rate"):
        run(Task(factor=float("inf")), keeper)


@pytest.mark.parametrize("average", [None, 0.9])
@pytest.mark.parametrize("broken_at", [1, 7, 10, 23])
def test_goes_on_after_a_break_as_if_there_was_none(tmp_path, broken_at, average):
    recipe = {"patience": 4, "average": average}

    def interrupted(keeper):
        task = Task(scores=(1, 5, 4, 5, 9))
        loss, calls = task.loss, itertools.count()

        def breaking(rows):
            if next(calls) == broken_at:
                raise KeyboardInterrupt
            return loss(rows)

        task.loss = breaking
        run(task, keeper, **recipe)

    whole = Task(scores=(1, 5, 4, 5, 9))
    expected = run(whole, Keeper(tmp_path / "whole", 1e9), **recipe)
    folder = tmp_path / "broken"
    folder.mkdir()
    with pytest.raises(KeyboardInterrupt):
        interrupted(Keeper(folder, 0))
    assert sum(1 for _ in folder.glob("state-*.safetensors")) == (broken_at > 1), "only the newest is kept"
    resumed = Task(scores=(1, 5, 4, 5, 9))
    resumed.weights = [torch.zeros(1)] * (broken_at // 5)  # epochs already scored
    assert run(resumed, Keeper(folder, 0), **recipe) == expected
    assert torch.equal(resumed.model[1].weight, whole.model[1].weight)
    assert broken_at == 1 or len(resumed.seen) < len(whole.seen)


def test_a_damaged_checkpoint_starts_anew(tmp_path, caplog):
    keeper = Keeper(tmp_path, 0)
    expected = run(Task(), keeper)
    (state,) = tmp_path.glob("state-*")
    state.write_bytes(state.read_bytes()[:50])
    task = Task()
    assert run(task, keeper) == expected
    assert len(task.seen) == 25
    assert "cannot be read" in caplog.text


def test_matrices_decay_and_nothing_else():
    model = nn.Sequential(nn.Embedding(3, 2), nn.Linear(2, 2), nn.LayerNorm(2))
    decaying, others = adamw(model, recipe(weight_decay=0.3)).param_groups
    assert decaying["weight_decay"] == 0.3
    assert others["weight_decay"] == 0
    assert [id(p) for p in decaying["params"]] == [id(model[1].weight)]
    assert len(others["params"]) == 4


class Watched(Task):
    """Keeps the weights that each step began with."""

    def loss(self, rows):
        self.steps = [*getattr(self, "steps", []), self.model[1].weight.detach().clone()]
        return super().loss(rows)


def test_the_moving_average_is_what_is_judged_and_kept_and_training_goes_on_from_the_weights(tmp_path):
    plain, averaged = Watched(), Watched()
    run(plain, Keeper(tmp_path / "plain", 1e9))
    run(averaged, Keeper(tmp_path / "averaged", 1e9), average=0.9)
    assert all(map(torch.equal, plain.steps, averaged.steps)), "the average changes no step"
    expected, epochs = averaged.steps[1], []
    left = [*averaged.steps[1:], plain.weights[-1]]
    for n, weight in enumerate(left, 1):
        decay = min(0.9, (1 + n) / (10 + n))
        expected = decay * expected + (1 - decay) * weight
        epochs += [expected] if n % 5 == 0 else []
    assert all(map(torch.allclose, averaged.weights, epochs))
    assert torch.equal(averaged.model[1].weight, averaged.weights[-1])
    assert not torch.allclose(averaged.weights[-1], plain.weights[-1])
