import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from tasks import slicing
from tasks.core.errors import SettingsError
from tasks.slices import SliceSettings, members, select

ROWS = pd.DataFrame(
    {
        "id": ["1", "2", "3"],
        "text": ["not a good film", "fine", "it is @home, not here"],
        "source": ["film", "film", "letters"],
        "label": ["negative", "positive", "positive"],
        "agreement": [0.9, 0.5, np.nan],
        "ambiguous": [False, True, None],
    }
)
WAYS = slicing.ways(ROWS, "words", (3,))


def named(**settings):
    return {name: mask.tolist() for name, mask in members(SliceSettings(floor=0.5, **settings), ROWS, WAYS)}


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("text.str.contains('not ')", [True, False, True]),
        ("words < 2", [False, True, False]),
        ("characters >= 10 and source == 'film'", [True, False, False]),
        ("not ambiguous", [True, False, True]),
        ("agreement > 0.6", [True, False, False]),
        ("label == 'positive' or words > 3", [True, True, True]),
        ("text.str.contains('@')", [False, False, True]),
        ("source in ['letters', 'mail']", [False, False, True]),
    ],
)
def test_an_expression_picks_its_rows(where, expected):
    assert named(name="s", where=where) == {"slice s": expected}


def test_a_way_of_slicing_gives_a_slice_for_each_value():
    assert named(by="length") == {"slice length 0-2": [False, True, False], "slice length 3+": [True, False, True]}
    assert named(by="label") == {
        "slice label negative": [True, False, False],
        "slice label positive": [False, True, True],
    }
    assert named(by="ambiguous") == {
        "slice ambiguous no": [True, False, False],
        "slice ambiguous yes": [False, True, False],
    }


def test_a_way_for_which_no_row_has_a_value_is_still_shown():
    rows = ROWS.assign(agreement=np.nan)
    found = list(members(SliceSettings(by="agreement", floor=0.5), rows, slicing.ways(rows, "words", ())))
    assert [(name, mask.sum()) for name, mask in found] == [("slice agreement", 0)]


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("wrds < 5", r"names 'wrds' \(did you mean 'words'\?\); columns are id, text"),
        ("words <", "not readable"),
        ("@words < 5", "`@` and `=` are not allowed"),
        ("words = 5", "not readable"),
        ("text @ label", "uses `@`"),
        ("text.__class__", "__class__, which is not allowed"),
        ("text.to_csv('x')", "to_csv, which is not allowed"),
        ("__import__('os').system('true')", "names '__import__'"),
        ("words", "true or false for each row"),
        ("words.sum() > 3", "true or false for each row"),
        ("text > 5", "cannot be evaluated"),
        ("text.str.contains('(')", "cannot be evaluated"),
        ("text.str.nope()", "cannot be evaluated"),
        ("", "not readable"),
    ],
)
def test_a_wrong_expression_says_what_is_wrong_before_anything_runs(where, message):
    with pytest.raises(ValidationError, match=message):
        SliceSettings(name="s", where=where, floor=0.5)


def test_an_expression_that_only_some_rows_bear_names_its_slice():
    rows = ROWS.assign(label=[1, "a", "b"])
    wanted = SliceSettings(name="odd", where="label > 'a'", floor=0.5)
    with pytest.raises(SettingsError, match=r"quality_gate\.slices, odd: the expression cannot be evaluated"):
        list(members(wanted, rows, WAYS))


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"by": "length", "where": "words < 5", "name": "s"},
        {"where": "words < 5"},
        {"by": "length", "name": "s"},
        {"by": "colour"},
        {"by": "label", "metric": "f1_macro"},
        {"by": "length", "floor": 1.5},
    ],
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(ValidationError):
        SliceSettings.model_validate({"floor": 0.5, **wrong})


def test_select_does_not_change_the_rows():
    before = ROWS.copy()
    select(ROWS, "words > 1")
    pd.testing.assert_frame_equal(ROWS, before)
