"""A release is served when every byte is right and it answers as it did; else it is refused, and it is said why."""

import shutil

import made
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from releases import LINE, pointer, put

from serving import served
from serving.served import Choice, differs, load
from tasks.bundle import release_id
from tasks.core.errors import StageError, TidegateError
from tasks.core.files import read_json, write_json
from tasks.inference import Model


def loaded(tmp_path, bundle, **named):
    serving, (release,) = put(tmp_path / "serving", bundle)
    return load(serving, LINE, Choice.of(pointer(release, **named)), tmp_path / "cache", 1)


def test_a_release_answers_as_its_model_does(tmp_path, bundle):
    found = loaded(tmp_path, bundle, variant="int8")
    assert (found.variant, found.provider, found.kind, found.labels) == ("int8", "cpu", "classify", made.LABELS)
    texts = ["The film is great", "write to jane@example.com", "cold and dull " * 60]
    rows = found.compute(texts)
    expected = Model.load(bundle, "int8", threads=1).predict(texts)
    assert [row.label for row in rows] == list(expected.labels)
    assert np.array_equal([row.probabilities for row in rows], expected.probabilities)
    assert np.array_equal([row.embedding for row in rows], expected.embeddings)
    assert [row.text for row in rows][:2] == ["The film is great", "write to [EMAIL]"]


def test_cost_counts_tokens_to_the_longest_and_what_is_read_beyond(tmp_path, bundle):
    found = loaded(tmp_path, bundle)
    assert found.cost("") == 3
    assert found.cost("word " * 8) == 13
    assert found.cost("好" * 10) == 13
    assert found.cost("x" * 64_000) == 64 + 1000


def broken_byte(bundle):
    content = bytearray((bundle / "fp32.onnx").read_bytes())
    content[1000] ^= 1
    (bundle / "fp32.onnx").write_bytes(content)


def edited_manifest(bundle):
    (bundle / "manifest.json").write_text((bundle / "manifest.json").read_text().replace('"positive"', '"postive"'))


def edited(name, **changes):
    def edit(bundle):
        write_json(bundle / name, {**read_json(bundle / name), **changes})
        made.resealed(bundle)

    return edit


def resealed(**changes):
    return lambda bundle: made.resealed(bundle, **changes)


def without(name):
    def edit(bundle):
        (bundle / name).unlink()
        made.resealed(bundle)

    return edit


def untrue_warmup(bundle):
    content = read_json(bundle / "warmup.json")
    for expected in content["requests"][0]["expected"].values():
        expected["probabilities"] = expected["probabilities"][::-1]
        expected["label"] = made.LABELS[1 - made.LABELS.index(expected["label"])]
    write_json(bundle / "warmup.json", {**content, "tolerance": 0.0001})
    made.resealed(bundle)


def no_model(bundle):
    (bundle / "fp32.onnx").write_bytes(b"no model")
    made.resealed(bundle)


@pytest.mark.parametrize(
    ("breaks", "named", "said"),
    [
        (broken_byte, {}, "not the file that was released"),
        (lambda bundle: (bundle / "tokenizer.json").unlink(), {}, "tokenizer.json is missing"),
        (edited_manifest, {}, "holds release .* under the name"),
        (resealed(line="other"), {}, "a release of the line other, the pointer serves sentiment"),
        (resealed(kind="rank"), {}, "the manifest says rank of negative, positive, signature.json says classify"),
        (resealed(labels=["positive", "negative"]), {}, "the manifest says classify of positive, negative"),
        (lambda bundle: made.resealed(bundle, turned=True, labels=made.LABELS[::-1]), {}, "otherwise than at release"),
        (resealed(admissible=["int8"]), {}, "did not admit the variant 'fp32'"),
        (lambda bundle: None, {"variant": "fp16"}, "did not admit the variant 'fp16'"),
        (untrue_warmup, {}, "Warm-up request 1 of .* otherwise than at release: probability"),
        (without("warmup.json"), {}, "warmup.json is missing"),
        (edited("warmup.json", requests=[{"text": "a"}]), {}, r"warmup.json is broken \(KeyError: 'expected'\)"),
        (edited("warmup.json", requests=[]), {}, "no request"),
        (edited("warmup.json", schema_version=9), {}, "schema version 9"),
        (edited("text_policy.json", vectors=[["a", "b"]]), {}, "answers 1 of 1 test vectors"),
        (no_model, {}, "cannot be loaded by onnxruntime"),
    ],
)
def test_what_is_refused_and_why(tmp_path, bundle, breaks, named, said):
    serving, (release,) = put(tmp_path / "serving", bundle)
    there = tmp_path / "serving" / LINE / "releases" / release
    breaks(there)
    # what was sealed again is another release; a manifest edited by hand is none
    name = release if breaks is edited_manifest else release_id(there)
    if name != release:
        there.rename(there.with_name(name))
    with pytest.raises(TidegateError, match=said):
        load(serving, LINE, Choice.of(pointer(name, **named)), tmp_path / "cache", 1)


