"""What a report draws of a check: names stay names, and of very many the most frequent are shown."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from traffic import check

from flows.evidence_page import BARS, _most, _plot

SHARES = st.floats(0, 1)


@given(st.integers(1, 200), st.data())
def test_of_very_many_categories_the_most_frequent_are_shown(count, data):
    sides = {name: data.draw(st.lists(SHARES, min_size=count, max_size=count)) for name in ("reference", "current")}
    content = {"categories": [str(n) for n in range(count)], **sides}
    found = _most(content)
    assert len(found["categories"]) == min(count, BARS)
    if count <= BARS:
        assert found == content
        return
    assert found["categories"][-1] == f"{count - BARS + 1:,} others"
    for name, shares in sides.items():
        assert sum(found[name]) == pytest.approx(1 if sum(shares) else 0, abs=1e-6)
        most = max(range(count), key=shares.__getitem__)
        assert str(most) in found["categories"] or shares[most] in [shares[int(n)] for n in found["categories"][:-1]]


def test_items_that_are_numbers_are_names():
    shown = {"categories": ["50", "172", "(other)"], "reference": [0.5, 0.5, 0], "current": [0, 0, 1]}
    drawn = json.dumps(_plot(check(name="prediction"), shown).params)
    assert '"xaxis": {"type": "category"' in drawn.replace("\\", "") and "172" in drawn
