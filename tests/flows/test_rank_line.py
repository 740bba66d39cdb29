"""A whole line of kind rank on a tiny encoder: ten stages, a release, a comparison, and the service that answers."""

import importlib
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from releases import Kept
from tasting import TASTES, events, taste_params
from toy import make_repository, walked

from flows import profile, pseudo, queue, releases, status, store, suspects, wanted
from flows.forget import forget
from flows.settings import load
from flows.window import reference
from serving.batcher import BatchSettings
from serving.deployment import Pointer, ServingFolder
from serving.hub import Hub
from serving.metrics import Metrics
from tasks.bundle import release_id
from tasks.checkpoints import Keeper
from tasks.compare import compare
from tasks.comparison import CompareSettings
from tasks.core.errors import SettingsError, TidegateError
from tasks.core.files import read_json, read_parquet, write_parquet
from tasks.core.line import Line
from tasks.core.settings import parse, read_params
from tasks.core.stage import execute
from tasks.forgotten import Subject
from tasks.inference import Model
from tasks.kinds.rank.checkpoint import Checkpoint
from tasks.kinds.rank.shared import history, rankings, users
from tasks.kinds.rank.train import Ranking
from tasks.rivals import Release
from tasks.rows import LABELED
from tasks.sync import sync
from tasks.train import TrainSettings, train

LINE = Line("toy", "rank")
BUNDLE = LINE.folder / "release/bundle"
WAR = [["war0", 5], ["war1", 5], ["love1", 1]]


def made(folder, encoder, **given):
    return walked(folder, taste_params(encoder), events(**given), "[]\n")


@pytest.fixture(scope="module")
def project(tmp_path_factory, tiny_encoder):
    return made(tmp_path_factory.mktemp("rank") / "checkout", tiny_encoder)


def asked(content):
    return json.dumps(content, separators=(",", ":"))


def test_lists_are_better_than_what_most_like(project):
    metrics = read_json(project / LINE.file("evaluate", "metrics.json"))
    assert metrics["ndcg_at_10"] > metrics["ndcg_at_10_of_popularity"] + 0.1
    assert metrics["ndcg_at_10_low"] < metrics["ndcg_at_10"] < metrics["ndcg_at_10_high"]
    assert metrics["rows"] == len(pq.read_table(project / LINE.file("evaluate", "predictions.parquet")))
    assert 0 < metrics["coverage"] <= 1 and metrics["items"] == 30


def test_a_row_that_judges_is_a_user_with_what_came_before(project):
    rows = pq.read_table(project / BUNDLE / "reference/rows.parquet").to_pandas()
    test = rows[rows["side"] == "test"].iloc[0]
    later = pq.read_table(project / LINE.file("split", "test.parquet")).to_pandas()
    own = later[later["group"] == later.set_index("id").loc[test["id"], "group"]].sort_values("created_at")
    told, at = history.parse(test["text"])
    assert [*test["targets"]] == own.loc[own["rating_mean"] >= 4, "label"].tolist()
    assert len(told) == 13 and not {item for item, _ in told} & {*own["label"]}
    assert at < own["created_at"].min().timestamp(), "popularity is that of then"


def test_the_release_recommends_alone_and_elsewhere(project, tmp_path):
    model = Model.load(shutil.copytree(project / BUNDLE, tmp_path / "bundle"))
    answers = model.predict([asked(WAR), asked([["space3", 5], ["space4", None]])])
    assert [label.rstrip("0123456789") for label in answers.labels] == ["war", "space"]
    assert answers.probabilities.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert answers.probabilities[0, model.signature.labels.index("war0")] == 0, "who has it is not told of it"
    found = model.answering.listed(model.session, asked(WAR), 5)
    assert [item.item[:3] for item in found] == ["war"] * 5
    assert found[0].score == pytest.approx(answers.probabilities[0].max(), rel=1e-4)
    assert {reason.item for item in found for reason in item.reasons} <= {"war0", "war1"}
    assert all(sum(reason.share for reason in item.reasons) == pytest.approx(1) for item in found)
    again = model.answering.listed(model.session, asked(WAR), 30, exclude_seen=False)
    assert {"war0", "love1"} <= {item.item for item in again}
    mixed = model.answering.listed(model.session, asked(WAR), 5, diversity=0.9)
    assert len({item.item.rstrip("0123456789") for item in mixed}) > 1


