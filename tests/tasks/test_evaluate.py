import contextlib
import json
import shutil

import made
import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from tasks import calibration, tokens
from tasks.core.errors import DataError, SettingsError, StageError
from tasks.core.files import read_json, read_parquet, sha256, write_parquet
from tasks.core.line import Line
from tasks.evaluate import EvaluateSettings, evaluate
from tasks.inference import read_tokenizer
from tasks.rows import LABELED

WRITES = {
    "metrics.json", "calibration.json", "contract.json",
    "predictions.parquet", "validation.parquet", "behaviour.parquet",
    "confusion.csv", "reliability.csv", "confusion.png", "reliability.png",
}  # fmt: skip

BEHAVIOUR = """
lexicons: {noun: [film, story, cast], kind: [great, lovely, warm], unkind: [dull, awful, cold]}
tests:
  - {name: kind_words, kind: minimum, expect: positive, templates: ["{kind} {noun} {kind} {kind}"]}
  - {name: praise_of_blame, kind: minimum, expect: positive, templates: ["{unkind} {noun} {unkind} {unkind}"]}
  - {name: ends, kind: invariance, test_rows: 30, perturb: [punctuation, casing]}
  - {name: blame, kind: direction, label: positive, moves: down, test_rows: 30, append: ["{unkind} awful cold dull"]}
  - {name: nouns, kind: fairness, swap: noun, templates: ["{kind} {noun} lovely warm"]}
"""


@pytest.fixture(scope="module")
def made_once(tmp_path_factory, tiny_encoder):
    folder = tmp_path_factory.mktemp("made")
    with contextlib.chdir(folder):
        made.line(tiny_encoder)
    return folder


@pytest.fixture
def line(workdir, made_once):
    """A made line whose checkpoint is right on nine test rows of ten."""
    shutil.copytree(made_once, workdir, dirs_exist_ok=True)
    return Line("sentiment")


def evaluated(line, folder, **settings):
    folder.mkdir()
    evaluate(line, EvaluateSettings(**settings), folder)
    return read_json(folder / "metrics.json")


def change(line, side, **columns):
    path = line.file("split", f"{side}.parquet")
    write_parquet(path, read_parquet(path).assign(**columns), LABELED)


def test_it_writes_what_it_owes(line, workdir):
    metrics = evaluated(line, workdir / "out", calibration="temperature")
    assert {path.name for path in (workdir / "out").iterdir()} == WRITES
    assert (metrics["accuracy"], metrics["rows"]) == (0.9, 120)
    assert metrics["accuracy_low"] < 0.9 < metrics["accuracy_high"]
    assert metrics["f1_macro_low"] < metrics["f1_macro"] < metrics["f1_macro_high"]
    assert metrics["validation"]["accuracy"] == 0.9
    assert {name: group["rows"] for name, group in metrics["slices"]["source"].items()} == {
        "letters": 40,
        "reviews": 80,
    }
    assert "agreement" not in metrics["slices"]


def test_predictions_hold_the_rows_as_they_stood(line, workdir):
    metrics = evaluated(line, workdir / "out")
    test, found = (
        read_parquet(line.file("split", "test.parquet")),
        read_parquet(workdir / "out" / "predictions.parquet"),
    )
    columns = ["id", "split_key", "source", "label"]
    pd.testing.assert_frame_equal(found[columns], test[columns])
    assert (found["predicted"] == found["label"]).mean() == pytest.approx(metrics["accuracy"])
    probabilities = np.stack(found["probabilities"])
    fitted = read_json(workdir / "out" / "calibration.json")
    assert probabilities == pytest.approx(calibration.apply(fitted, np.stack(found["logits"])), abs=1e-6)
    assert found["confidence"].to_numpy() == pytest.approx(probabilities.max(axis=1))
    confusion = pd.read_csv(workdir / "out" / "confusion.csv")
    assert (confusion["predicted"] == found["predicted"]).all()
    assert pd.read_csv(workdir / "out" / "reliability.csv")["rows"].sum() == 120


