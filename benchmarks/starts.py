"""How the line `recommend` starts on other ratings than its own, chosen on validation before anything is learned."""

import contextlib
import hashlib
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from corpora import Corpus
from project import ROOT, Figures, code, remember
from sklearn.model_selection import ParameterGrid

from tasks.core.line import Line
from tasks.core.settings import line_params, parse, read_params
from tasks.encoders import locate
from tasks.kinds.rank.shared.towers import UserTower
from tasks.kinds.rank.train import Ranking
from tasks.ranks import RankSettings
from tasks.train import TrainSettings
from tasks.trainer import SCORE

MODELS: dict[str, list[Any]] = {"weight": [100, 200, 400], "width": [512], "history": [400]}
"""Each costs a linear model of items by items, for thousands of items a minute of a core."""
HISTORIES: dict[str, list[Any]] = {"fall": [5, 20], "left": [0.05, 0.1, 0.2], "popular": [0.01, 0.05]}
"""Each costs the lists of validation, a second or two."""


def chosen(rows: pd.DataFrame, corpus: Corpus) -> Figures:
    """`settings` of `train.rank` with the best NDCG@10 on validation as the towers start, how many were `tried`, and
    `seconds`; `corpus` are the ratings `rows` as the line has them."""
    line = Line("films", "rank")
    grids = [list(ParameterGrid(grid)) for grid in (MODELS, HISTORIES)]
    what = {"start": grids, "code": code(line, ("train",)), "rows": hashlib.sha256(rows.to_csv().encode()).hexdigest()}
    return remember(what, lambda _: _searched(line, corpus, *grids))


def _searched(line: Line, corpus: Corpus, models: list[Figures], histories: list[Figures]) -> Figures:
    start = time.perf_counter()
    settings = parse(TrainSettings, line_params(read_params(), "recommend")["train"], "train")
    assert settings.rank is not None  # noqa: S101 - the block has it
    with contextlib.chdir(ROOT):
        base = locate(settings.base_model).resolve()
    with tempfile.TemporaryDirectory() as folder:
        corpus.write(Path(folder) / line.folder)
        with contextlib.chdir(folder):
            task = Ranking(line, settings, base)
    found = []
    for model in models:
        task.start(settings.rank.model_copy(update=model))
        found += [(_score(task, one), {**model, **one}) for one in histories]
        print(f"start: {model}, at best {max(found, key=_first)}", file=sys.stderr, flush=True)
    score, best = max(found, key=_first)
    return {"settings": best, "tried": len(found), "start": score, "seconds": time.perf_counter() - start}


def _score(task: Ranking, history: Figures) -> float:
    """NDCG@10 on validation where histories are read in another way."""
    recipe = RankSettings(**history)
    task.model.user = UserTower(recipe.fall, recipe.left)
    task.model.popular = torch.nn.Parameter(torch.tensor(recipe.popular).log())
    task.model.eval()
    return task.validate()[SCORE]


def _first(pair: tuple[float, Figures]) -> float:
    return pair[0]
