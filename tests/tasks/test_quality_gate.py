import json

import numpy as np
import pandas as pd
import pytest
from conftest import labeled

from tasks import verdict
from tasks.core.errors import RejectedError
from tasks.core.files import sha256, write_json, write_parquet
from tasks.core.line import Line
from tasks.evaluate import EvaluateSettings
from tasks.kinds.common import behaviour
from tasks.quality_gate import QualityGateSettings, quality_gate
from tasks.rows import LABELED
from tasks.text import TextSettings

LABELS = ["negative", "positive"]
METRICS = {"accuracy": 0.86, "rows": 1000}
PIXEL = b"\x89PNG\r\n\x1a\n"


def answers(rows, wrong=()):
    """What a model says that is sure, and wrong in the rows at these places."""
    good = (rows["label"] == "positive").to_numpy(copy=True)
    good[list(wrong)] ^= True
    probabilities = np.where(good[:, None], [0.05, 0.95], [0.95, 0.05])
    return rows[["id", "split_key", "source", "label"]].assign(
        predicted=np.where(good, "positive", "negative"),
        confidence=0.95,
        logits=list(np.log(probabilities)),
        probabilities=list(probabilities),
    )


def run(folder, *checks, metrics=METRICS, train=None, wrong=(), behaved=(), live=(), **settings):
    """The gate on 120 test rows and 20 of validation, without copies of one another; `live` are of another source."""
    line = Line("toy")
    rows = labeled(160)
    rows.loc[list(live), "source"] = "live"
    sides = {"train": rows[:20] if train is None else train(rows), "validation": rows[20:40], "test": rows[40:]}
    for side, frame in sides.items():
        write_parquet(line.file("split", f"{side}.parquet"), frame, LABELED)
    write_json(line.file("evaluate", "metrics.json"), metrics)
    write_json(line.file("evaluate", "contract.json"), {"labels": LABELS})
    write_parquet(line.file("evaluate", "predictions.parquet"), answers(rows[40:], wrong))
    write_parquet(line.file("evaluate", "validation.parquet"), answers(rows[20:40]))
    behaviour.write(line.file("evaluate", "behaviour.parquet"), pd.DataFrame(behaved, columns=behaviour.COLUMNS))
    for name in ("confusion.png", "reliability.png"):
        line.file("evaluate", name).write_bytes(PIXEL)
    folder.mkdir()
    content = {"checks": checks or [{"metric": "accuracy", "min": 0.8}], "leakage": {"max_near": 1}, **settings}
    quality_gate(line, QualityGateSettings.model_validate(content), EvaluateSettings(), TextSettings(), folder)
    return (folder / "gate.html").read_text(encoding="utf-8")


def looked_at(folder, check):
    rows = pd.read_parquet(folder / "rows.parquet")
    return rows[rows["check"] == check]


def test_a_passed_gate_lets_export_through(workdir):
    page = run(workdir / "out")
    assert verdict.require(workdir / "out" / "verdict.json").verdict == "pass"
    assert page.count("data:image/png;base64,") == 2
    assert "http" not in page


def test_a_rejection_is_written_with_its_evidence_and_stops_export(workdir):
    page = run(workdir / "out", {"metric": "accuracy", "min": 0.9}, {"metric": "rows", "min": 1}, wrong=range(5))
    with pytest.raises(RejectedError, match=r"accuracy is 0.86, at least 0.9 is needed") as error:
        verdict.require(workdir / "out" / "verdict.json")
    assert error.value.exit_code == 3
    assert "1 of 7 checks reject" in page
    assert "✗ reject" in page
    assert looked_at(workdir / "out", "accuracy")["id"].tolist() == [f"r{n}" for n in range(40, 45)]


OWN = [{"name": "live", "where": 'source == "live"', "floor": 0.4}, {"by": "label", "floor": 0.9}]


@pytest.mark.parametrize("live", [(), range(100, 160)])
def test_limits_mean_the_same_before_and_after_a_hard_source_comes(workdir, live):
    """On the rows that came later the model is right in half of all cases; on the old ones as ever."""
    settings = {"sources": ["made"], "slices": OWN, "brier_max": 0.3, "worst_slices": {"floor": 0.7, "min_rows": 10}}
    wrong = [*range(4), *(place - 40 for place in live[::2])]
    run(workdir / "out", wrong=wrong, live=live, **settings)
    assert verdict.read(workdir / "out" / "verdict.json").verdict == "pass"
    if live:
        run(workdir / "mixed", wrong=wrong, live=live, **{**settings, "sources": None})
        said = " ".join(verdict.read(workdir / "mixed" / "verdict.json").rejections())
        assert "label" in said
        assert "Brier" in said


