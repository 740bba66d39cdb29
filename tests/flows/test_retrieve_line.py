"""A whole line of kind retrieve on a tiny encoder: ten stages, a release, and the service that answers with it."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from releases import Kept, wait_until
from services import deploy, service
from toy import ABOUT, question_params, questions, walked

from flows import answers
from flows.approver import KEY, NotAllowedError
from flows.chat.client import Client, Silent
from flows.forget import _from_answers
from flows.forget_copies import Report
from serving.batcher import BatchSettings
from serving.deployment import Pointer, ServingFolder
from serving.hub import Hub
from serving.metrics import Metrics
from tasks import nearest, search
from tasks.bundle import load_release, release_id
from tasks.compare import compare
from tasks.comparison import CompareSettings
from tasks.core.errors import SettingsError, TidegateError
from tasks.core.files import read_json
from tasks.core.line import Line
from tasks.forgotten import Subject
from tasks.inference import Model
from tasks.kinds.retrieve import export
from tasks.rivals import Release
from tasks.team import hash_key, new_key

LINE = Line("toy", "retrieve")
BUNDLE = LINE.folder / "release/bundle"
BEHAVIOUR = """
tests:
  - {name: plain, kind: minimum, expect: music, templates: ["is the music good"]}
"""


def made(folder, encoder):
    return walked(folder, question_params("questions.csv", encoder, "retrieve"), questions(400), BEHAVIOUR)


@pytest.fixture(scope="module")
def project(tmp_path_factory, tiny_encoder):
    return made(tmp_path_factory.mktemp("retrieve") / "checkout", tiny_encoder)


@pytest.fixture
def support(project, workdir):
    """A service in a process of its own with a product over the line, and one over a line without a release."""
    params = yaml.safe_load((project / "params.yaml").read_text())
    block = {"kind": "answer", "answers": "toy", "confidence": 0.5, "top": 2}
    params["products"] = {"support": block, "unsure": {**block, "confidence": 1}, "none": {**block, "answers": "gone"}}
    params["lines"]["gone"] = params["lines"]["toy"]
    Path("params.yaml").write_text(yaml.safe_dump(params))
    deploy(project / BUNDLE, ".tidegate/serving", "toy", variant="int8")
    with service(workdir) as running:
        yield running


def test_a_product_answers_by_the_real_service_and_takes_feedback(support):
    client = Client(lambda: support.url, "support", 60)
    reply = client.ask("is the music good", "q-1")
    assert (reply.answers[0]["answer"], reply.hand_over, reply.line, reply.request) == ("music", False, "toy", "q-1")
    assert len(reply.answers) == 2 and reply.answers[0]["score"] > reply.answers[1]["score"]
    client.helpful(reply.line, reply.request, "music")
    with pytest.raises(Silent, match="422"):
        client.helpful(reply.line, reply.request, "no answer of the base")
    assert Client(lambda: support.url, "unsure", 60).ask("is the music good", "q-2").why == "unsure"
    none = Client(lambda: support.url, "none", 60).ask("is the music good", "q-3")
    assert (none.why, none.hand_over, none.answers) == ("no_release", True, [])
    with pytest.raises(Silent, match="404"):
        Client(lambda: support.url, "nothing", 60).ask("is the music good", "q-4")
    for text in ("", "x" * 2**20):
        with pytest.raises(Silent, match="422"):
            client.ask(text, "q-5")
    assert "Traceback" not in support.log


def test_texts_that_were_held_out_find_their_answer(project):
    metrics = read_json(project / LINE.file("evaluate", "metrics.json"))
    assert metrics["recall_at_1"] == metrics["accuracy"] > 0.9
    assert metrics["recall_at_1"] <= metrics["mrr_at_10"] <= metrics["recall_at_5"] == 1, "there are three answers"
    assert metrics["mrr_at_10_low"] <= metrics["mrr_at_10"] <= metrics["mrr_at_10_high"]
    assert metrics["calibration"]["method"] == "temperature"
    assert metrics["behaviour"]["plain"]["failed"] == 0


def test_both_variants_are_admissible_and_bring_their_base(project):
    manifest = load_release(project / BUNDLE)
    assert (manifest.kind, manifest.labels, manifest.admissible) == ("retrieve", sorted(ABOUT), ["fp32", "int8"])
    train = pq.read_table(project / LINE.file("split", "train.parquet"))
    for variant in manifest.admissible:
        assert f"{variant}.answers.npz" in manifest.files
        base = search.read(project / BUNDLE / f"{variant}.answers.npz")
        assert base.ids == sorted(train["id"].to_pylist())
        assert np.linalg.norm(base.vectors, axis=1) == pytest.approx(1, abs=1e-5)


def test_a_champion_that_lacks_an_answer_is_wrong_where_it_is_asked_for(project, tmp_path, tiny_encoder):
    asked = questions(300)
    fewer = asked[asked["answer"] != "people"]
    params = question_params("questions.csv", tiny_encoder, "retrieve")
    params["lines"]["toy"]["label"]["labels"] = None
    older = walked(tmp_path / "older", params, fewer, BEHAVIOUR)
    settings = CompareSettings(draws=200)
    ours, theirs = (Release.open(folder / BUNDLE, settings) for folder in (project, older))
    found = compare(ours, theirs, settings, tmp_path / "out")
    assert found.outcome == "better" and found.accepted
    parts = {part.name: part.found for part in found.slices if part.by == "label"}
    assert parts["people"].champion == 0 and parts["people"].challenger > 0.5 and parts["music"].champion > 0.5


def test_the_release_answers_alone_and_elsewhere(project, tmp_path):
    bundle = shutil.copytree(project / BUNDLE, tmp_path / "bundle")
    for variant in ("fp32", "int8"):
        answers = Model.load(bundle, variant).predict(["is the music good", "was the director bad"])
        assert answers.labels.tolist() == ["music", "people"]
        assert answers.probabilities.sum(axis=1) == pytest.approx(1, abs=1e-5)
        assert (answers.similarities.argmax(axis=1) == answers.probabilities.argmax(axis=1)).all()


def test_what_answers_needs_no_heavy_library(project):
    seen = (
        "import sys; from pathlib import Path; from tasks.inference import Model\n"
        f"print(*Model.load(Path({str(BUNDLE)!r}), 'int8').predict(['is the music good']).labels)\n"
        "print(sorted({'torch', 'transformers', 'pandas', 'pyarrow', 'scipy', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", seen], cwd=project, capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["music", "[]"]


def test_fp32_is_as_near_to_the_answers_as_torch(project):
    verdict = read_json(project / LINE.file("release_gate", "verdict.json"))
    checks = {check["name"]: check for check in verdict["checks"]}
    assert checks["fp32.similarity_gap_p95"]["value"] < 1e-4
    assert checks["fp32.agreement"]["value"] == 1
    assert checks["int8.similarity_gap_p95"]["value"] > checks["fp32.similarity_gap_p95"]["value"]
    assert all(check["outcome"] == "pass" for check in checks.values())


def test_a_large_base_is_released_with_its_index(project, tmp_path, monkeypatch):
    bundle = shutil.copytree(project / BUNDLE, tmp_path / "bundle")
    signature = read_json(bundle / "signature.json")
    monkeypatch.chdir(project)
    monkeypatch.setattr(nearest, "LARGE", 10)
    fitted = export.calibration_of("fp32", LINE, bundle / "fp32.onnx", signature)
    assert fitted["method"] == "temperature"
    assert not list(bundle.glob("int8.answers.index")) and (bundle / "fp32.answers.index").stat().st_size > 0
    signature["calibration"]["fp32"] = fitted
    (bundle / "signature.json").write_text(json.dumps(signature))
    texts = ["is the music good", "was the director bad"]
    answers = Model.load(bundle, "fp32").predict(texts)
    assert answers.labels.tolist() == ["music", "people"]
    assert answers.probabilities.sum(axis=1) == pytest.approx(1, abs=1e-5)


@pytest.mark.long
def test_another_checkout_makes_the_same_release(project, tmp_path, tiny_encoder):
    other = made(tmp_path / "elsewhere", tiny_encoder)
    assert release_id(other / BUNDLE) == release_id(project / BUNDLE)


@pytest.fixture
def served(project, workdir):
    """A hub that serves the line, in a project that has no more than its params and its serving folder."""
    shutil.copy(project / "params.yaml", "params.yaml")
    folder = ServingFolder(".tidegate/serving")
    folder.put("toy", project / BUNDLE)
    folder.point(Pointer(line="toy", release=release_id(project / BUNDLE), version="v0.0.1", variant="int8"))
    hub = Hub(folder, workdir / "cache", BatchSettings(workers=1), Metrics(), Kept(), poll_seconds=0.02)
    hub.start()
    yield hub
    hub.stop(60)


def ask(hub, text):
    deadline = time.monotonic() + 60
    return hub.line("toy").submit([text], request_id="r", source="tests", deadline=deadline).result(60)


def test_the_service_answers(served):
    reply = ask(served, "is the ending <b>lovely</b>")
    assert reply.labels == ["ending"]
    assert reply.classes == sorted(ABOUT)
    assert reply.probabilities[0].argmax() == reply.classes.index("ending")
    assert served.line("toy").describe()["answers_version"] == 0


PARKING = "where do i leave my car"


def test_answers_are_added_changed_and_withdrawn_while_it_serves(served):
    version = lambda: served.line("toy").describe()["answers_version"]  # noqa: E731
    Path("new.csv").write_text(f"text,label\n{PARKING},parking\nwhat <i>garage</i> is near,parking\n")
    told = answers.add("toy", Path("new.csv"), by="Mara")
    assert "2 texts were added, 1 new answers among them: parking. It is change 1" in told
    assert wait_until(lambda: version() == 1)
    reply = ask(served, PARKING)
    assert reply.labels == ["parking"]
    assert reply.classes == [*sorted(ABOUT), "parking"]
    assert "parking  2 texts, 2 of them added since the release" in answers.show("toy")
    assert "what garage is near" in answers.show("toy", "parking"), "cleaned as every text is"

    Path("new.csv").write_text(f"text,label\n{PARKING},people\n")
    answers.add("toy", Path("new.csv"), by="Mara")
    assert wait_until(lambda: version() == 2)
    assert ask(served, PARKING).labels == ["people"], "the same text takes the place of the earlier one"

    assert "no longer lead anywhere" in answers.withdraw("toy", ["people", "parking"], by="Mara")
    assert wait_until(lambda: version() == 3)
    reply = ask(served, "was the director bad")
    assert reply.labels[0] in {"ending", "music"}
    assert reply.probabilities[0, reply.classes.index("people")] < 1e-3

    Path(".tidegate/serving/toy/answers.json").write_text("{")
    assert wait_until(lambda: "answers.json is broken" in str(served.line("toy").refused))
    assert ask(served, "is the music good").labels == ["music"], "what was taken up goes on serving"


def test_changes_that_cannot_be_taken_up_for_a_while_are_tried_again(served, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("no memory")

    Path("new.csv").write_text(f"text,label\n{PARKING},parking\n")
    with monkeypatch.context() as patch:
        patch.setattr("serving.hub.FIRST_RETRY", 0.05)
        patch.setattr("serving.served.Served._embeddings", broken)
        answers.add("toy", Path("new.csv"), by="Mara")
        assert wait_until(lambda: "ZeroDivisionError: no memory" in str(served.line("toy").refused))
        assert ask(served, "is the music good").labels == ["music"]
    assert wait_until(lambda: ask(served, PARKING).labels == ["parking"])
    assert served.line("toy").refused is None


def test_what_is_forgotten_answers_no_longer(served):
    Path("new.csv").write_text(f"text,label\n{PARKING},parking\nwhat garage is near,parking\n")
    answers.add("toy", Path("new.csv"), by="Mara")
    known = answers.standing(ServingFolder(".tidegate/serving"), "toy").entries
    row, text = known["id"][0], known["text"][1]
    assert answers.forget("toy", Subject(frozenset([PARKING, text]), ids=frozenset([row]))) == (1, 2)
    left = answers.standing(ServingFolder(".tidegate/serving"), "toy").entries
    assert len(left) == len(known) - 3
    assert not {PARKING, text} & set(left["text"]) and row not in set(left["id"])
    assert PARKING not in Path(".tidegate/serving/toy/answers.json").read_text()
    assert wait_until(lambda: served.line("toy").describe()["answers_version"] == 2)
    assert answers.forget("toy", Subject(frozenset(["nowhere"]))) == (0, 0)


def test_what_forget_says_of_answers(served):
    Path("new.csv").write_text(f"text,label\n{PARKING},parking\n")
    answers.add("toy", Path("new.csv"), by="Mara")
    texts = answers.standing(ServingFolder(".tidegate/serving"), "toy").entries["text"]
    report = Report()
    _from_answers(LINE, Subject(frozenset([PARKING, texts[0]])), report)
    assert report.done == [
        "changes of answers: 1 text(s) erased",
        "answers: 1 text(s) of the release withdrawn, so that they lead nowhere",
    ]
    assert not report.left
    Path(".tidegate/serving/toy/answers.json").write_text("{")
    _from_answers(LINE, Subject(frozenset([PARKING])), report)
    assert len(report.left) == 1 and "answers.json is broken" in report.left[0]


def test_who_changes_answers_proves_it_where_there_is_a_team(served, monkeypatch):
    monkeypatch.delenv(KEY, raising=False)
    keys = {name: new_key() for name in ("Anna", "Nils")}
    roles = {"Anna": ["ops"], "Nils": ["annotator"]}
    people = [{"name": name, "email": f"{name}@example.org", "roles": roles[name], "key": hash_key(keys[name])}
              for name in keys]  # fmt: skip
    Path("team.yaml").write_text(yaml.safe_dump({"people": people}))
    Path("new.csv").write_text(f"text,label\n{PARKING},parking\n")
    for by, key in (("Anna", None), ("Anna", keys["Nils"]), ("Nils", keys["Nils"]), ("Mara", None)):
        with pytest.raises(NotAllowedError):
            answers.add("toy", Path("new.csv"), by, key=key)
        with pytest.raises(NotAllowedError):
            answers.withdraw("toy", ["music"], by, key)
    assert not Path(".tidegate/serving/toy/answers.json").exists()
    answers.add("toy", Path("new.csv"), "Anna@example.org", key=keys["Anna"])
    monkeypatch.setenv(KEY, keys["Anna"])
    answers.withdraw("toy", ["parking"], "Anna")
    changes = ServingFolder(".tidegate/serving").changes("toy").changes
    assert [(change.by, change.proof) for change in changes] == [("Anna", "API key")] * 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text,label\n,parking\nfine,\n", "row 1, 2 lacks a text, label or id"),
        ("text,label\na,b\na,c\n", "stands there twice"),
        ("text,answer\na,b\n", r"has no column 'label'.* It needs text and label"),
        ("text,label\n", "has no row"),
    ],
)
def test_a_file_that_cannot_be_taken_changes_nothing(served, content, message):
    Path("new.csv").write_text(content)
    with pytest.raises(TidegateError, match=message):
        answers.add("toy", Path("new.csv"), by="Mara")
    assert not Path(".tidegate/serving/toy/answers.json").exists()


def test_what_is_not_there_cannot_be_withdrawn_nor_all_there_is(served):
    with pytest.raises(SettingsError, match="no answer or entry 'musik'; did you mean 'music'"):
        answers.withdraw("toy", ["musik"], by="Mara")
    with pytest.raises(SettingsError, match="leave toy without any answer"):
        answers.withdraw("toy", sorted(ABOUT), by="Mara")
    with pytest.raises(SettingsError, match=r"no answer or entry 'x'\. `tidegate answers list`"):
        answers.show("toy", "x")


def test_a_line_of_another_kind_has_no_base(served):
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["lines"]["toy"]["kind"] = "classify"
    Path("params.yaml").write_text(yaml.safe_dump(params))
    with pytest.raises(SettingsError, match="toy is of kind classify: only a line of kind retrieve"):
        answers.show("toy")
