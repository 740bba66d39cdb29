"""Training the towers: what a user likes next is to stand before everything else."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save_file
from torch import nn

from tasks import calibration
from tasks.batches import by_length, tokenize
from tasks.core.errors import DataError
from tasks.core.files import read_json, read_parquet, write_json
from tasks.core.line import Line
from tasks.core.progress import progress
from tasks.kinds.common.learning import VALIDATION_BATCH, load_base
from tasks.kinds.common.pooling import pooled
from tasks.kinds.rank.shared import factors, rankings
from tasks.kinds.rank.shared.events import COLUMNS, Events, events
from tasks.kinds.rank.shared.history import PADDING, Tastes
from tasks.kinds.rank.shared.timeline import Timeline, timeline
from tasks.kinds.rank.shared.towers import Towers
from tasks.ranks import RankSettings
from tasks.trainer import SCORE

if TYPE_CHECKING:
    from tasks.train import TrainSettings

TYPE = "tidegate-rank"
JUDGED = 5000  # users at most whose lists stop the training
FITTED = 50_000_000  # scores at most that the temperature is fitted on: half a GB; of many items, fewer users
NEW = 0.1  # share of the moments at which nothing is known of a user: popularity is learned from these
HIDDEN = -1e4  # of a logit: what the user has is not asked for


class Ranking:
    """The towers with the events they learn from (tasks.trainer.Task)."""

    def __init__(self, line: Line, settings: "TrainSettings", base: Path) -> None:
        """Read the rows, embed the items' texts by the base model. Raises DataError, SettingsError or SourceError."""
        assert settings.rank is not None  # noqa: S101 - flows.settings asks for it
        self.settings, self.recipe = settings, settings.rank
        self.tastes = Tastes(self.recipe.like, self.recipe.dislike)
        self.labels: list[str] = read_json(line.file("label", "labels.json"))
        columns = [*COLUMNS, "text"]
        self.sides = [read_parquet(line.file("split", f"{side}.parquet"), columns) for side in ("train", "validation")]
        known = pd.concat(self.sides).drop_duplicates("label").set_index("label")["text"]
        self.names: list[str] = known.reindex(self.labels).fillna("").tolist()
        self.tokenizer, self.texts = _embedded(base, self.labels, self.names, settings)
        self.temperature = 1.0
        self._begin(self.sides[:1])
        self.held: Held | None = _held(self.events, events(self.sides[1], self.labels, self.tastes), settings.seed)

    def start(self, recipe: RankSettings) -> None:
        """Stand as another recipe begins, on the same data and items."""
        self.recipe = recipe
        self._begin(self.sides[:1])

    def _begin(self, sides: list[pd.DataFrame]) -> None:
        """Towers as at the start, and the events of some sides to train on."""
        self.events: Events = events(pd.concat(sides), self.labels, self.tastes)
        found = self.events
        self.time: Timeline = timeline(found.items, found.liked, found.times, len(self.labels))
        self.features = torch.from_numpy(self.time.features)
        teaching = np.flatnonzero(found.counts > 1)
        if not len(teaching):
            raise DataError("No user has two events in train: there is nothing to learn what comes next from.")
        self.users = np.repeat(teaching, self.recipe.cuts)
        self.lengths = np.minimum(found.counts[self.users], self.recipe.history)
        with torch.random.fork_rng():
            torch.manual_seed(self.settings.seed)
            self.model = Towers(torch.from_numpy(factors.with_one(self.texts)), *self._start(found), self.recipe)

    def _start(self, found: Events) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        pairs = np.unique(np.stack([found.owners()[found.liked], found.items[found.liked]], axis=1), axis=0)
        shape = (len(found.users), len(self.labels))
        inward, outward, known = factors.linear(pairs[:, 0], pairs[:, 1], shape, self.recipe.weight, self.recipe.width)
        start = {}
        for way, vectors in (("in", inward), ("out", outward)):
            start[f"text_{way}"] = factors.by_text(self.texts, vectors, known, self.recipe.text_weight)
            start[f"own_{way}"] = vectors - factors.with_one(self.texts) @ start[f"text_{way}"]
        return {name: torch.from_numpy(table) for name, table in start.items()}, torch.from_numpy(known)

    def begin(self) -> bool:
        """Whether the start, which is set, is judged: the closed form is a model, and no epoch may be better."""
        return self.held is not None

    def loss(self, rows: np.ndarray) -> torch.Tensor:
        """Softmax cross entropy of the liked ones among the next events, at a moment of each user that is drawn.

        It is over all items that the user does not have yet, or over those liked ones and some drawn evenly, with their
        chance to be among them taken off their logits (Bengio and Senecal 2008). All draws are torch's.
        """
        found, recipe = self.events, self.recipe
        users = self.users[rows]
        counts = found.counts[users]
        cuts = 1 + (torch.rand(len(rows), dtype=torch.float64).numpy() * (counts - 1)).astype(np.int64)
        asked, events_ = found.span(users, cuts, np.minimum(cuts + recipe.ahead, counts))
        liked = found.liked[events_]
        asked, wanted = asked[liked], found.items[events_[liked]]
        candidates, chance = self._candidates(wanted)
        columns = np.full(len(self.labels), -1)
        columns[candidates] = np.arange(len(candidates))
        logits = self._logits(users, cuts, candidates) - chance
        had, before = found.span(users, np.zeros_like(cuts), cuts)
        known = columns[found.items[before]]
        hidden = torch.zeros(logits.shape, dtype=torch.bool)
        hidden[torch.from_numpy(had[known >= 0]), torch.from_numpy(known[known >= 0])] = True
        targets = torch.zeros(logits.shape)
        targets[torch.from_numpy(asked), torch.from_numpy(columns[wanted])] = 1.0
        targets = targets.masked_fill(hidden, 0)
        total = targets.sum(dim=1, keepdim=True)
        losses = -(targets / total.clamp(min=1) * logits.masked_fill(hidden, HIDDEN).log_softmax(dim=1)).sum(dim=1)
        return losses.sum() / (total > 0).sum().clamp(min=1)

    def _candidates(self, wanted: np.ndarray) -> tuple[np.ndarray, torch.Tensor]:
        """Items to tell apart, and the logarithm of the chance of each to be among them."""
        count, draws = len(self.labels), self.recipe.negatives
        if count <= draws:
            return np.arange(count), torch.zeros(count)
        drawn = torch.randint(count, (draws,)).numpy()
        chosen = np.unique(np.concatenate([drawn, wanted]))
        popular = np.bincount(self.events.items, minlength=count)[chosen] / len(self.events.items)
        expected = draws / count + len(wanted) * popular
        return chosen, torch.from_numpy(np.log(np.minimum(expected, 1.0)).astype(np.float32))

    def _logits(
        self, users: np.ndarray, cuts: np.ndarray, candidates: np.ndarray, every: dict[str, torch.Tensor] | None = None
    ) -> torch.Tensor:
        """[rows, candidates], what users may want behind their first `cuts` events; with `every` of all items."""
        items, classes = self.events.before(users, cuts, self.recipe.history)
        kept = None
        if self.model.training:
            kept = (torch.rand(len(self.labels), 1) >= self.recipe.by_text).float()
            left_out = torch.rand(classes.shape).numpy() < self.recipe.dropout
            new = torch.rand(len(classes), 1).numpy() < NEW
            classes = np.where(left_out | new, PADDING, classes)
        read, at = np.unique(items, return_inverse=True)
        chosen, told = torch.from_numpy(candidates), torch.from_numpy(read)
        inward = self.model.items("in", told, kept) if every is None else every["in"][told]
        vectors = nn.functional.embedding(torch.from_numpy(at.reshape(items.shape)), inward)
        user, _ = self.model.user(vectors, torch.from_numpy(classes))
        moments = self.time.at(self.events.times[self.events.starts[users] + cuts - 1])
        moment, row = np.unique(moments, return_inverse=True)
        when = torch.from_numpy(moment)
        outward = self.model.items("out", chosen, kept) if every is None else every["out"]
        bias = self.model.bias(self.features[when][:, chosen]) if every is None else every["bias"][when]
        share = self.model.share(torch.from_numpy((classes != PADDING).any(axis=1)))
        found: torch.Tensor = user @ outward.T + share[:, None] * bias[torch.from_numpy(row)]
        return found

    def _every(self) -> dict[str, torch.Tensor]:
        """What all items are, made once for many users: `in` and `out` [items, width], `bias` [points + 1, items]."""
        self.model.eval()
        with torch.inference_mode():
            bias = torch.stack([self.model.bias(point) for point in self.features])
            return {"in": self.model.items("in"), "out": self.model.items("out"), "bias": bias}

    def validate(self) -> dict[str, float]:
        """Lists of all items for users, judged by what of validation they like; the score is NDCG@10.

        Nothing in a training on validation itself.
        """
        if self.held is None:
            return {}
        lists = np.concatenate([rankings.top(scores) for scores in self._scores(self.held.users)])
        gain = float(rankings.ndcg(lists, self.held.targets).mean())
        return {"validation_ndcg_at_10": gain, SCORE: gain}

    def _scores(self, users: np.ndarray) -> Iterator[np.ndarray]:
        """[rows, items] of some users at a time, HIDDEN for what a user has."""
        every, size = self._every(), min(VALIDATION_BATCH, rankings.together(len(self.labels)))
        for part in np.split(users, range(size, len(users), size)):
            counts = self.events.counts[part]
            with torch.inference_mode():
                scores = self._logits(part, counts, np.arange(len(self.labels)), every).numpy()
            rows, at = self.events.span(part, np.zeros_like(part), counts)
            scores[rows, self.events.items[at]] = HIDDEN
            yield scores

    def refit(self, history: list[dict[str, float]]) -> "TrainSettings | None":
        """Fit the temperature on validation; then get ready to train on train and validation, as long as was best."""
        held = self.held
        assert held is not None  # noqa: S101 - refit comes once
        most = max(1, FITTED // len(self.labels))
        some = np.unique(np.linspace(0, len(held.users) - 1, most).astype(np.int64))
        first = np.array([held.targets[at][0] for at in some])
        scores = np.concatenate([*self._scores(held.users[some])])
        best = max((entry for entry in history if SCORE in entry), key=lambda entry: entry[SCORE])
        epochs = int(best["epoch"])
        self.temperature = calibration.fit_temperature(scores, first)["temperature"]
        if not self.recipe.refit:
            return None
        self._begin(self.sides)
        self.held = None
        return self.settings.model_copy(update={"epochs": epochs, "patience": epochs}) if epochs else None

    def save(self, out: Path) -> None:
        """Write config.json, model.safetensors, tokenizer.json and tokenizer_config.json."""
        entries = json.dumps({"id": self.labels, "text": self.names}, ensure_ascii=False).encode()
        every = self._every()
        with torch.inference_mode():
            tensors = {
                "inward": every["in"], "outward": every["out"],
                "popularity": self.model.popular.exp() * every["bias"], "points": torch.from_numpy(self.time.points),
                "entries": torch.from_numpy(np.frombuffer(entries, np.uint8).copy()),
                **{f"user.{name}": parameter for name, parameter in self.model.user.state_dict().items()},
            }  # fmt: skip
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, out / "model.safetensors")
        (out / "model.safetensors").chmod(0o644)
        write_json(out / "config.json", self._facts())
        self.tokenizer.save_pretrained(out)

    def _facts(self) -> dict[str, Any]:
        names = dict(enumerate(self.labels))
        told = {"history": self.recipe.history, "like": self.tastes.like, "dislike": self.tastes.dislike}
        return {"model_type": TYPE, "id2label": names, "temperature": self.temperature, **told}