def test_a_hard_source_has_a_floor_of_its_own(workdir):
    wrong = range(60, 120)
    run(workdir / "out", wrong=wrong, live=range(100, 160), sources=["made"], slices=OWN)
    (said,) = verdict.read(workdir / "out" / "verdict.json").rejections()
    assert "slice live" in said


def test_a_source_that_the_gate_is_about_must_have_rows(workdir):
    run(workdir / "out", live=range(160), sources=["made"], brier_max=0.3, slices=OWN[1:])
    assert "test rows of made is 0" in " ".join(verdict.read(workdir / "out" / "verdict.json").rejections())


def test_a_slice_below_its_floor_rejects_and_its_wrong_rows_are_named(workdir):
    floor = {"name": "early", "where": "id < 'r60' and id > 'r40'", "floor": 0.8}
    page = run(workdir / "out", slices=[floor, {"by": "label", "floor": 0.5}], wrong=range(1, 15))
    (found,) = [c for c in verdict.read(workdir / "out" / "verdict.json").checks if c.outcome == "reject"]
    assert (found.name, found.rows, found.p < 0.001) == ("slice early: accuracy", 19, True)
    assert len(looked_at(workdir / "out", found.name)) == 14
    assert page.count("data:image/png;base64,") == 3  # the forest plot too


def test_a_slice_whose_rows_cannot_tell_says_how_many_would(workdir):
    run(workdir / "out", slices=[{"name": "few", "where": "id < 'r110'", "floor": 0.85}], wrong=[65])
    decided = verdict.read(workdir / "out" / "verdict.json")
    (found,) = [check for check in decided.checks if check.name.startswith("slice")]
    assert (decided.verdict, found.outcome) == ("pass", "cannot tell")
    assert found.rows_needed > found.rows
    assert "rows would tell" in (workdir / "out" / "gate.html").read_text()


def test_a_copy_in_train_rejects_and_its_row_is_named_on_the_page_too(workdir):
    page = run(workdir / "out", train=lambda rows: rows[:41])
    assert "checks reject: leakage.test.exact is" in page
    exact = looked_at(workdir / "out", "leakage.test.exact")
    assert exact[["id", "other_id", "why"]].to_numpy().tolist() == [["r40", "r40", "exact copy in train"]]
    assert "Copies in train" in page


def test_doubtful_labels_are_listed_though_nothing_rejects(workdir):
    page = run(workdir / "out", wrong=range(12))
    assert verdict.read(workdir / "out" / "verdict.json").verdict == "pass"
    assert set(looked_at(workdir / "out", "label_noise")["id"]) == {f"r{n}" for n in range(40, 52)}
    assert "Labels to look at again" in page


def test_failing_behaviour_stands_on_the_page_and_in_the_rows(workdir):
    part = {"kind": "minimum", "cases": 2, "rows": 2, "failed": 1, "fail_rate": 0.5, "fail_rate_low": 0.1,
            "fail_rate_high": 0.9}  # fmt: skip
    case = ["kindness", "minimum", "a {x}", 1, "a <b>film</b>", None, "positive", "negative", None, 0.2, False]
    check = {"metric": "behaviour.kindness.fail_rate", "max": 0.1}
    page = run(workdir / "out", check, metrics={**METRICS, "behaviour": {"kindness": part}}, behaved=[case])
    assert "a &lt;b&gt;film&lt;/b&gt;" in page
    assert verdict.read(workdir / "out" / "verdict.json").rejections()
    found = looked_at(workdir / "out", "behaviour.kindness.fail_rate")
    assert found[["id", "predicted"]].to_numpy().tolist() == [["a {x} / 1", "negative"]]


def test_many_rejections_leave_the_summary_short(workdir):
    metrics = {"per_class": {f"label{n}": {"recall": 0.1, "rows": 9} for n in range(40)}}
    page = run(workdir / "out", {"metric": "per_class.*.recall", "min": 0.8}, metrics=metrics)
    assert "; and 37 more" in page
    assert len(verdict.read(workdir / "out" / "verdict.json").rejections()) == 40


def test_the_page_escapes_what_a_source_is_called(workdir):
    metrics = {"slices": {"source": {"<script>x</script>": {"accuracy": 0.5, "rows": 2}}}}
    page = run(workdir / "out", {"metric": "slices.*.accuracy", "min": 0.8}, metrics=metrics)
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_the_same_metrics_give_the_same_bytes(workdir):
    worst = {"most": 3, "floor": 0.5, "min_rows": 10}
    for name in ("one", "two"):
        run(workdir / name, slices=[{"by": "label", "metric": "accuracy", "floor": 0.5}], worst_slices=worst, wrong=[3])
    assert sha256(workdir / "one") == sha256(workdir / "two")
    assert json.loads((workdir / "one" / "verdict.json").read_text())["gate"] == "quality_gate"