def test_a_release_keeps_lists_of_its_users_as_the_log_does(project):
    answers = pq.read_table(project / BUNDLE / "reference/fp32.parquet").to_pandas()
    judged = pq.read_table(project / LINE.file("evaluate", "predictions.parquet")).to_pandas()
    assert answers["probabilities"].map(len).eq(10).all() and answers["predicted"].equals(judged["predicted"])
    assert answers["listed"].map(list).tolist() == judged["listed"].map(list).tolist(), "those of the torch model"
    window = reference(project / BUNDLE, "fp32", 8, 1000, 0).window
    assert window.probabilities.max(axis=1) == pytest.approx(judged["confidence"], abs=1e-5)


def test_the_card_tells_of_variants_by_the_figure_of_the_kind(project):
    metrics = read_json(project / LINE.file("evaluate", "metrics.json"))
    card = (project / BUNDLE / "MODEL_CARD.md").read_text()
    [row] = [row for row in card.splitlines() if row.startswith("| fp32 | ")]
    assert "| test NDCG@10 |" in card and f" {metrics['ndcg_at_10']:.4f} " in row


def test_training_says_the_same_however_few_users_are_judged_at_once(project, monkeypatch):
    monkeypatch.chdir(project)
    settings = parse(TrainSettings, read_params()["lines"]["toy"]["train"], "train")
    ranking = Ranking(LINE, settings, Path(settings.base_model.path))
    whole = np.concatenate([*ranking._scores(ranking.held.users)])
    found = ranking.validate()
    monkeypatch.setattr(rankings, "HELD", 7 * len(ranking.labels))
    parts = [*ranking._scores(ranking.held.users)]
    assert max(map(len, parts)) == 7 and np.concatenate(parts) == pytest.approx(whole, abs=1e-4)
    assert ranking.validate() == pytest.approx(found)


@pytest.mark.parametrize("command", [wanted.export, suspects.export, queue.add_wanted, pseudo.label_file])
def test_people_label_no_events(project, monkeypatch, command):
    monkeypatch.chdir(project)
    given = {pseudo.label_file: [Path("texts.csv"), None], queue.add_wanted: []}.get(command, [None, 10])
    with pytest.raises(SettingsError, match="toy is of kind rank: its rows are what users did"):
        command("toy", *given)


def test_a_user_is_forgotten_wherever_the_split_put_the_events(project, tmp_path, monkeypatch):
    folder = shutil.copytree(project, tmp_path / "copy")
    monkeypatch.chdir(folder)
    make_repository(folder)
    user, label = Subject(groups=frozenset(["person 4"])), release_id(BUNDLE)
    shutil.copytree(BUNDLE, f".tidegate/releases/toy/{label}")
    sides = [LINE.file("split", f"{side}.parquet") for side in ("train", "validation", "test")]
    assert all(any(user.rows(pq.read_table(side))) for side in sides)
    report = forget("toy", [], [], [], ["person 4"])
    assert "inbox: 16 row(s) taken out of 1 batch(es)" in report.done
    left = "\n".join(report.left)
    assert f"release {label} of toy, which holds the text or history" in left and ".tidegate/releases/toy" in left
    assert "outputs of ingest, label, split, validate: run `tidegate run toy`" in left
    assert "what models of toy have learned" in left and "no event of this user" not in left
    assert sync(LINE, load()["toy"].sources, load()["toy"].text) == []
    for stage in ("ingest", "validate", "label", "split"):
        execute(getattr(importlib.import_module(f"tasks.{stage}"), stage), "toy")
    assert not any(any(user.rows(pq.read_table(side))) for side in sides)
    rest = [group for side in sides for group in pq.read_table(side)["group"].to_pylist()]
    assert len({*rest}) == 59 and len(rest) == 59 * 16, "nobody else is touched, nor any film"


