"""Corpora as the split stage writes them: the columns that a source does not have stay null."""

import importlib
from pathlib import Path

import pandas as pd
import pytest

from tasks.rows import LABELED
from tasks.text import TextSettings


@pytest.fixture
def corpora(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    return importlib.import_module("corpora")


def test_rows_without_soft_labels_are_written(corpora, tmp_path):
    rows = corpora.table("made", [("1", "negative", "bad"), ("2", "positive", "good")], TextSettings())
    corpora.Corpus(dict.fromkeys(corpora.SIDES, rows), {}, corpora.LABELS, rows.assign(side="test")).write(tmp_path)
    for name in (*corpora.SIDES, "out_of_scope"):
        written = pd.read_parquet(tmp_path / "split" / f"{name}.parquet")
        assert written["soft"].isna().all() and set(LABELED.names) <= set(written)
