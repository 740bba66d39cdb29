"""Which rows of a source are new is told by their content, whatever columns this program knows beyond it."""

from tasks.fresh import content_hashes
from tasks.sources.records import table

VOTES = [{"who": "a", "label": "good"}]


def test_rows_without_votes_keep_the_key_that_they_had_before_votes_were_known():
    rows, _ = table({"id": ["7"], "text": ["good"], "label": ["positive"], "ratings": [[1.0, 2.0]]}, "made")
    assert content_hashes(rows) == ["2d027c1c383941e89528a04af10ded62"]


def test_other_votes_make_another_row():
    rows, _ = table({"text": ["good"] * 3, "votes": [None, VOTES, [*VOTES, *VOTES]]}, "made")
    assert len(set(content_hashes(rows))) == 3
    assert len(set(content_hashes(rows, ["text"]))) == 1