@dataclass(frozen=True)
class Held:
    """Users whose lists are judged while training goes on."""

    users: np.ndarray
    """[users], by number among the events."""
    targets: list[np.ndarray]
    """[users], what each likes later."""


def _held(found: Events, later: Events, seed: int) -> Held:
    """Up to JUDGED users who like an item later that they do not have, drawn by the seed."""
    numbers = {user: number for number, user in enumerate(found.users)}
    users, targets = [], []
    for place, user in enumerate(later.users):
        rows = slice(later.starts[place], later.starts[place + 1])
        wanted = later.items[rows][later.liked[rows]]
        if user in numbers and len(wanted):
            users.append(numbers[user])
            targets.append(wanted)
    if not users:
        raise DataError("No user likes an item in validation: nothing says when to stop. Lower train.rank.like.")
    chosen = np.sort(np.random.default_rng(seed).permutation(len(users))[:JUDGED])
    return Held(np.array(users)[chosen], [targets[at] for at in chosen])


def _embedded(base: Path, labels: list[str], names: list[str], settings: "TrainSettings") -> tuple[Any, np.ndarray]:
    """The base model's tokenizer, and its embedding of each item's text, [items, text width] of length 1."""
    tokenizer, model = load_base(base, "AutoModel", labels[:1], settings)
    tokens = tokenize(tokenizer, names, settings.max_length)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.eval().to(device)
    parts = by_length(tokens.lengths, VALIDATION_BATCH)
    found = []
    with torch.inference_mode(), progress("items", len(names)) as bar:
        for rows in parts:
            inputs = tokens.batch(rows, device)
            found.append(pooled(model(**inputs).last_hidden_state.float(), inputs["attention_mask"]).cpu().numpy())
            bar.update(len(rows))
    vectors = np.empty((len(names), found[0].shape[1]), dtype=np.float32)
    vectors[np.concatenate(parts)] = np.concatenate(found)
    return tokenizer, vectors


def prepare(line: Line, settings: "TrainSettings", base: Path, bf16: bool) -> Ranking:  # noqa: ARG001 - sums over ages
    """The task that tasks.train trains: reads label/labels.json, split/{train,validation}.parquet."""
    return Ranking(line, settings, base)
