"""Texts as vectors of a base model."""

from pathlib import Path

import numpy as np
import pytest
from conftest import sentences

from tasks.annotation.embed import embed
from tasks.core.errors import SourceError


def test_vectors_do_not_depend_on_company_or_order(tiny_encoder):
    texts = [*sentences(30)["text"], "good", "the film was " * 60]
    folder = Path(tiny_encoder["path"])
    found = embed(texts, folder, max_length=32)
    assert found.shape == (32, 32)
    assert np.linalg.norm(found, axis=1) == pytest.approx(1)
    assert np.abs(found - embed(texts[::-1], folder, max_length=32)[::-1]).max() < 1e-5
    assert np.abs(found[30] - embed(["good"], folder)[0]).max() < 1e-5
    assert embed([], folder).shape == (0, 32)


def test_a_folder_that_holds_no_model_is_said(workdir):
    with pytest.raises(SourceError, match=r"cannot be loaded .* Look at train\.base_model"):
        embed(["a"], workdir)
