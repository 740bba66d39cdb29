import json
import re
import subprocess

import made
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tasks import bundle as bundles
from tasks import card, verdict
from tasks.bundle import load_release, release_id, write_provenance
from tasks.core.errors import RejectedError, StageError
from tasks.core.files import read_json, read_parquet, sha256, write_json
from tasks.core.line import Line
from tasks.inference import Model, read_signature
from tasks.release import ReleaseSettings, release
from tasks.text import TextSettings
from tasks.verdict import Check

VARIANTS = ("fp32", "int8")


def test_what_a_release_holds(bundle):
    files = {path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file()}
    assert files == {
        "MODEL_CARD.md", "model_card.html", "manifest.json", "signature.json", "text_policy.json", "tokenizer.json",
        "fp32.onnx", "int8.onnx", "warmup.json", "split_keys.parquet",
        "reference/rows.parquet", "reference/fp32.parquet", "reference/int8.parquet",
        "evidence/confusion.png", "evidence/reliability.png", "evidence/ingest_provenance.json",
        "evidence/validate_verdict.json", "evidence/label_report.json", "evidence/split_report.json",
        "evidence/evaluate_metrics.json", "evidence/export_calibration.json", "evidence/quality_gate_verdict.json",
        "evidence/quality_gate_gate.html", "evidence/release_gate_verdict.json", "evidence/release_gate_gate.html",
    }  # fmt: skip
    assert set(load_release(bundle).files) == files - {"manifest.json"}


def test_the_manifest_says_what_the_release_came_from(released, bundle):
    manifest = load_release(bundle)
    assert manifest.line == "sentiment"
    assert manifest.kind == "classify"
    assert manifest.labels == made.LABELS
    assert manifest.admissible == list(VARIANTS)
    assert manifest.params["lines.sentiment.train"] == {"epochs": 3}
    assert manifest.params["lines.sentiment.ingest"] is None
    assert manifest.inputs["data/sentiment/split/test.parquet"] == sha256(
        released / "data/sentiment/split/test.parquet"
    )
    assert {gate: found["verdict"] for gate, found in manifest.verdicts.items()} == dict.fromkeys(
        ("validate", "quality_gate", "release_gate"), "pass"
    )
    assert not any(name.startswith("/") for name in manifest.inputs)


def test_an_id_is_twelve_hex_of_the_manifest(bundle):
    before = release_id(bundle)
    assert re.fullmatch("[0-9a-f]{12}", before)
    assert sha256(bundle / "manifest.json").startswith(before)
    write_json(bundle / "manifest.json", {**read_json(bundle / "manifest.json"), "kind": "rank"})
    assert release_id(bundle) != before


def test_the_record_of_the_making_is_no_part_of_the_release(released, bundle):
    record = read_json(released / "data/sentiment/release/provenance.json")
    assert record["packages"]["onnxruntime-gpu" if "onnxruntime-gpu" in record["packages"] else "onnxruntime"]
    assert record["restored"] is False
    assert "provenance.json" not in load_release(bundle).files