def test_validation_rows_are_written_as_test_rows_are(line, workdir):
    metrics = evaluated(line, workdir / "out")
    found, test = (read_parquet(workdir / "out" / f"{name}.parquet") for name in ("validation", "predictions"))
    assert found.dtypes.equals(test.dtypes)
    assert found["id"].tolist() == read_parquet(line.file("split", "validation.parquet"))["id"].tolist()
    assert (found["predicted"] == found["label"]).mean() == pytest.approx(metrics["validation"]["accuracy"])


def test_a_file_without_behaviour_tests_measures_nothing(line, workdir):
    metrics = evaluated(line, workdir / "out")
    assert not {"behaviour", "fairness"} & set(metrics)
    assert read_parquet(workdir / "out" / "behaviour.parquet").empty


def test_behaviour_is_measured_with_the_checkpoint(line, workdir):
    (line.folder / "behaviour.yaml").write_text(BEHAVIOUR)
    metrics = evaluated(line, workdir / "out", cases=4)
    found = metrics["behaviour"]
    assert (found["kind_words"]["cases"], found["kind_words"]["failed"]) == (4, 0)
    assert found["ends"]["cases"] == 30
    assert found["blame"]["failed"] == 0
    assert found["praise_of_blame"]["fail_rate"] == 1  # made to fail: unkind words are not praise
    assert set(found["kinds"]) == {"minimum", "invariance", "direction"}
    assert metrics["fairness"]["nouns"]["cases"] == 3
    table = read_parquet(workdir / "out" / "behaviour.parquet")
    assert len(table) == 4 + 4 + 30 + 30 + 3 * 2
    test = read_parquet(line.file("split", "test.parquet")).set_index("id")["text"]
    rows = table[table["test"] == "ends"]
    assert rows["original"].tolist() == test[rows["template"]].tolist()
    assert not table.loc[table["test"] == "praise_of_blame", "passed"].any()


def test_a_behaviour_test_of_another_line_s_label_is_named(line, workdir):
    (line.folder / "behaviour.yaml").write_text(BEHAVIOUR.replace("expect: positive", "expect: cheerful"))
    with pytest.raises(SettingsError, match="expect is 'cheerful'; the line's labels are negative, positive"):
        evaluated(line, workdir / "out")


def test_the_contract_holds_order_and_token_ids(line, workdir):
    evaluated(line, workdir / "out")
    contract = read_json(workdir / "out" / "contract.json")
    assert (contract["labels"], contract["max_length"]) == (made.LABELS, 64)
    texts = read_parquet(line.file("split", "test.parquet"))["text"].tolist()
    tokenizer = read_tokenizer(line.file("train", "tokenizer.json"), 64)
    assert contract["tokens"] == tokens.digests(tokenizer.encode(text).ids for text in texts)


def test_the_same_input_gives_the_same_bytes(line, workdir):
    digests = []
    for name in ("one", "two"):
        evaluated(line, workdir / name)
        digests.append(sha256(workdir / name))
    assert digests[0] == digests[1]


def test_logits_do_not_depend_on_the_batch(line):
    model = made.Checkpoint(line.folder / "train")
    texts = made.texts(30)
    alone = np.concatenate([model.logits([text], 1, "one") for text in texts])
    assert model.logits(texts, 7, "seven") == pytest.approx(alone, abs=1e-5)


def test_one_class_alone_in_the_test(line, workdir):
    answers = read_parquet(line.file("split", "test.parquet"))["label"]
    rare = answers.value_counts().idxmin()
    change(line, "test", label=rare)
    metrics = evaluated(line, workdir / "out", calibration="temperature")
    assert metrics["roc_auc"] is None
    assert metrics["accuracy"] == metrics["per_class"][rare]["recall"] < 0.5
    assert {part["rows"] for part in metrics["per_class"].values()} == {0, 120}
    assert "NaN" not in (workdir / "out" / "metrics.json").read_text()


