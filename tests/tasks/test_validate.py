import re
import subprocess
import sys

import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from conftest import ROOT, labeled

from tasks import verdict
from tasks.core.files import write_parquet
from tasks.core.line import Line
from tasks.rows import QUARANTINE, RAW
from tasks.validate import ValidateSettings, validate

pytestmark = pytest.mark.disable_socket  # Great Expectations calls no one
LINE = Line("made")
SECRET = "my number is 5550199"
SUITE = [
    {"expectation": "expect_column_values_to_be_unique", "column": "id", "severity": "quarantine"},
    {
        "expectation": "expect_column_values_to_not_be_null",
        "column": "text",
        "severity": "quarantine",
        "reason": "there is no text",
    },
    {
        "expectation": "expect_column_values_to_be_between",
        "column": "characters",
        "min_value": 1,
        "max_value": 1000,
        "severity": "quarantine",
        "reason": "the text is empty or too long",
    },
    {
        "expectation": "expect_column_values_to_match_regex",
        "column": "text",
        "regex": r"^\D",
        "severity": "quarantine",
        "reason": "starts with <digit>",
    },
    {
        "expectation": "expect_column_values_to_be_between",
        "column": "ratings_count",
        "min_value": 2,
        "severity": "quarantine",
        "reason": "too few ratings",
    },
]


def table(rows=200):
    frame = labeled(rows)
    frame["ratings"] = [[1.0, 2.0, 3.0]] * rows
    frame["votes"] = None
    return frame[RAW.names]


def run(frame=None, suite=SUITE, out="validate", **settings):
    if frame is not None:
        write_parquet(LINE.file("ingest", "rows.parquet"), frame.astype({"ratings": object}), RAW)
    LINE.folder.mkdir(parents=True, exist_ok=True)
    (LINE.folder / "expectations.yaml").write_text(yaml.safe_dump(suite))
    folder = LINE.folder / out
    validate(LINE, ValidateSettings(**settings), folder)
    return folder, verdict.read(folder / "verdict.json")


def rejections(frame, suite, **settings):
    _, found = run(frame, suite, **settings)
    assert found.verdict == "reject"
    return " | ".join(found.rejections())


def test_good_rows_pass_unchanged(workdir):
    frame = table()
    folder, found = run(frame)
    assert found.verdict == "pass"
    assert {check.outcome for check in found.checks} == {"pass"}
    assert (folder / "rows.parquet").exists()
    assert pq.read_table(folder / "rows.parquet").equals(pq.read_table(LINE.file("ingest", "rows.parquet")))
    assert pq.read_schema(folder / "quarantine.parquet").equals(QUARANTINE)
    assert pq.read_metadata(folder / "quarantine.parquet").num_rows == 0


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """A run over rows with every fault: folder, verdict, log."""
    patch = pytest.MonkeyPatch()
    patch.chdir(tmp_path_factory.mktemp("mixed"))
    frame = table()
    frame.loc[1, "id"] = frame.loc[0, "id"]
    frame.loc[2, "text"] = None
    frame.loc[3, "text"] = "x" * 1_000_000
    frame.loc[4, "text"] = "5550199 " + SECRET + " <script>" * 200
    frame.at[5, "ratings"] = [1.0]
    frame.at[6, "ratings"] = None
    frame.loc[6, "label"] = None
    frame.at[7, "ratings"] = None  # and keeps its label, which stands in their place
    frame["votes"] = frame["votes"].astype(object)
    frame.at[8, "ratings"] = None
    frame.at[8, "votes"] = [{"who": "a", "label": "good"}]  # and so do votes
    frame.loc[8, "label"] = None
    folder, found = run(frame)
    yield folder.absolute(), found, frame
    patch.undo()


def test_bad_rows_go_aside_with_every_reason(mixed):
    folder, found, frame = mixed
    aside = pd.read_parquet(folder / "quarantine.parquet")
    assert list(zip(aside["id"], aside["reason"], strict=True)) == [
        ("r0", "fails: id values to be unique"),
        ("r0", "fails: id values to be unique"),
        ("r2", "there is no text"),
        ("r3", "the text is empty or too long"),
        ("r4", "the text is empty or too long; starts with <digit>"),
        ("r5", "too few ratings"),
        ("r6", "too few ratings"),
    ]
    assert aside["text"][4] == frame["text"][4]
    assert pd.read_parquet(folder / "rows.parquet")["id"].tolist() == frame["id"][7:].tolist()
    assert found.verdict == "pass"
    assert found.details["quarantined"] == 7
    assert found.details["reasons"]["the text is empty or too long"] == 2
    outcomes = {check.name: check.outcome for check in found.checks}
    assert outcomes["rows that fail: id values to be unique"] == "warn"


