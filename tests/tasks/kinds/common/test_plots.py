import warnings

import numpy as np
import pytest

from tasks import calibration
from tasks.kinds.common import plots
from tasks.report import png


@pytest.mark.parametrize("classes", [2, 6, 77])
def test_confusion_is_drawn_for_any_number_of_classes(classes):
    counts = np.diag(np.arange(classes)) + 1
    figure = plots.confusion(counts, [f"label {n} with a name longer than the axis bears" for n in range(classes)])
    assert len(figure.axes[0].get_xticklabels()) == classes
    assert len(figure.axes[0].texts) == (classes**2 if classes <= plots.READABLE else 0)
    assert png(figure).startswith(b"\x89PNG")


def test_a_label_is_no_formula():
    names = ["$\\frac{", "a_$b$"]
    figure = plots.confusion(np.eye(2, dtype=int), names)
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == names
    png(figure)


@pytest.mark.parametrize("confidence", [np.linspace(0.5, 1, 300), np.ones(300), np.array([0.7])])
def test_reliability_is_drawn_of_any_confidences(confidence):
    correct = np.arange(len(confidence)) % 3 > 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = [png(plots.reliability(calibration.judge(confidence, correct), confidence)) for _ in range(2)]
    assert drawn[0] == drawn[1]
