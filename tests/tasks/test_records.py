"""Python values as tables: every type of a driver or of JSON, none mixed, none lost."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.errors import SettingsError, SourceError
from tasks.sources.records import agree, is_variable, table
from tasks.sources.tables import ROWS

VALUES = (
    st.text(st.characters(codec=None), max_size=8) | st.integers() | st.floats() | st.booleans() | st.decimals()
    | st.datetimes() | st.uuids() | st.lists(st.integers(), max_size=3) | st.dictionaries(st.text(), st.integers())
)  # fmt: skip


@given(st.lists(st.none() | VALUES, max_size=5))
def test_a_column_of_any_values_is_text_or_refused(values):
    try:
        found, types = table({"text": values}, "made")
    except SourceError:
        assert len({type(value) for value in values} - {type(None)}) > 1
        return
    assert found.column_names == list(ROWS)
    assert [text is None for text in found["text"].to_pylist()] == [value is None for value in values]
    assert types.keys() <= {"text"}


def test_what_values_become():
    def text(value):
        return table({"text": [value]}, "made")[0]["text"][0].as_py()

    given = [7, 4.5, Decimal("4.50"), True, {"a": "é"}, [1, "b"], UUID(int=1), "half \ud83d", date(2026, 5, 1)]
    assert [*map(text, given)] == [
        "7", "4.5", "4.50", "true", '{"a": "é"}', '[1, "b"]', "00000000-0000-0000-0000-000000000001", "half ?",
        "2026-05-01",
    ]  # fmt: skip


def test_times_and_ratings():
    moments = [datetime(2026, 5, 1, 12, tzinfo=timezone(timedelta(hours=2))), datetime(2026, 5, 1, 10), None]
    found, types = table({"text": ["a"] * 3, "created_at": moments, "ratings": [[1, 2.5], None, []]}, "made")
    assert found["created_at"].to_pylist() == [datetime(2026, 5, 1, 10, tzinfo=UTC)] * 2 + [None]
    assert found["ratings"].to_pylist() == [[1.0, 2.5], None, []]
    assert types == {"text": "text", "created_at": "time", "ratings": "list"}
    assert table({"text": ["a"], "created_at": [date(2026, 5, 1)]}, "made")[0]["created_at"][0].as_py().day == 1


def test_bytes_and_mixtures_are_refused():
    with pytest.raises(SourceError, match="holds bytes; it must be of one type"):
        table({"text": [b"secret"]}, "made")
    with pytest.raises(SourceError, match="holds text and whole number"):
        table({"text": ["a", 1]}, "made")
    with pytest.raises(SourceError, match="cannot be stored"):
        table({"ratings": [["a"]]}, "made")


def test_types_agree_or_not():
    assert agree({"id": "text"}, {"label": "number"}, "made") == {"id": "text", "label": "number"}
    with pytest.raises(SourceError, match="'id' held text when rows were taken before, and now holds number"):
        agree({"id": "text"}, {"id": "number"}, "made")


@given(st.text())
def test_what_is_no_name_of_a_variable_is_not_shown(given_text):
    try:
        assert is_variable(given_text, "x").isidentifier()
    except SettingsError as error:
        assert len(given_text) < 8 or given_text not in str(error)
