from pathlib import Path

import pytest
import yaml
from conftest import ROOT

from tasks import expectations
from tasks.core.errors import SettingsError
from tasks.validate import DERIVED

COLUMNS = ["id", "text", "label", "characters"]
FINE = {"expectation": "expect_column_values_to_be_unique", "column": "id", "severity": "quarantine"}


def load(entries, tmp_path):
    path = tmp_path / "expectations.yaml"
    path.write_text(entries if isinstance(entries, str) else yaml.safe_dump(entries))
    return expectations.load(path, COLUMNS)


def refused(entries, tmp_path):
    with pytest.raises(SettingsError) as error:
        load(entries, tmp_path)
    assert error.value.exit_code == 2
    return str(error.value)


def test_an_entry_becomes_an_expectation(tmp_path):
    entry = FINE | {"mostly": 0.9, "reason": "twice"}
    (found,) = load([entry], tmp_path)
    assert found.kwargs == {"column": "id", "mostly": 0.9}
    assert (found.severity, found.by_row, found.reason) == ("quarantine", True, "twice")
    assert found.words == "id values to be unique"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"expectation": "expect_column_values_to_be_uniqe"}, "did you mean 'expect_column_values_to_be_unique'?"),
        ({"expectation": None}, "there is no expectation None"),
        ({"severity": "quarantene"}, "did you mean 'quarantine'?"),
        ({"severity": None}, "allowed: reject, quarantine, warn"),
        ({"column": "ide"}, "there is no column 'ide' (did you mean 'id'?)"),
        ({"column": None}, "column: none is not an allowed value"),
        ({"mosty": 0.9}, "unknown argument 'mosty' (did you mean 'mostly'?)"),
        ({"mostly": 4}, "mostly: ensure this value is less than or equal to 1.0"),
        ({"result_format": "BASIC"}, "unknown argument 'result_format'"),
        ({"reason": 3}, "reason must be text"),
        ({"expectation": "expect_column_values_to_match_regex", "regex": "("}, "is no regular expression"),
        ({"expectation": "expect_column_mean_to_be_between", "min_value": 1}, "no rows to quarantine"),
    ],
)
def test_an_error_names_its_place_and_the_nearest_valid_name(change, message, tmp_path):
    said = refused([FINE | change], tmp_path)
    assert "expectations.yaml, entry 1" in said
    assert message in said


def test_all_errors_are_said_at_once(tmp_path):
    said = refused([FINE | {"severity": "no"}, FINE, "text", FINE, FINE | {"column": "x", "mostly": 2}], tmp_path)
    assert "entry 1 (expect_column_values_to_be_unique): severity" in said
    assert "entry 3: must be a block" in said
    assert "is the same as entry 2" in said
    assert "no column 'x'" in said
    assert "mostly" in said


@pytest.mark.parametrize(
    ("text", "message"), [("a: [", "not readable as YAML"), ("", "must be a list"), ("a: 1", "must be a list")]
)
def test_a_file_that_is_no_list_is_refused(text, message, tmp_path):
    assert message in refused(text, tmp_path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="is missing"):
        expectations.load(tmp_path / "none.yaml", COLUMNS)


def test_an_empty_list_expects_nothing(tmp_path):
    assert load("[]", tmp_path) == []


def test_the_suite_of_every_line_is_valid():
    columns = ["id", "text", "source", "created_at", "label", "split_key", *DERIVED]
    suites = sorted(Path(ROOT, "data").glob("*/expectations.yaml"))
    assert suites
    for suite in suites:
        assert expectations.load(suite, columns)
