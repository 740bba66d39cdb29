import numpy as np
import pandas as pd
import pytest

from tasks import worst
from tasks.worst import WorstSettings


def rows(count, seed, source="a"):
    rng = np.random.default_rng(seed)
    letters = np.array(list("abcdefgh电影 "))
    texts = ["".join(rng.choice(letters, rng.integers(5, 80))) + "9" * int(rng.random() < 0.2) for _ in range(count)]
    return pd.DataFrame({"text": texts, "source": source})


def planted(count, seed):
    """Rows, and whether each is right: nine in ten, but half of the longer texts with a digit."""
    table = rows(count, seed)
    hard = table["text"].str.contains("9") & (table["text"].str.len() > 45)
    sure = np.where(hard, 0.4, 0.9)
    return table, np.random.default_rng(seed + 1).random(count) < sure, hard.to_numpy()


def test_descriptors_are_computed_for_any_text():
    found = worst.describe(pd.DataFrame({"text": ["", "NOT good!", "电影 2"], "source": "a"}))
    assert found["words"].tolist() == [0, 2, 2]
    assert found["upper case"].tolist() == pytest.approx([0, 3 / 9, 0])
    assert found["digits"].tolist() == pytest.approx([0, 0, 1 / 4])
    assert found["punctuation"].tolist() == pytest.approx([0, 1 / 9, 0])
    assert np.isfinite(found.drop(columns="source")).all(axis=None)


def test_bins_of_a_descriptor_share_out_all_rows():
    described = worst.describe(pd.concat([rows(300, 0), rows(100, 1, "b")], ignore_index=True))
    for column, parts in pd.Series(worst.bins(described)).groupby(lambda n: worst.bins(described)[n].descriptor):
        assert np.sum([part.holds(described) for part in parts], axis=0).tolist() == [1] * 400, column


def test_a_planted_slice_is_found_on_validation_and_bad_on_test():
    table, right, _ = planted(1500, 0)
    first, *_ = worst.search(worst.describe(table), right, WorstSettings(floor=0.7))
    fresh, good, hard = planted(1500, 7)
    mask = worst.holds(first, worst.describe(fresh))
    assert "digits ≥ " in worst.name(first)
    assert hard[mask].mean() > 0.6
    assert good[mask].mean() < 0.7 < good.mean()


def test_the_search_is_deterministic_and_does_not_depend_on_the_order_of_rows():
    table, right, _ = planted(800, 3)
    settings = WorstSettings(floor=0.7)
    found = worst.search(worst.describe(table), right, settings)
    order = np.random.default_rng(5).permutation(800)
    assert worst.search(worst.describe(table.iloc[order]), right[order], settings) == found


def test_slices_have_enough_rows_and_say_different_things():
    table, right, _ = planted(800, 3)
    described = worst.describe(table)
    found = worst.search(described, right, WorstSettings(floor=0.7, most=8, min_rows=60))
    masks = [worst.holds(one, described) for one in found]
    assert 0 < len(found) <= 8
    assert all(60 <= mask.sum() < 800 for mask in masks)
    assert all((a & b).sum() / (a | b).sum() <= worst.ALIKE for n, a in enumerate(masks) for b in masks[:n])


@pytest.mark.parametrize("texts", [["same"] * 40, ["a", "b"] * 20, [""] * 12])
def test_rows_that_cannot_be_told_apart_give_no_slice_or_plain_ones(texts):
    described = worst.describe(pd.DataFrame({"text": texts, "source": "a"}))
    assert worst.search(described, np.ones(len(texts), dtype=bool), WorstSettings(floor=0.7, min_rows=10)) == []


def test_none_are_searched_where_none_are_wanted():
    table, right, _ = planted(200, 0)
    assert worst.search(worst.describe(table), right, WorstSettings(floor=0.7, most=0)) == []
