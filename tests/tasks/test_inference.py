import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnxruntime as ort
import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st

from tasks import inference
from tasks.core.errors import StageError
from tasks.core.files import read_json, read_parquet, write_json
from tasks.inference import Model, batches, fastest, padded, read_policy, read_signature


@pytest.fixture(scope="module")
def model(released):
    return Model.load(released / "data/sentiment/release/bundle", "fp32")


def test_a_release_loads_without_torch(released):
    program = (
        "import sys; from pathlib import Path; from tasks.inference import Model;"
        f"model = Model.load(Path({str(released / 'data/sentiment/release/bundle')!r}));"
        "print(model.predict(['a great film']).labels);"
        "print([m for m in ('torch', 'transformers', 'pandas', 'sklearn', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.stdout.splitlines()[-1] == "[]", done.stdout + done.stderr


def test_answers_come_in_the_order_of_the_texts(model, released):
    texts = read_parquet(released / "data/sentiment/split/test.parquet")["text"].tolist()
    order = np.random.default_rng(0).permutation(len(texts))
    straight, mixed = model.predict(texts), model.predict([texts[n] for n in order])
    assert (straight.labels[order] == mixed.labels).all()
    np.testing.assert_allclose(straight.probabilities[order], mixed.probabilities, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(straight.embeddings, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(straight.confidence, straight.probabilities.max(axis=1))
    assert len(set(straight.labels)) == 2


def test_a_text_answers_alike_alone_and_in_company(model):
    texts = ["great", "the film was dull and the cast is awful " * 3, "a lovely story"]
    together = model.predict(texts).probabilities
    for n, text in enumerate(texts):
        np.testing.assert_allclose(model.predict([text]).probabilities[0], together[n], atol=1e-5)


def test_no_texts_no_answers(model):
    answers = model.predict([])
    assert answers.probabilities.shape == (0, 2)
    assert len(answers.labels) == len(answers.confidence) == 0


def test_long_and_odd_texts_are_answered(model):
    answers = model.predict(["great film " * 100_000, "", " ", "\x00", "这部电影", "\ud800"])
    np.testing.assert_allclose(answers.probabilities.sum(axis=1), 1, atol=1e-5)


def test_raw_texts_go_through_the_policy(model):
    raw, masked = "a <b>great</b> film, write to me@example.com", "a great film, write to [EMAIL]"
    assert (model.predict([raw]).probabilities == model.predict([masked], cleaned=True).probabilities).all()
    assert (model.predict([raw], cleaned=True).probabilities != model.predict([raw]).probabilities).any()


def test_a_policy_of_before_the_later_settings_is_read(bundle):
    content = read_json(bundle / "text_policy.json")
    for name in ("national_id", "id_countries", "person", "boilerplate"):
        del content["settings"][name]
    write_json(bundle / "text_policy.json", content)
    clean = read_policy(bundle / "text_policy.json")
    assert clean("SSN 733-21-0360, a@b.cd") == "SSN 733-21-0360, [EMAIL]"


def test_settings_of_a_newer_program_are_named(bundle):
    content = read_json(bundle / "text_policy.json")
    content["settings"]["passport"] = "mask"
    write_json(bundle / "text_policy.json", content)
    with pytest.raises(StageError, match=r"text_policy\.json has settings .* does not know: passport\. Use"):
        read_policy(bundle / "text_policy.json")


def test_another_policy_than_the_release_s_is_refused(bundle):
    content = read_json(bundle / "text_policy.json")
    content["vectors"][0] = ["given", "something else"]
    write_json(bundle / "text_policy.json", content)
    with pytest.raises(StageError, match=r"answers 1 of \d+ test vectors .* otherwise"):
        Model.load(bundle)


@given(st.lists(st.integers(1, 300), max_size=200), st.integers(8, 2048))
def test_batches_hold_every_text_once_within_bounds(lengths, tokens):
    found = list(batches(lengths, tokens))
    assert sorted(int(n) for batch in found for n in batch) == list(range(len(lengths)))
    for batch in found:
        longest = max(lengths[n] for n in batch)
        assert len(batch) == 1 or len(batch) * padded(longest, 10_000) <= tokens


@given(st.integers(1, 512), st.integers(1, 512))
def test_padding_makes_few_lengths(length, longest):
    length = min(length, longest)
    assert length <= padded(length, longest) <= longest
    assert padded(length, longest) % inference.STEP == 0 or padded(length, longest) == longest


def test_without_a_variant_the_fastest_is_taken(released, model, monkeypatch):
    assert Model.load(released / "data/sentiment/release/bundle").variant in ("fp32", "int8")

    class Slow:
        def run(self, outputs, inputs):
            clock[0] += 1
            return model.session.run(outputs, inputs)

        get_outputs = model.session.get_outputs

    clock = [0.0]
    monkeypatch.setattr(inference.time, "perf_counter", lambda: clock[0])
    assert fastest([replace(model, variant="slow", session=Slow()), model]) is model


def test_cuda_that_is_not_there_is_said(released, monkeypatch):
    class OnCpu(ort.InferenceSession):
        def get_providers(self):
            return ["CPUExecutionProvider"]

    monkeypatch.setattr(ort, "InferenceSession", OnCpu)
    with pytest.raises(StageError, match=r"CUDAExecutionProvider was asked for, onnxruntime came up with CPU"):
        Model.load(released / "data/sentiment/release/bundle", "fp32", provider="cuda")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"variant": "int4"}, "There is no variant 'int4'; there are fp32, int8"),
        ({"variant": "fp32", "provider": "tpu"}, "There is no provider 'tpu'; there are cpu, cuda"),
    ],
)
def test_what_is_not_there_is_named(released, arguments, message):
    with pytest.raises(StageError, match=message):
        Model.load(released / "data/sentiment/release/bundle", **arguments)


@pytest.mark.parametrize("name", ["fp32.onnx", "tokenizer.json"])
def test_a_broken_file_is_named(bundle, name):
    (bundle / name).write_bytes(b"broken")
    with pytest.raises(StageError, match=name):
        Model.load(bundle, "fp32")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 99}, "schema version 99; this program reads up to 1. Update Tidegate"),
        ({"schema_version": None}, "no schema_version"),
        ({"labels": None}, "is broken"),
    ],
)
def test_signatures_that_cannot_be_read_are_refused(bundle, change, message):
    path = bundle / "signature.json"
    write_json(path, {**read_json(path), **change})
    with pytest.raises(StageError, match=message):
        read_signature(path)


def test_a_signature_with_more_in_it_is_read(bundle):
    path = bundle / "signature.json"
    path.write_text(json.dumps({**read_json(path), "note": "from a friend"}))
    assert read_signature(path).kind == "classify"