@pytest.mark.parametrize("name", ["fp32.onnx", "text_policy.json", "reference/rows.parquet", "evidence/confusion.png"])
def test_one_changed_byte_is_noticed_and_named(bundle, name):
    content = bytearray((bundle / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / name).write_bytes(content)
    with pytest.raises(StageError, match=rf"{name} is not the file that was released: sha256 "):
        load_release(bundle)


def test_a_missing_file_is_named(bundle):
    (bundle / "tokenizer.json").unlink()
    with pytest.raises(StageError, match=r"tokenizer\.json is missing: the release is not whole"):
        load_release(bundle)


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname"])
def test_a_manifest_that_reaches_outside_is_refused(bundle, name):
    content = read_json(bundle / "manifest.json")
    write_json(bundle / "manifest.json", {**content, "files": {name: "0" * 64}})
    with pytest.raises(StageError, match="outside the release"):
        load_release(bundle)


def test_a_newer_release_is_refused_and_one_with_unknown_keys_is_read(bundle):
    content = read_json(bundle / "manifest.json")
    write_json(bundle / "manifest.json", {**content, "colour": "red"})
    assert load_release(bundle).line == "sentiment"
    write_json(bundle / "manifest.json", {**content, "schema_version": 2})
    with pytest.raises(StageError, match=r"schema version 2; this program reads up to 1\. Update Tidegate"):
        load_release(bundle)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema_version": 1}', '"\\udc80"'])
def test_a_broken_manifest_is_said_to_be_broken(bundle, content):
    (bundle / "manifest.json").write_text(content)
    with pytest.raises(StageError, match=r"manifest\.json"):
        load_release(bundle)


def test_a_folder_without_a_manifest_is_no_release(tmp_path):
    for read in (load_release, release_id):
        with pytest.raises(StageError, match="is no release"):
            read(tmp_path)


def test_reference_answers_stand_beside_their_rows(released, bundle):
    rows = read_parquet(bundle / "reference/rows.parquet")
    assert list(rows.columns) == ["id", "text", "source", "label", "side"]
    sides = {side: read_parquet(released / f"data/sentiment/split/{side}.parquet") for side in ("validation", "test")}
    assert rows["id"].tolist() == [*sides["validation"]["id"], *sides["test"]["id"]]
    for variant in VARIANTS:
        answers = read_parquet(bundle / f"reference/{variant}.parquet")
        assert len(answers) == len(rows)
        assert answers["embedding"][0].dtype == np.float16
        fresh = Model.load(bundle, variant).predict(rows["text"].tolist(), cleaned=True)
        assert (fresh.labels == answers["predicted"]).all()
        np.testing.assert_array_equal(fresh.probabilities, np.stack(answers["probabilities"]))


def test_split_keys_name_the_side_of_every_row(released, bundle):
    keys = read_parquet(bundle / "split_keys.parquet")
    for side, part in keys.groupby("side"):
        whole = read_parquet(released / f"data/sentiment/split/{side}.parquet")
        assert part["split_key"].tolist() == whole["split_key"].tolist()
    assert set(keys["side"]) == {"train", "validation", "test"}


def test_warm_up_requests_have_the_answers_they_expect(bundle):
    content = read_json(bundle / "warmup.json")
    lengths = [len(request["text"]) for request in content["requests"]]
    assert lengths == sorted(lengths)
    assert len(lengths) >= 5
    for variant in VARIANTS:
        model = Model.load(bundle, variant)
        for request in content["requests"]:
            answer = model.predict([request["text"]])
            assert answer.labels[0] == request["expected"][variant]["label"]
            np.testing.assert_allclose(
                answer.probabilities[0], request["expected"][variant]["probabilities"], atol=1e-3
            )


def test_only_admissible_variants_are_released(released, tmp_path, monkeypatch):
    monkeypatch.chdir(released)
    content = read_json(released / "data/sentiment/release_gate/verdict.json")
    dropped = tmp_path / "verdict.json"
    write_json(dropped, {**content, "details": {"admissible": ["int8"]}})
    plain = Line.file

    def file(line, stage, name):
        return dropped if (stage, name) == ("release_gate", "verdict.json") else plain(line, stage, name)

    monkeypatch.setattr(Line, "file", file)
    release(Line("sentiment"), ReleaseSettings(), TextSettings(), tmp_path)
    assert not (tmp_path / "bundle/fp32.onnx").exists()
    assert load_release(tmp_path / "bundle").admissible == ["int8"]
    assert Model.load(tmp_path / "bundle").variant == "int8"


def test_a_rejecting_gate_lets_nothing_out(workdir):
    check = verdict.limit("int8.accuracy", 0.5, 0.8, None)
    verdict.write(Line("l").file("release_gate", "verdict.json"), verdict.Verdict.of("release_gate", [check]))
    with pytest.raises(RejectedError, match="release_gate rejects"):
        release(Line("l"), ReleaseSettings(), TextSettings(), workdir / "out")
    assert not (workdir / "out").exists()


def test_the_card_shows_what_the_stages_found(bundle):
    text = (bundle / "MODEL_CARD.md").read_text()
    for part in (
        "0.9000",
        "0.8500 to 0.9500",
        "| int8 |",
        "| reviews |",
        "quality gate",
        "release gate",
        "| epochs | 3 |",
        "| negation | minimum | 50 | 5 | 0.1000 | 0.0500 to 0.2000 |",
        "| age | 40 | 4 | 0.1000 | 0.0500 to 0.2000 | 0.0300 |",
    ):
        assert part in text
    for link in re.findall(r"!\[.*?\]\((.*?)\)", text):
        assert (bundle / link).is_file()


def test_a_card_without_behaviour_tests_does_not_speak_of_them(bundle):
    gate = verdict.Verdict.of("release_gate", [], admissible=[])
    facts = card.Facts(
        line="l", settings=ReleaseSettings(), signature=read_signature(bundle / "signature.json"), params={},
        provenance={}, labels={}, split={}, metrics={"accuracy": 0.9}, verdicts={"release_gate": gate},
    )  # fmt: skip
    text = card.markdown(facts)
    assert "0.9000" in text
    assert "Behaviour" not in text
    assert "Fairness" not in text


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["good", "bad_"], r"good, bad\_"),
        ([f"n{n}" for n in range(1022)], ", ".join(f"n{n}" for n in range(20)) + " and 1,002 more"),
        (
            ["Yes.", "<b>" + "很" * 60, "x" * 41, *"abc"],
            f'6 texts, such as "Yes.", "\\<b\\>{"很" * 36}…", "{"x" * 39}…"',
        ),
    ],
)
def test_labels_that_are_texts_are_counted_and_a_few_are_shown(names, said):
    assert card.labels(names) == said


