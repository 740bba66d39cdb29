"""Infra validation: real services, started with a made release and with ones that lie."""

import json

import numpy as np
import pytest
from commands import tidegate
from made import resealed

from flows import deploy, registry
from flows.infra import InfraSettings, validate
from tasks.core.errors import RejectedError
from tasks.core.files import read_json, read_parquet, write_json, write_parquet
from tasks.core.line import Line

LINE = Line("sentiment")
FEW = InfraSettings(trial_rows=20, agreement_min=0.9, p95_ms_max=5000)


def reject(bundle, settings=FEW):
    with pytest.raises(RejectedError) as caught:
        validate(LINE, bundle, settings)
    return str(caught.value)


def test_every_admissible_variant_is_tried_and_the_fastest_that_passes_is_named(bundle, checkout):
    found = validate(LINE, bundle, FEW)
    assert [trial.variant for trial in found.trials] == read_json(bundle / "manifest.json")["admissible"]
    assert found.variant == min(found.trials, key=lambda trial: trial.p50_ms).variant
    names = [check.name for check in found.verdict.checks]
    assert names == [
        "label order", "warm-up gap", "policy vectors answered otherwise", "agreement", "p95_ms", "memory_mb"
    ]  # fmt: skip
    assert found.verdict.verdict == "pass"
    assert not (checkout / ".tidegate/infra").exists() or not any((checkout / ".tidegate/infra").iterdir())


def test_limits_reject_and_the_logs_are_kept(bundle, checkout):
    said = reject(bundle, InfraSettings(trial_rows=20, agreement_min=0.9, p95_ms_max=0.001, memory_mb_max=1))
    assert "p95_ms is" in said
    assert "at most 0.001 is needed" in said
    assert "memory_mb is" in said
    logs = sorted((checkout / ".tidegate/infra").glob("*/*.log"))
    assert [log.stem for log in logs] == read_json(bundle / "manifest.json")["admissible"]
    assert "listening on" in logs[0].read_text()
    assert str(logs[0].relative_to(checkout)) in said


def test_answers_other_than_the_releases_own_reject(bundle, checkout):
    """As a wrong tokenizer or another text policy would: what it says of the reference rows is not what was judged."""
    for variant in read_json(bundle / "manifest.json")["admissible"]:
        path = bundle / f"reference/{variant}.parquet"
        answers = read_parquet(path)
        turned = {"negative": "positive", "positive": "negative"}
        write_parquet(path, answers.assign(predicted=answers["predicted"].map(turned)))
    resealed(bundle)
    assert "agreement is 0" in reject(bundle)


def test_a_release_that_the_service_refuses_is_told_with_its_reason(bundle, checkout):
    content = read_json(bundle / "warmup.json")
    for request in content["requests"]:
        for expected in request["expected"].values():
            expected["probabilities"] = list(np.roll(expected["probabilities"], 1))
            expected["label"] = {"negative": "positive", "positive": "negative"}[expected["label"]]
    write_json(bundle / "warmup.json", content)
    resealed(bundle)
    assert "the service refuses it" in reject(bundle)


def test_policy_vectors_that_the_program_answers_otherwise_are_told(bundle, checkout):
    path = bundle / "text_policy.json"
    content = json.loads(path.read_text())
    content["vectors"].append(["awful awful awful", "great great great"])
    write_json(path, content)
    resealed(bundle)
    assert "text policy" in reject(bundle)


def test_a_promotion_tries_the_service_and_one_that_fails_there_changes_nothing(unrecorded):
    """`bad` was turned round after its warm-up requests were answered: only the service sees that."""
    words = ("--by", "Anna", "--why", "a try")
    refused = tidegate("promote", "sentiment", unrecorded["bad"], *words)
    assert refused.returncode == 3, refused.stdout
    assert "the service refuses it" in refused.stdout
    assert deploy.serving_folder().pointer("sentiment") is None
    assert registry.versions("sentiment") == []
    done = tidegate("promote", "sentiment", unrecorded["good"], *words)
    assert done.returncode == 0, done.stdout
    assert "In the service, p50: " in done.stdout
    assert deploy.serving_folder().pointer("sentiment").release == unrecorded["good"]
