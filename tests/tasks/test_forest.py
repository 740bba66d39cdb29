import warnings

import pytest

from tasks.forest import forest
from tasks.report import png
from tasks.verdict import Check


def check(name, outcome="pass", value=0.8):
    return Check(name=name, value=value, low=0.7, high=0.9, min=0.75, rows=1200, outcome=outcome)


@pytest.mark.parametrize("many", [1, 60])
def test_outcomes_are_told_by_marker_too(many):
    outcomes = ["pass", "reject", "cannot tell"]
    figure = forest([check(f"slice s{n}", outcomes[n % 3]) for n in range(many)])
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert set(labels) == {"floor", *outcomes[:many]}
    assert len({line.get_marker() for line in figure.axes[0].lines if line.get_marker() not in ("|", "None")}) == min(
        3, many
    )


def test_names_are_no_formulas_and_are_cut():
    figure = forest([check("slice $\\frac{ x"), check("n" * 500)])
    first, second = [text.get_text() for text in figure.axes[0].texts]
    assert first == "$\\frac{ x, 1,200 rows"
    assert len(second) < 100
    png(figure)


def test_slices_without_rows_are_left_out():
    empty = Check(name="slice none", value=None, min=0.8, rows=0, outcome="cannot tell")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(forest([empty, check("s")]).axes[0].texts) == 1
        png(forest([empty]))
