"""`tidegate wanted`: a file for annotators out of the prediction log."""

from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from answers import answered, labelled
from hypothesis import given, settings
from hypothesis import strategies as st

from flows import promote
from flows.wanted import FORMULA, export, harmless, plain
from serving.log import store
from serving.log.database import migrate, open_database, writing
from serving.log.rows import Encoder
from serving.log.settings import LogSettings
from tasks.core.errors import SettingsError, TidegateError


@pytest.fixture
def log(unrecorded):
    """Answers of the champion, one of them labelled; one of an earlier release."""
    with pytest.raises(TidegateError, match="has no champion"):
        export("sentiment", None, 10)
    promote.promote("sentiment", unrecorded["bad"], "Ada", "first")
    given = [answered(f"r{n}", [f"text {n}"]) for n in range(40)] + [answered("f", ["=cmd|x"])]
    encoder = Encoder(LogSettings())
    records = [encoder.answers(SimpleNamespace(**{**vars(one), "release": unrecorded["bad"]})) for one in given]
    records += [encoder.answers(answered("old", ["of an earlier release"])), encoder.feedback(labelled("r7"))]
    engine = open_database(LogSettings().database())
    migrate(engine)
    batch = store.Batch.of([store.Record(n, payload) for n, payload in enumerate(records, start=1)])
    with writing(engine).begin() as connection:
        store.insert(connection, SimpleNamespace(name="made", settled=0, torn=False), batch)
    engine.dispose()
    return unrecorded


def test_rows_without_a_label_and_why_each(log):
    said = export("sentiment", None, 20)
    table = pd.read_csv(".tidegate/wanted/sentiment.csv", keep_default_na=False)
    assert "20 rows of sentiment" in said
    assert list(table) == ["request_id", "position", "text", "label", "confidence", "why", "true_label"]
    assert not {"r7", "old"} & set(table["request_id"])
    assert set(table["why"]) == {"at random", "unsure", "unfamiliar"}


def test_a_text_is_no_formula_in_a_spreadsheet_and_itself_in_json(log):
    export("sentiment", Path("all.csv"), 100)
    export("sentiment", Path("all.jsonl"), 100)
    assert pd.read_csv("all.csv").set_index("request_id").loc["f", "text"] == "'=cmd|x"
    assert pd.read_json("all.jsonl", lines=True).set_index("request_id").loc["f", "text"] == "=cmd|x"


@settings(deadline=None)
@given(st.text(st.sampled_from("'=+-@\t\rab")))
def test_any_text_is_harmless_and_comes_back(text):
    assert not harmless(text).startswith(FORMULA)
    assert plain(harmless(text)) == text


def test_what_cannot_be_written_is_said(log):
    with pytest.raises(SettingsError, match=r"\.csv or \.jsonl"):
        export("sentiment", Path("rows.xlsx"), 10)


def test_a_log_without_texts_has_none_to_label(log):
    Path("params.yaml").write_text(Path("params.yaml").read_text() + "serving: {log: {text: off}}\n")
    with pytest.raises(TidegateError, match="keeps no texts"):
        export("sentiment", None, 10)