def test_neither_verdict_nor_docs_hold_anything_of_a_row(mixed):
    folder, _, _ = mixed
    said = (folder / "verdict.json").read_text() + (folder / "docs" / "index.html").read_text()
    assert "5550199" not in said
    assert "<script" not in said
    assert "xxxx" not in said


def test_the_docs_stand_alone(mixed):
    page = (mixed[0] / "docs" / "index.html").read_text()
    assert not re.search(r"(src|href)=|https?://|url\(", page)
    assert "values must be unique" in page
    assert "starts with &lt;digit&gt;" in page
    assert str(mixed[0]) not in page


def test_the_same_rows_give_the_same_bytes(mixed, workdir):
    folder, _, frame = mixed
    again, _ = run(frame)
    names = ["rows.parquet", "quarantine.parquet", "filtered.parquet", "verdict.json", "docs/index.html"]
    assert [(folder / name).read_bytes() for name in names] == [(again / name).read_bytes() for name in names]
    assert sorted(str(p.relative_to(again)) for p in again.rglob("*") if p.is_file()) == sorted(names)


def test_too_many_bad_rows_reject(workdir):
    frame = table()
    frame.loc[:19, "text"] = None
    said = rejections(frame, SUITE, max_quarantined=0.05)
    advice = "there is no text: 20; mend the rows, or raise validate.max_quarantined"
    assert said == f"share of rows quarantined is 0.1, at most 0.05 is needed ({advice})"
    passed = run(max_quarantined=0.1)[1]
    assert passed.verdict == "pass" and not any(check.note for check in passed.checks[-2:])


FILTERS = {"languages": ["en"], "min_characters": 5, "exact_copies": True, "near_copies": {}}


def test_filtered_rows_are_kept_apart_with_their_reasons(workdir):
    frame = table(20)
    frame.loc[3, "text"] = SECRET.upper()
    frame.loc[4, "text"] = SECRET
    frame.loc[5, "text"] = "这部电影真的非常好看"
    folder, found = run(frame, [], filters={"languages": ["en"], "exact_copies": True})
    left_out = pq.read_table(folder / "filtered.parquet")
    assert left_out.schema.equals(QUARANTINE)
    reasons = dict(zip(left_out["id"].to_pylist(), left_out["reason"].to_pylist(), strict=True))
    assert reasons == {"r4": "exact copy of r3", "r5": "language: zh (1.00)"}
    assert pq.read_metadata(folder / "rows.parquet").num_rows == 18
    kept = pq.read_table(folder / "rows.parquet").to_pandas().set_index("id")["split_key"]
    assert kept.to_dict() == frame.set_index("id")["split_key"].drop(["r4", "r5"]).to_dict()
    assert found.verdict == "pass"
    assert found.details["quarantined"] == 0
    assert found.details["filters"]["left_out"] == 2
    assert found.details["filters"]["steps"]["exact copies"] == {"rows": 19, "looked_at": 19, "left_out": 1}
    page = (folder / "docs" / "index.html").read_text()
    assert "20 rows, 0 of them quarantined, 2 left out by filters." in page
    assert "filtered: language" in page
    assert "电影" not in page
    assert "5550199" not in page


def test_filters_that_take_too_much_reject(workdir):
    frame = table().assign(text="the very same text in every row")
    said = rejections(frame, [], filters={"exact_copies": True})
    assert said.startswith("share of rows filtered is 0.995, at most 0.5 is needed (set validate.filters otherwise")
    assert run(frame, [], filters={"exact_copies": True, "max_share": 1})[1].verdict == "pass"


def test_filters_and_bad_rows_are_counted_apart(workdir):
    frame = table()
    frame.loc[:19, "text"] = None
    _, found = run(frame, SUITE, max_quarantined=0.2, filters=FILTERS | {"max_share": 1})
    told = found.details["filters"]["steps"]
    assert found.details["quarantined"] == 20
    assert told["language"]["rows"] == 180
    assert told["near copies"]["left_out"] > 0


def test_rows_that_a_filter_did_not_see_are_said(workdir):
    _, found = run(table(), [], filters={"near_copies": {"max_rows": 50}, "max_share": 1})
    (check,) = (check for check in found.checks if check.name == "filtered: near copies")
    assert (check.outcome, check.rows) == ("warn", 50)
    assert check.note == "150 rows more were not looked at; raise max_rows"


def test_an_empty_table_rejects_whatever_the_suite_says(workdir):
    assert "table row count is 0, at least 1 is needed" in rejections(table(0), SUITE)
    assert "table row count is 0" in rejections(table(0), [])


