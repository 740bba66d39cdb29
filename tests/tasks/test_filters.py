"""Row filters: what leaves, for which reason, and which row of copies stays."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from tasks.core.errors import SettingsError
from tasks.core.settings import parse
from tasks.filters import FilterSettings, NearCopies, apply
from tasks.rows import RAW

LONG = "the film was long and the cast was good but nobody in it could act at all"


def table(*rows):
    """Rows of (id, text) and more columns."""
    blank = dict.fromkeys(RAW.names)
    return pa.Table.from_pylist([blank | {"id": name, "text": text} | rest for name, text, rest in rows], schema=RAW)


def reasons(rows, **settings):
    found = apply(rows, FilterSettings(**settings))
    names = rows["id"].to_pylist()
    return {names[place]: reason for place, reason in found.reasons.items()}


def test_nothing_set_takes_nothing():
    found = apply(table(("a", "x", {}), ("b", "x", {})), FilterSettings())
    assert (found.reasons, found.counts) == ({}, {})


def test_languages_leave_where_the_model_is_sure():
    rows = table(
        ("en", "I have seen this film three times and would see it again", {}),
        ("de", "Ich habe diesen Film dreimal gesehen und würde ihn wieder sehen", {}),
        ("zh", "这部电影非常好看", {}),
        ("?", "!!! 10/10", {}),
        ("none", None, {}),
    )
    found = reasons(rows, languages=("en",))
    assert sorted(found) == ["de", "zh"]
    assert found["zh"] == "language: zh (1.00)"
    assert sorted(reasons(rows, languages=("en", "zh"))) == ["de"]
    assert reasons(rows, languages=("fr",), language_certainty=1).keys() <= {"zh", "de", "en"}


def test_lengths_are_characters():
    rows = table(("a", "ab", {}), ("b", "电影好", {}), ("c", "a" * 11, {}))
    assert reasons(rows, min_characters=3, max_characters=10) == {
        "a": "length: 2 characters",
        "c": "length: 11 characters",
    }


def test_of_copies_the_labelled_then_the_older_then_the_smaller_id_stays():
    old, new = datetime(2020, 1, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC)
    rows = table(
        ("bare", "Same", {"created_at": old}),
        ("new", "same", {"label": "good", "created_at": new}),
        ("old", " same", {"ratings": [1.0, 2.0], "created_at": old}),
        ("a", "other", {}),
        ("b", "other", {}),
    )
    assert reasons(rows, exact_copies=True) == {
        "bare": "exact copy of old",
        "new": "exact copy of old",
        "b": "exact copy of a",
    }


def test_filters_come_one_after_the_other():
    rows = table(("a", LONG, {}), ("b", LONG.upper(), {}), ("c", LONG.replace("good", "fine"), {}), ("d", "x", {}))
    found = apply(rows, FilterSettings(min_characters=2, exact_copies=True, near_copies=NearCopies()))
    assert found.reasons == {3: "length: 1 characters", 1: "exact copy of a", 2: "near copy of a"}
    assert found.counts == {
        "length": {"rows": 4, "looked_at": 4, "left_out": 1},
        "exact copies": {"rows": 3, "looked_at": 3, "left_out": 1},
        "near copies": {"rows": 2, "looked_at": 2, "left_out": 1},
    }


def test_rows_beyond_the_limit_are_counted_as_not_looked_at():
    rows = table(*((f"r{n}", f"{LONG} {n}", {}) for n in range(10)))
    found = apply(rows, FilterSettings(near_copies=NearCopies(max_rows=4)))
    assert found.counts["near copies"] == {"rows": 10, "looked_at": 4, "left_out": 3}


def test_wrong_settings_are_said():
    with pytest.raises(SettingsError, match=r"max_characters \(3\) must not be below min_characters \(5\)"):
        parse(FilterSettings, {"min_characters": 5, "max_characters": 3}, "filters")
    assert parse(FilterSettings, {"near_copies": {}}, "filters").near_copies == NearCopies()