def test_a_gpu_that_is_absent_is_refused_unless_the_cpu_may_stand_in(tmp_path, bundle, monkeypatch):
    real = Model.load

    def no_gpu(folder, variant=None, provider=None, threads=None):
        if provider == "cuda":
            raise StageError("CUDAExecutionProvider was asked for, onnxruntime came up with CPUExecutionProvider.")
        return real(folder, variant, provider, threads)

    monkeypatch.setattr(served.Model, "load", no_gpu)
    with pytest.raises(StageError, match="CUDAExecutionProvider was asked for"):
        loaded(tmp_path, bundle, provider="cuda")
    assert loaded(tmp_path, bundle, provider="cuda", allow_cpu=True).provider == "cpu"


def test_from_elsewhere_the_files_are_brought_and_a_broken_copy_is_brought_again(tmp_path, bundle):
    import fsspec

    serving, (release,) = put("memory://elsewhere", bundle)
    try:
        choice, cache = Choice.of(pointer(release)), tmp_path / "cache"
        assert load(serving, LINE, choice, cache, 1).release == release
        (cache / LINE / release / "tokenizer.json").write_text("{}")
        assert load(serving, LINE, choice, cache, 1).release == release
    finally:
        fsspec.filesystem("memory").rm("/elsewhere", recursive=True)
        shutil.rmtree(cache)


NAMES = ["a", "b", "c"]


@given(
    then=st.lists(st.floats(0.01, 1), min_size=3, max_size=3),
    off=st.lists(st.floats(-0.2, 0.2), min_size=3, max_size=3),
)
def test_differs_forgives_what_the_tolerance_allows_and_no_more(then, off):
    total = sum(then)
    then = [round(p / total, 4) for p in then]
    now = [p + d for p, d in zip(then, off, strict=True)]
    label = NAMES[int(np.argmax(then))]
    found = differs(dict(zip(NAMES, now, strict=True)), {"label": label, "probabilities": then}, 0.1)
    within = all(abs(p - t) <= 0.1 for p, t in zip(now, then, strict=True))
    nearly_equal = max(then) - then[int(np.argmax(now))] <= 0.1
    assert (found is None) == (within and nearly_equal)


@pytest.mark.parametrize(
    ("given_", "expected", "said"),
    [
        ([0.6, 0.4], ("a", [0.6, 0.4]), None),
        ([0.49, 0.51], ("a", [0.55, 0.45]), None),
        ([0.49, 0.51], ("a", [0.6, 0.4]), "b, expected was a"),
        ([0.6, 0.4], ("b", [0.6, 0.4]), "order of labels"),
        ([0.6, 0.4], ("z", [0.6, 0.4]), "z of 2 classes was expected, the model has a, b"),
        ([0.6, 0.4], ("a", [0.6, 0.3, 0.1]), "3 classes"),
        ([float("nan"), 0.4], ("a", [0.6, 0.4]), "probability nan"),
        ([0.9, 0.1], ("a", [0.6, 0.4]), "give or take 0.15"),
    ],
)
def test_how_an_answer_differs(given_, expected, said):
    label, probabilities = expected
    found = differs(dict(zip("ab", given_, strict=True)), {"label": label, "probabilities": probabilities}, 0.15)
    assert found is None if said is None else said in found