def test_no_table_of_the_card_repeats_a_long_answer(bundle):
    answers = [f"answer {n} " + "and so on " * 20 for n in range(9)]
    gate = verdict.Verdict.of("release_gate", [], admissible=[])
    facts = card.Facts(
        line="l", settings=ReleaseSettings(), params={}, provenance={}, labels={}, verdicts={"release_gate": gate},
        signature=read_signature(bundle / "signature.json").model_copy(update={"labels": answers}),
        split={"sides": {"train": {"rows": 9, "label_shares": dict.fromkeys(answers, 1 / 9)}}},
        metrics={"per_class": {answer: {"precision": 0.5} for answer in answers}},
    )  # fmt: skip
    text = card.markdown(facts)
    assert "- Labels: 9 texts, such as" in text and '…"\n- Reads at most' in text
    assert "and so on and so on and so on and so on" not in text and text.count("11.1%") == 3


def test_the_page_is_whole_and_escaped(bundle):
    page = (bundle / "model_card.html").read_text()
    assert "<title>Made &lt;by&gt; hand</title>" in page
    assert "<by>" not in page
    sources = re.findall(r'src="([^"]*)"', page)
    assert len(sources) == 2
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert not re.search(r'href="http|url\(|@import|<script', page)
    assert "<table>" in page


@given(st.text(max_size=40))
def test_a_cell_is_shown_as_it_is_written(value):
    table = f"| head |\n| --- |\n| {card.cell(value)} |\n"
    page = MarkdownIt("commonmark", {"html": False}).enable("table").render(table)
    shown = re.findall(r"<td>(.*?)</td>", page, re.S)
    escaped = " ".join(value.replace("\x00", "\ufffd").split())
    for char, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        escaped = escaped.replace(char, entity)
    assert shown == ([escaped] if escaped else [""])


def test_checks_are_shown_with_both_limits_and_their_interval():
    check = Check(name="a", value=0.12345, min=0.1, max=0.2, low=0.09, high=0.15, rows=1200, outcome="pass")
    table = card.checks(verdict.Verdict.of("gate", [check]))
    assert table.head == ["outcome", "check", "value", "interval", "limit", "rows"]
    assert table.rows == [["pass", "a", "0.1235", "0.0900 to 0.1500", "≥ 0.1 and ≤ 0.2", "1,200"]]
    assert table.rules() == ["---", "---", "---:", "---:", "---:", "---:"]


def test_who_made_it_is_a_person_or_a_deployment(workdir, monkeypatch):
    def record():
        write_provenance(workdir / "p.json", restored=True)
        return read_json(workdir / "p.json")

    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(workdir.parent))
    assert record()["commit"] is None
    for command in (["init", "-q"], ["config", "user.name", "Ann"], ["config", "user.email", "ann@example.com"]):
        subprocess.run(["git", *command], check=True)
    (workdir / "f").write_text("1")
    subprocess.run(["git", "add", "f"], check=True)
    subprocess.run(["git", "commit", "-qm", "f"], check=True)
    clean = record()
    assert clean["who"] == {"name": "Ann", "email": "ann@example.com"}
    assert re.fullmatch("[0-9a-f]{40}", clean["commit"])
    assert (clean["dirty"], clean["restored"]) == (False, True)
    (workdir / "f").write_text("2")
    assert record()["dirty"] is True
    monkeypatch.setenv(bundles.DEPLOYMENT, "nightly")
    assert record()["who"] == {"deployment": "nightly"}
    monkeypatch.setenv("PATH", "")
    assert record()["commit"] is None
    assert json.dumps(record())
