import os
import shutil
import subprocess
import sys
from pathlib import Path

import made
import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from conftest import ROOT, copy_code
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks import calibration, verdict
from tasks.core.errors import RejectedError, SettingsError, StageError
from tasks.core.files import read_json, read_parquet, write_json
from tasks.core.line import Line
from tasks.core.settings import parse
from tasks.export import ExportSettings, export
from tasks.inference import Model, read_signature
from tasks.kinds.classify.checkpoint import Checkpoint
from tasks.kinds.classify.export import calibrator, wrap

positive = st.floats(0.05, 20)


@st.composite
def curves(draw):
    """Isotonic knots as the calibration makes them: x rising by 0.001 at least, y above 0 and never falling."""
    x = sorted(draw(st.lists(st.integers(0, 1000), min_size=1, max_size=12, unique=True)))
    y = sorted(draw(st.lists(st.floats(0.001, 1), min_size=len(x), max_size=len(x))))
    return {"x": [v / 1000 for v in x], "y": y}


calibrations = st.integers(2, 5).flatmap(
    lambda n: st.tuples(
        st.just(n),
        st.one_of(
            positive.map(lambda t: {"method": "temperature", "temperature": t}),
            st.tuples(
                st.lists(positive, min_size=n, max_size=n), st.lists(st.floats(-5, 5), min_size=n, max_size=n)
            ).map(lambda v: {"method": "vector", "weights": v[0], "bias": v[1]}),
            st.lists(curves(), min_size=n, max_size=n).map(lambda knots: {"method": "isotonic", "knots": knots}),
        ),
        st.integers(0, 2**31),
    )
)


@given(calibrations)
@settings(max_examples=150, deadline=None)
def test_the_graph_calibrates_as_numpy_does(case):
    classes, calibrated, seed = case
    logits = np.random.default_rng(seed).normal(0, 4, (20, classes)).astype(np.float32)
    expected = calibration.apply(calibrated, logits)
    found = calibrator(calibrated)(torch.from_numpy(logits)).numpy()
    np.testing.assert_allclose(found, expected, atol=2e-4)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)


def test_an_unknown_calibration_is_refused():
    with pytest.raises(StageError, match=r"'magic'.*temperature, vector and isotonic"):
        calibrator({"method": "magic"})


@pytest.fixture(scope="module")
def fp32(released):
    return ort.InferenceSession(released / "data/sentiment/export/variants/fp32.onnx")


def test_fp32_answers_as_torch_does(released, fp32):
    folder = released / "data/sentiment"
    checkpoint = Checkpoint(folder / "train")
    texts = read_parquet(folder / "split/test.parquet")["text"].tolist()[:5]
    encoded = checkpoint.tokenizer(texts, padding=True, return_tensors="np")
    inputs = {name: encoded[name].astype(np.int64) for name in ("input_ids", "attention_mask")}
    probabilities, logits, embedding = fp32.run(["probabilities", "logits", "embedding"], inputs)
    expected = checkpoint.logits(texts, 5, "test")
    np.testing.assert_allclose(logits, expected, atol=1e-4)
    calibrated = read_json(folder / "evaluate/calibration.json")
    np.testing.assert_allclose(probabilities, calibration.apply(calibrated, expected), atol=1e-4)
    with torch.inference_mode():
        hidden = checkpoint.model.bert(**checkpoint.tokenizer(texts[0], return_tensors="pt")).last_hidden_state[0]
    mean = torch.nn.functional.normalize(hidden.mean(dim=0), dim=0).numpy()
    np.testing.assert_allclose(embedding[0], mean, atol=1e-4)  # padding of the batch is no part of the mean


def test_signature_states_what_the_graph_has(released, fp32):
    signature = read_json(released / "data/sentiment/export/signature.json")
    assert signature["outputs"] == [output.name for output in fp32.get_outputs()]
    assert signature["inputs"] == [value.name for value in fp32.get_inputs()]
    assert signature["labels"] == made.LABELS
    assert signature["max_length"] == 64
    for variant in signature["variants"].values():
        file = released / "data/sentiment/export/variants" / variant["file"]
        assert file.stat().st_size == variant["size"]
        assert onnx.load(file).opset_import[0].version == signature["opset"] == 20


def test_int8_is_quantised(released):
    operators = {n.op_type for n in onnx.load(released / "data/sentiment/export/variants/int8.onnx").graph.node}
    assert operators & {"MatMulInteger", "DynamicQuantizeMatMul"}


def test_nothing_tells_where_it_was_made(released):
    for file in (released / "data/sentiment/export/variants").iterdir():
        content = file.read_bytes()
        for word in (str(ROOT), str(released), "site-packages", ".py", "stack_trace"):
            assert word.encode() not in content, (file.name, word)


def test_two_checkouts_give_the_same_release(released, tmp_path):
    """The other one elsewhere, its code too, in processes of their own."""
    folder = copy_code(tmp_path / "somewhere else")
    shutil.copytree(released / "data", folder / "data", ignore=shutil.ignore_patterns("export", "release"))
    shutil.copy(released / "params.yaml", folder)
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    for stage in ("export", "release"):
        command = [sys.executable, "-m", f"tasks.{stage}", "sentiment"]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=250)
        assert done.returncode == 0, done.stdout + done.stderr
    there, here = (root / "data/sentiment" for root in (folder, released))
    for name in ("export/variants/fp32.onnx", "export/variants/int8.onnx", "export/signature.json"):
        assert (there / name).read_bytes() == (here / name).read_bytes(), name
    ids = {(root / "release/bundle/manifest.json").read_bytes() for root in (there, here)}
    assert len(ids) == 1


def test_a_rejected_model_is_not_exported(workdir):
    check = verdict.limit("accuracy", 0.5, 0.8, None)
    verdict.write(Path("data/l/quality_gate/verdict.json"), verdict.Verdict.of("quality_gate", [check]))
    with pytest.raises(RejectedError, match=r"quality_gate rejects: accuracy is 0.5, at least 0.8"):
        export(Line("l"), ExportSettings(), workdir)
    assert not (workdir / "signature.json").exists()


def test_int8_alone_is_refused_and_fp32_alone_is_not():
    with pytest.raises(SettingsError, match="int8 is made from fp32"):
        parse(ExportSettings, {"variants": ["int8"]}, "lines.l.export")
    assert parse(ExportSettings, {"variants": ["fp32"]}, "lines.l.export").variants == ("fp32",)


def test_a_checkpoint_that_is_none_is_named(tmp_path):
    write_json(tmp_path / "config.json", {})
    with pytest.raises(StageError, match=r"holds no readable checkpoint .*Run the train stage again"):
        wrap(tmp_path)


@pytest.mark.parametrize("variant", ["fp32", "int8"])
def test_each_variant_carries_the_calibration_that_suits_its_own_logits(released, variant):
    folder = released / "data/sentiment"
    calibrated = read_json(folder / "export/calibration.json")[variant]
    rows = read_parquet(folder / "split/validation.parquet")
    signature = read_signature(folder / "export/signature.json")
    model = Model.open(folder / "export/variants", folder / "train/tokenizer.json", signature, variant)
    outputs = model.run(rows["text"].tolist(), ["logits", "probabilities"])
    expected = calibration.apply(calibrated, outputs["logits"])
    np.testing.assert_allclose(outputs["probabilities"], expected, atol=1e-4)
    if variant == "int8":
        actual = rows["label"].map(made.LABELS.index).to_numpy()
        assert calibration.fit(outputs["logits"], actual, calibrated["method"])[0] == pytest.approx(calibrated)
        assert calibrated != read_json(folder / "evaluate/calibration.json")