def test_whose_events_are_not_there_any_more_is_told_of_releases(project, tmp_path, monkeypatch):
    monkeypatch.chdir(shutil.copytree(project, tmp_path / "copy"))
    make_repository(Path())
    left = "\n".join(forget("toy", [], [], [], ["person 400"]).left)
    assert "the inbox has no event of this user" in left and "which holds the text or history" not in left


def test_status_tells_the_figures_of_the_kind(project, monkeypatch):
    monkeypatch.chdir(project)
    metrics = read_json(LINE.file("evaluate", "metrics.json"))
    told = status.figure(LINE, "evaluate")
    assert told.startswith(f"NDCG@10 {metrics['ndcg_at_10']:.4f}, recall@10 ") and "F1" not in told
    assert float(status.figure(LINE, "train").removeprefix("validation score ")) > 0.1


def test_releases_are_told_by_the_figure_that_the_line_decides_by(project, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(project)
    kept = shutil.copytree(BUNDLE, tmp_path / "toy/0123456789ab")
    shutil.copy(LINE.file("release", "provenance.json"), kept)
    monkeypatch.setattr(store, "STORE", tmp_path)
    monkeypatch.setattr(releases, "_state", lambda line, metric: releases.State(line, metric, {}, None, None))
    ndcg = read_json(LINE.file("evaluate", "metrics.json"))["ndcg_at_10"]
    _, [row] = releases.rows("toy")
    assert row.figure == ndcg
    monkeypatch.setenv("COLUMNS", "160")
    releases.show("toy")
    told = capsys.readouterr().out
    assert "NDCG@10" in told and f"{ndcg:.1%}" in told and "accuracy" not in told


def test_a_profile_holds_no_events_against_histories(project, monkeypatch):
    monkeypatch.chdir(project)
    monkeypatch.setattr(profile.store, "releases", lambda _: pytest.fail("no release has events"))
    page = profile.profile_line("toy")
    assert "keep histories, not events" in page.read_text()


def test_who_has_no_history_gets_what_most_like(project):
    model = Model.load(project / BUNDLE)
    nobody, stranger = model.predict([asked([]), asked([["no such film", 5]])]).probabilities
    assert nobody == pytest.approx(stranger)
    assert model.answering.unknown(asked([["no such film", 5], *WAR])) == ["no such film"]
    assert not model.answering.listed(model.session, asked([]), 3)[0].reasons
    everything = asked([[item, 5] for item in model.signature.labels])
    assert model.predict([everything]).probabilities.sum() == pytest.approx(1)
    assert model.answering.listed(model.session, everything, 3) == []


def test_what_answers_needs_no_heavy_library(project):
    seen = (
        "import sys; from pathlib import Path; from tasks.inference import Model\n"
        f"print(*Model.load(Path({str(BUNDLE)!r})).predict([{asked(WAR)!r}]).labels)\n"
        "print(sorted({'torch', 'transformers', 'pandas', 'pyarrow', 'scipy', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", seen], cwd=project, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("war") and done.stdout.split("\n")[1] == "[]"


def test_the_gates_hold_the_export_against_torch(project):
    checks = {
        check["name"]: check for check in read_json(project / LINE.file("release_gate", "verdict.json"))["checks"]
    }
    assert checks["fp32.agreement"]["value"] == 1 and checks["fp32.gap_p95"]["value"] < 1e-4
    assert checks["fp32.shapes_failed"]["value"] == 0
    assert all(check["outcome"] == "pass" for check in checks.values())
    quality = read_json(project / LINE.file("quality_gate", "verdict.json"))
    assert {check["name"] for check in quality["checks"]} >= {"leakage.test.pairs", "leakage.test.later_events"}


def test_what_live_histories_are_held_against_is_written_as_they_are(project):
    kept = pq.read_table(project / BUNDLE / "reference/rows.parquet")["text"].to_pylist()
    known = reference(project / BUNDLE, "fp32", 8, 1000, 0).window.text
    assert all(text.startswith("[") and text[1].isdigit() for text in kept), "as of the time at which each is judged"
    assert [history.read(text) for text in kept] == [history.read(text) for text in known]
    assert all(text.startswith("[[") for text in known)


@pytest.mark.long
def test_another_checkout_makes_the_same_release(project, tmp_path, tiny_encoder):
    other = made(tmp_path / "elsewhere", tiny_encoder)
    assert release_id(other / BUNDLE) == release_id(project / BUNDLE)


def test_two_releases_are_compared_over_the_same_users(project, tmp_path, tiny_encoder):
    other = made(tmp_path / "more", tiny_encoder, people=75)
    settings = CompareSettings(metrics=("ndcg_at_10", "hit_at_10"), decide_by="ndcg_at_10", draws=300)
    ours, theirs = (Release.open(folder / BUNDLE, settings) for folder in (other, project))
    found = compare(ours, theirs, settings, tmp_path)
    judged = pq.read_table(other / LINE.file("evaluate", "predictions.parquet")).num_rows
    assert found.rows == judged > 50, "what one was trained on, the other was as well"
    assert [one.metric for one in found.differences] == ["ndcg_at_10", "hit_at_10"]
    assert found.deciding.low <= found.deciding.difference <= found.deciding.high
    page = (tmp_path / "compare.html").read_text()
    assert "an NDCG@10" in found.sentence and "NDCG@10 on parts" in page and "A list of ten is right" in page
    again = compare(ours, ours, settings, tmp_path)
    assert again.deciding.difference == 0


def test_settings_that_do_not_suit_are_told(project, workdir):
    import yaml

    for path, value, message in (
        (("train", "rank"), None, "train.rank is missing; a line of kind rank needs it"),
        (("split",), {}, "split.by is text, but a line of kind rank allows time_in_group alone"),
        (("export",), {"variants": ["fp32", "int8"]}, "export.variants"),
        (("compare",), {}, "compare.decide_by is accuracy"),
        (
            ("sources",),
            [{"name": "live", "kind": "log", "line": "toy"}],
            "sources.0 is of kind log: its rows are",
        ),
        (("sources",), [{"name": "team", "kind": "answers", "line": "toy"}], "sources.0 is of kind answers"),
    ):
        params = yaml.safe_load((project / "params.yaml").read_text())
        block = params["lines"]["toy"]
        for key in path[:-1]:
            block = block[key]
        block[path[-1]] = value
        Path("params.yaml").write_text(yaml.safe_dump(params))
        with pytest.raises(SettingsError, match=message.replace(".", r"\.")):
            load()


@pytest.fixture
def served(project, workdir):
    shutil.copy(project / "params.yaml", "params.yaml")
    folder = ServingFolder(".tidegate/serving")
    folder.put("toy", project / BUNDLE)
    folder.point(Pointer(line="toy", release=release_id(project / BUNDLE), version="v0.0.1", variant="fp32"))
    hub = Hub(folder, workdir / "cache", BatchSettings(workers=1), Metrics(), Kept(), poll_seconds=0.02)
    hub.start()
    yield hub
    hub.stop(60)


def test_the_service_answers_histories(served):
    deadline = time.monotonic() + 60
    line = served.line("toy")
    reply = line.submit([asked(WAR)], request_id="r", source="tests", deadline=deadline).result(60)
    assert reply.labels[0].startswith("war") and line.kind == "rank"
    assert np.isclose(reply.probabilities.sum(), 1, atol=1e-4)
    assert set(TASTES) == {label.rstrip("0123456789") for label in reply.classes}


def test_many_items_are_proposed_by_an_index(project, tmp_path, monkeypatch):
    from tasks import nearest
    from tasks.kinds.rank import export, gates

    bundle = shutil.copytree(project / BUNDLE, tmp_path / "bundle")
    monkeypatch.chdir(project)
    monkeypatch.setattr(nearest, "LARGE", 10)
    export.calibration_of("fp32", LINE, bundle / "fp32.onnx", {})
    model, exact = Model.load(bundle), Model.load(project / BUNDLE)
    assert model.answering.index is not None and exact.answering.index is None
    for text in (asked(WAR), asked([]), asked([["space3", 5], ["love1", 2]])):
        ours, theirs = (one.answering.listed(one.session, text, 5) for one in (model, exact))
        assert [item.item for item in ours] == [item.item for item in theirs]
        assert [item.score for item in ours] == pytest.approx([item.score for item in theirs], rel=1e-3)
    [check] = gates._index("fp32.index", model, [asked(WAR), asked([])])
    assert check.value == 1 and check.outcome == "pass"
    (bundle / "fp32.items.index").write_bytes(b"x")
    with pytest.raises(TidegateError, match="is broken"):
        Model.load(bundle)


@pytest.mark.parametrize("second", [False, True])
def test_a_training_that_was_broken_off_ends_with_the_same_towers(project, tmp_path, monkeypatch, second):
    """It learns in two parts, of which the first chooses the epochs of the second: it is broken in either."""
    copy = shutil.copytree(project, tmp_path / "copy")
    monkeypatch.chdir(copy)
    monkeypatch.setattr(Ranking, "begin", lambda _: False)  # the start may be the best: then there is no second part

    def broken(self, saved, _save=Keeper.save):
        _save(self, saved)
        if self.folder.name.endswith("-refit") == second:
            raise KeyboardInterrupt

    settings = parse(TrainSettings, read_params()["lines"]["toy"]["train"] | {"checkpoint_seconds": 0}, "train")
    whole = copy / "whole"
    whole.mkdir()
    train(LINE, settings, whole)
    with monkeypatch.context() as patch:
        patch.setattr(Keeper, "save", broken)
        (copy / "broken").mkdir()
        with pytest.raises(KeyboardInterrupt):
            train(LINE, settings, copy / "broken")
    left = {path.name.endswith("-refit") for path in Path(".tidegate/checkpoints").iterdir() if path.is_dir()}
    assert left == {False, second}
    (copy / "again").mkdir()
    train(LINE, settings, copy / "again")
    for name in ("model.safetensors", "config.json", "history.json"):
        assert (copy / "again" / name).read_bytes() == (whole / name).read_bytes(), name


def test_who_has_all_items_is_told_of_them_again_as_where_it_serves(project):
    model = Checkpoint(project / LINE.folder / "train")
    everything = asked([[item, 5] for item in model.labels])
    [found] = model.scores([everything], 8)
    assert np.isfinite(found).all()
    served = Model.load(project / BUNDLE).predict([everything]).probabilities
    assert found.argmax() == served.argmax()


def test_what_a_user_had_before_is_no_target(project, tmp_path, monkeypatch):
    copy = shutil.copytree(project, tmp_path / "copy")
    monkeypatch.chdir(copy)
    before = users.judged(LINE, "test").set_index("id")["targets"]
    test, train = (read_parquet(LINE.file("split", f"{side}.parquet")) for side in ("test", "train"))
    again = train[train["group"] == test["group"].iloc[0]].iloc[:1]
    changed = again.assign(id="again", created_at=test["created_at"].max(), rating_mean=5.0)
    write_parquet(LINE.file("split", "test.parquet"), pd.concat([test, changed])[LABELED.names], LABELED)
    assert users.judged(LINE, "test").set_index("id")["targets"].equals(before)