def test_one_class_alone_in_the_validation(line, workdir):
    change(line, "validation", label="negative")
    assert evaluated(line, workdir / "out")["calibration"]["method"] == "temperature"


def test_a_single_test_row(line, workdir):
    path = line.file("split", "test.parquet")
    write_parquet(path, read_parquet(path)[:1], LABELED)
    metrics = evaluated(line, workdir / "out")
    assert metrics["rows"] == 1
    json.dumps(metrics, allow_nan=False)


def test_a_text_of_a_megabyte_is_cut(line, workdir):
    change(line, "test", text="great film " * 100_000)
    path = line.file("split", "test.parquet")
    write_parquet(path, read_parquet(path)[:1], LABELED)
    assert evaluated(line, workdir / "out")["rows"] == 1


@pytest.mark.parametrize("side", ["validation", "test"])
def test_an_empty_side_is_named(line, workdir, side):
    path = line.file("split", f"{side}.parquet")
    write_parquet(path, read_parquet(path)[:0], LABELED)
    with pytest.raises(DataError, match=f"{side}.parquet has no rows"):
        evaluated(line, workdir / "out")


@pytest.mark.parametrize(("label", "named"), [("neutral", "neutral"), (None, "none at all")])
def test_a_label_outside_the_set_is_named(line, workdir, label, named):
    change(line, "test", label=label)
    with pytest.raises(DataError, match=rf"test.parquet holds labels .*{named}.*negative, positive"):
        evaluated(line, workdir / "out")


def test_a_broken_checkpoint_says_what_to_do(line, workdir):
    weights = line.file("train", "model.safetensors")
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(StageError, match=r"no readable checkpoint.*Run the train stage again"):
        evaluated(line, workdir / "out")


def test_a_half_written_config_says_what_to_do(line, workdir):
    line.file("train", "config.json").write_text("{")
    with pytest.raises(StageError, match="no readable checkpoint"):
        evaluated(line, workdir / "out")


def test_a_checkpoint_that_diverged_is_named(line, workdir):
    from safetensors.numpy import load_file, save_file

    path = line.file("train", "model.safetensors")
    weights = load_file(path)
    weights["classifier.bias"] = weights["classifier.bias"] * np.nan
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(StageError, match="not finite for 120 of 120 rows"):
        evaluated(line, workdir / "out")


def test_nothing_is_fetched_for_a_folder_that_is_gone(line, workdir):
    shutil.rmtree(line.folder / "train")
    with pytest.raises(StageError, match="no readable checkpoint"):
        evaluated(line, workdir / "out")


@pytest.mark.parametrize("wrong", [{"length_edges": [25, 10]}, {"length_edges": [0]}, {"calibration": "platt"}])
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(ValidationError):
        EvaluateSettings.model_validate(wrong)


def test_without_rows_out_of_scope_the_threshold_refuses_a_share_of_those_in_it(line, workdir):
    plain = evaluated(line, workdir / "plain")
    metrics = evaluated(line, workdir / "out", scope={"score": "max_probability", "false_reject": 0.2})
    told = metrics.pop("scope")
    assert metrics == plain
    assert (told["fitted_to"], told["fit_rows"], told["out_of_scope_rows"]) == ("false_reject", 120, 0)
    assert 0.5 < told["threshold"] < 1
    assert told["false_reject_low"] < 0.2 < told["false_reject_high"]
    assert "recall" not in told


def test_too_few_rows_out_of_scope_are_said(line, workdir):
    rows = read_parquet(line.file("split", "test.parquet"))[:7]
    write_parquet(line.file("split", "out_of_scope.parquet"), rows.assign(side="train"))
    with pytest.raises(DataError, match=r"7 rows cannot hold evaluate.scope.false_accept at 0.05: 19 are needed"):
        evaluated(line, workdir / "out", scope={})
