import krippendorff
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tasks.ratings import Ratings


def ratings(rows):
    return Ratings.of(pa.chunked_array([pa.array(rows, pa.list_(pa.float32()))]))


whole = st.integers(-4, 4).map(float)
tables = st.lists(st.lists(whole, max_size=6), min_size=1, max_size=12)


@given(tables)
@settings(deadline=None)
def test_sums_are_those_of_each_row(rows):
    found = ratings(rows)
    for n, row in enumerate(rows):
        assert found.count[n] == len(row)
        assert found.total[n] == sum(row)
        if row:
            assert (found.low[n], found.high[n]) == (min(row), max(row))
            assert found.mean[n] == pytest.approx(np.mean(row))
        else:
            assert np.isnan(found.mean[n])
        assert found.variance[n] == pytest.approx(np.var(row, ddof=1) if len(row) > 1 else np.nan, nan_ok=True)


@given(tables)
@settings(deadline=None)
def test_alpha_is_that_of_the_krippendorff_package(rows):
    width = max(map(len, rows))
    matrix = np.full((width or 1, len(rows)), np.nan)
    for n, row in enumerate(rows):
        matrix[: len(row), n] = row
    usable = [row for row in rows if len(row) > 1]
    found = ratings(rows).alpha(samples=10, seed=0)
    if not usable or len({x for row in usable for x in row}) < 2:
        assert found is None
    else:
        wanted = krippendorff.alpha(reliability_data=matrix, level_of_measurement="interval")
        assert found["value"] == pytest.approx(wanted, abs=1e-9)


def test_alpha_has_an_interval_that_narrows_with_rows():
    rng = np.random.default_rng(0)
    many = [list(np.clip(np.round(rng.normal(m, 1, 8)), -4, 4)) for m in rng.normal(0, 2, 2000)]
    wide, narrow = (ratings(many[:n]).alpha(samples=500, seed=1) for n in (50, 2000))
    assert wide["low"] < wide["value"] < wide["high"]
    assert narrow["high"] - narrow["low"] < 0.4 * (wide["high"] - wide["low"])
    assert ratings(many).alpha(samples=500, seed=1) == narrow


def test_the_bootstrap_over_equal_rows_is_the_plain_one():
    rng = np.random.default_rng(3)
    rows = [list(rng.integers(-1, 2, 3).astype(float)) for _ in range(300)]
    found = ratings(rows).alpha(samples=2000, seed=0)
    plain = [ratings([rows[i] for i in rng.integers(0, 300, 300)]).alpha(1, 0)["value"] for _ in range(400)]
    assert found["low"] == pytest.approx(np.quantile(plain, 0.025), abs=0.02)
    assert found["high"] == pytest.approx(np.quantile(plain, 0.975), abs=0.02)


def test_confidence_is_the_one_sided_t_test():
    row = [1.0, 2.0, -1.0, 3.0, 0.0]
    wanted = 1 - stats.ttest_1samp(row, 0, alternative="greater").pvalue
    assert ratings([row]).confidence(0)[0] == pytest.approx(wanted)
    assert ratings([[-x for x in row]]).confidence(0)[0] == pytest.approx(wanted)


def test_confidence_at_its_corners():
    found = ratings([[2, 2, 2], [0, 0], [-1, 1], [3], []]).confidence(0)
    assert found[:3] == pytest.approx([1, 0.5, 0.5])
    assert np.isnan(found[3:]).all()


def test_agreement_is_one_for_equal_ratings_and_none_for_opposite_ones():
    found = ratings([[2, 2, 2], [-4, 4, -4, 4], [2]]).agreement(-4, 4)
    assert found[:2].tolist() == [1, 0]
    assert np.isnan(found[2])
    chance = np.random.default_rng(0).integers(-4, 5, (4000, 15)).astype(float)
    raw = 1 - ratings(chance.tolist()).variance.mean() / (80 / 12)
    assert raw == pytest.approx(0, abs=0.02)


def test_missing_ratings_count_as_none():
    found = ratings([None, [None, 1.0], [], [float("nan"), 3.0, 1.0]])
    assert found.count.tolist() == [0, 1, 0, 2]
    assert found.low.tolist()[3] == 1


def test_several_chunks_are_one_column():
    part = pa.array([[1.0], [2.0, 4.0]], pa.list_(pa.float32()))
    assert Ratings.of(pa.chunked_array([part, part])).total.tolist() == [1, 6, 1, 6]
