"""How much longer the same training takes with an encoder of BERT-base's size: 110 million parameters, no download."""

import contextlib
import statistics
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from corpora import Corpus
from project import ROOT

from tasks.core.line import Line
from tasks.core.settings import parse
from tasks.encoders import locate
from tasks.kinds import load
from tasks.train import TrainSettings, computes_in_bf16


def step_seconds(corpus: Corpus, params: dict[str, Any], steps: int) -> dict[str, float]:
    """Median seconds of a training step on the same batches: the line's own encoder, and a BERT-base drawn at random.

    Speed does not depend on what weights hold; batches are the stage's own, of real texts and real lengths.
    """
    recipe = parse(TrainSettings, {**params["train"], "epochs": 1, "log_steps": 1}, "train")
    few = corpus.sample(train=(steps + 2) * recipe.batch_size, validation=recipe.batch_size)
    with contextlib.chdir(ROOT):
        own = locate(recipe.base_model).resolve()
    with tempfile.TemporaryDirectory() as name:
        few.write(Path(name, "data", "line"))
        large = _random_bert_base(own, Path(name, "bert-base"))
        with contextlib.chdir(name):
            return {"own": _measure(own, recipe), "bert_base": _measure(large, recipe)}


def _random_bert_base(own: Path, folder: Path) -> Path:
    """A BERT-base with random weights and the tokenizer of another encoder with the same 30,522 word pieces."""
    from transformers import AutoTokenizer, BertConfig, BertModel
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    tokenizer = AutoTokenizer.from_pretrained(own, local_files_only=True)
    tokenizer.save_pretrained(folder)
    BertModel(BertConfig(vocab_size=len(tokenizer))).save_pretrained(folder)
    return folder


def _measure(base: Path, recipe: TrainSettings) -> float:
    from tasks.checkpoints import kept
    from tasks.trainer import fit

    task = load("classify", "train").prepare(Line("line"), recipe, base, computes_in_bf16(recipe.precision))
    clock: list[float] = []
    with kept(base.name, every=3600) as keeper:
        fit(task, recipe, keeper, lambda _: clock.append(time.perf_counter()))
    ends = clock[:-1]  # the last record of an epoch comes after validation
    return statistics.median(end - start for start, end in pairwise(ends))
