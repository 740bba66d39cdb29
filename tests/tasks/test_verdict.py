import json

import pytest

from tasks import verdict
from tasks.core.errors import StageError
from tasks.verdict import Check, Verdict

UNTOLD = Check(
    name="slice length 25+: accuracy", value=0.8125, min=0.83, low=0.77, high=0.84, p=0.4, rows=320, rows_needed=873,
    outcome="cannot tell",
)  # fmt: skip


def test_a_sentence_says_what_the_rows_can_tell():
    assert UNTOLD.sentence() == (
        "slice length 25+: accuracy 0.8125 (0.77 to 0.84) on 320 rows, floor 0.83: cannot tell, about 880 rows would"
    )
    plain = verdict.limit("accuracy", 0.812, 0.83, None)
    assert plain.sentence() == "accuracy is 0.812, at least 0.83 is needed"


def test_what_cannot_be_told_does_not_reject():
    judged = Verdict.of("gate", [UNTOLD])
    assert (judged.verdict, judged.rejections(), judged.count("cannot tell")) == ("pass", [], 1)


def test_a_table_leaves_out_columns_that_say_nothing():
    head, rows = Verdict.of("gate", [UNTOLD]).table()
    assert head == list(verdict.COLUMNS)
    assert rows[0][-1] == "about 880 rows would tell"
    head, rows = Verdict.of("gate", [verdict.limit("rows", 1200, 1000, None)]).table()
    assert (head, rows) == (["outcome", "check", "value", "limit"], [["pass", "rows", "1,200", "≥ 1000"]])


def test_older_verdicts_are_read_and_newer_ones_refused(tmp_path):
    path = tmp_path / "verdict.json"
    check = {"name": "accuracy", "value": 0.9, "min": 0.8, "max": None, "rows": 10, "outcome": "pass", "note": ""}
    old = {"gate": "g", "verdict": "pass", "checks": [check], "details": {}, "schema_version": 1}
    path.write_text(json.dumps(old))
    assert verdict.read(path).checks[0].low is None
    path.write_text(json.dumps({**old, "schema_version": verdict.SCHEMA + 1}))
    with pytest.raises(StageError, match="Update"):
        verdict.read(path)


def test_a_verdict_comes_back_as_it_was_written(tmp_path):
    judged = Verdict.of("gate", [UNTOLD], seen=3)
    verdict.write(tmp_path / "verdict.json", judged)
    assert verdict.read(tmp_path / "verdict.json") == judged
