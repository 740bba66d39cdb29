"""The ops page has a word for every name that records can hold."""

from typing import get_args

import pytest

from flows.alerts import Kind
from flows.loop import Outcome
from flows.web.words import catalogue
from tasks.drift.result import Health, Severity


@pytest.mark.parametrize(
    ("group", "names"),
    [
        ("severity", get_args(Severity)),
        ("health.word", get_args(Health)),
        ("health.short", get_args(Health)),
        ("outcome", get_args(Outcome)),
        ("alert", get_args(Kind)),
    ],
)
def test_every_name_has_its_word(group, names):
    assert {f"{group}.{name}" for name in names} <= set(catalogue("flows.ops", "en"))