def test_a_missing_table_rejects(workdir):
    said = rejections(None, SUITE)
    assert "data/made/ingest/rows.parquet is missing; run ingest" in said
    assert "table row count is 0" in said


def test_a_table_that_is_none_rejects(workdir):
    LINE.file("ingest", "rows.parquet").parent.mkdir(parents=True)
    LINE.file("ingest", "rows.parquet").write_bytes(b"PAR1 cut off")
    assert "is no whole parquet file" in rejections(None, [])
    run(table())
    whole = bytearray(LINE.file("ingest", "rows.parquet").read_bytes())
    whole[4:400] = b"0" * 396
    LINE.file("ingest", "rows.parquet").write_bytes(whole)
    assert "is no whole parquet file" in rejections(None, [])
    pd.DataFrame({"id": ["a"]}).to_parquet(LINE.file("ingest", "rows.parquet"))
    assert "lacks text, source" in rejections(None, [])
    pd.DataFrame({name: ["a"] for name in RAW.names}).to_parquet(LINE.file("ingest", "rows.parquet"))
    assert "columns of other types" in rejections(None, [])


def test_too_few_rows_reject(workdir):
    assert "table row count is 30, at least 50 is needed" in rejections(table(30), [], min_rows=50)
    frame = table(60)
    frame.loc[:14, "text"] = None
    said = rejections(frame, SUITE, min_rows=50, max_quarantined=1)
    assert said == "rows that passed is 45, at least 50 is needed (bring more rows, or lower validate.min_rows)"


def test_one_class_only_can_be_made_to_reject(workdir):
    suite = [
        {
            "expectation": "expect_column_unique_value_count_to_be_between",
            "column": "label",
            "min_value": 2,
            "severity": "reject",
        }
    ]
    said = rejections(table().assign(label="positive"), suite)
    assert said == "label unique value count is 1, at least 2 is needed"
    assert run(table(), suite)[1].verdict == "pass"


@pytest.mark.parametrize(("severity", "outcome"), [("reject", "reject"), ("quarantine", "warn"), ("warn", "warn")])
def test_a_label_outside_the_set_by_severity(severity, outcome, workdir):
    suite = [
        {
            "expectation": "expect_column_values_to_be_in_set",
            "column": "label",
            "value_set": ["positive", "negative"],
            "severity": severity,
            "reason": "no label of ours",
        }
    ]
    frame = table()
    frame.loc[7, "label"] = SECRET
    folder, found = run(frame, suite)
    (check,) = (check for check in found.checks if "label" in check.name)
    assert (check.value, check.outcome, check.note) == (1, outcome, "no label of ours")
    assert found.verdict == ("reject" if severity == "reject" else "pass")
    rows = pq.read_metadata(folder / "rows.parquet").num_rows
    assert rows == (199 if severity == "quarantine" else 200)
    assert "5550199" not in (folder / "docs" / "index.html").read_text()


def test_mostly_lets_some_rows_fail(workdir):
    entry = {"expectation": "expect_column_values_to_not_be_null", "column": "text", "severity": "reject"}
    frame = table()
    frame.loc[:9, "text"] = None
    assert run(frame, [entry | {"mostly": 0.9}])[1].verdict == "pass"
    assert "is 10, at most 4 is needed" in rejections(frame, [entry | {"mostly": 0.98}])


def test_an_expectation_that_cannot_be_computed_rejects_without_quoting_a_row(workdir):
    suite = [{"expectation": "expect_column_mean_to_be_between", "column": "text", "min_value": 1, "severity": "warn"}]
    said = rejections(table().assign(text=SECRET), suite)
    assert "text mean is None (it could not be computed" in said
    assert "5550199" not in said


def test_a_rejected_batch_ends_the_line_at_label_with_3(checkout):
    (checkout / "params.yaml").write_text(
        yaml.safe_dump({"lines": {"made": {"kind": "classify", "label": {"labels": ["a", "b"]}}}})
    )
    (checkout / "data/made/labelling").mkdir(parents=True)
    _, found = run(table(0))
    assert found.verdict == "reject"
    ended = subprocess.run([sys.executable, "-m", "tasks.label", "made"], capture_output=True, text=True, check=False)
    assert ended.returncode == 3
    assert "error: validate rejects: table row count is 0" in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr
    assert not LINE.file("label", "labeled.parquet").exists()


def test_importing_the_stage_loads_no_heavy_package():
    heavy = "{'pandas', 'pyarrow', 'numpy', 'great_expectations'}"
    code = f"import sys, tasks.validate, tasks.label, tasks.split; print({heavy} & set(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "set()"
