"""Recall and reciprocal rank of answers that are found."""

import numpy as np
import pytest

from tasks.kinds.common import scores
from tasks.kinds.retrieve.metrics import found


def test_figures_of_ranks():
    places = [1, 1, 1, 2, 6, 12]
    logits = np.zeros((6, 12), dtype=np.float32)
    for row, place in enumerate(places):
        logits[row] = np.linspace(5, -5, 12)[np.roll(np.arange(12), place - 1)]
    actual = logits.argsort(axis=1)[:, ::-1][np.arange(6), np.array(places) - 1]
    figures = found(actual, logits)
    assert figures["recall_at_1"] == 3 / 6
    assert figures["recall_at_5"] == 4 / 6
    assert figures["recall_at_10"] == 5 / 6
    assert (figures["recall_at_5_low"], figures["recall_at_5_high"]) == scores.wilson(4, 6)
    assert figures["mrr_at_10"] == pytest.approx((1 + 1 + 1 + 1 / 2 + 1 / 6) / 6)
    assert figures["mrr_at_10_low"] < figures["mrr_at_10"] < figures["mrr_at_10_high"]
