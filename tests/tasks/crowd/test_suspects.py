"""Wrong labels are ranked first."""

import numpy as np
import pytest

from tasks.core.errors import DataError
from tasks.crowd.suspects import cross_validated, suspects


def clusters(rows=300, labels=3, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, labels, rows)
    centres = rng.normal(size=(labels, 16))
    vectors = centres[truth] + rng.normal(scale=0.8, size=(rows, 16))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), truth


def test_flipped_labels_come_first():
    vectors, truth = clusters()
    given = truth.copy()
    given[:20] = (given[:20] + 1) % 3
    found = suspects(given, cross_validated(vectors, given, [str(n) for n in range(300)], 3))
    assert (found.places[:20] < 20).mean() > 0.8
    first = found.places[:20] < 20
    assert (found.suggested[:20][first] == truth[found.places[:20][first]]).all()
    assert (np.diff(found.quality) >= 0).all()
    assert found.implausible[:10].all()
    assert (given[found.places] != found.suggested).all()


def test_copies_do_not_vouch_for_each_other():
    vectors, truth = clusters(100, 2)
    vectors, given = np.repeat(vectors, 3, axis=0), np.repeat(truth, 3)
    given[:3] = 1 - given[:3]
    together = cross_validated(vectors, given, [str(n // 3) for n in range(300)], 2)
    assert together[:3, given[0]].max() < 0.5


def test_labels_that_all_are_of_few_rows_tell_nothing():
    vectors, _ = clusters(60)
    with pytest.raises(DataError, match=r"30 labels, 2 rows at most of one, tell nothing .* 5 rows of one"):
        cross_validated(vectors, np.arange(60) // 2, [str(n) for n in range(60)], 30)


def test_a_label_of_one_row_is_no_error_of_the_program():
    vectors, given = clusters(60, 2)
    given[0] = 2
    probabilities = cross_validated(vectors, given, [str(n) for n in range(60)], 3)
    assert probabilities[0, 2] == 0
    assert probabilities.sum(axis=1) == pytest.approx(1)
    assert suspects(given, probabilities).places[0] == 0


@pytest.mark.parametrize(("rows", "labels"), [(10, 2), (60, 1)])
def test_too_little_to_tell(rows, labels):
    vectors, given = clusters(rows, labels)
    with pytest.raises(DataError, match=f"{rows} rows"):
        cross_validated(vectors, given, [str(n) for n in range(rows)], labels)
