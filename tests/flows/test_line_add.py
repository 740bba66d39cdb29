"""`tidegate line add`: a new line is configuration, written whole or not at all."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml
from commands import tidegate
from conftest import ROOT
from toy import here, toy_params, write_reviews

from flows import deployments
from flows.dag import Dag
from flows.line_add import add
from flows.line_template import Wanted, scale_of
from flows.settings import default_lines, load, load_behaviour
from tasks.core.errors import RejectedError, SettingsError, SourceError, TidegateError
from tasks.core.files import read_parquet
from tasks.core.line import Line
from tasks.expectations import check, outcomes
from tasks.expectations import load as load_suite
from tasks.ingest import ingest
from tasks.label import label
from tasks.split import SIDES, split
from tasks.sync import sync
from tasks.validate import validate

FILES = ("params.yaml", "dvc.yaml", "prefect.yaml")


EVENTS = (("text", "about"), ("label", "sku"), ("group", "who"), ("created_at", "when"))


@pytest.fixture
def project(workdir):
    """The project's own settings, without code."""
    for name in FILES:
        shutil.copy(ROOT / name, workdir)
    return workdir


def content():
    return {path.as_posix(): path.read_text() for path in Path().rglob("*.yaml")}


def test_all_that_a_line_needs_is_there_and_nothing_else_moves(project):
    before = content()
    names = list(load())
    add(Wanted("mood", source="s3://texts/*.csv", labels=("bad", "so so", "good"), columns=(("text", "a: b"),)))
    after = content()
    assert list(load()) == [*names, "mood"]
    assert load()["mood"].label.labels == ["bad", "so so", "good"]
    assert load()["mood"].sources[0].columns == {"text": "a: b"}
    assert load_suite(Path("data/mood/expectations.yaml"), ["id", "text", "characters", "split_key"])
    assert 'return "bad"' in Path("data/mood/labelling/README.md").read_text()
    assert yaml.safe_load(after["dvc.yaml"])["artifacts"]["mood"]["path"] == "data/mood/release/bundle"
    sleeping = [
        one for block in deployments.check(load()) for one in block.get("schedules", []) if one["slug"] == "mood"
    ]
    assert [one["active"] for one in sleeping] == [False, False]
    for name in FILES:
        lines = after[name].splitlines()
        assert [line for line in before[name].splitlines() if line not in lines] == []
    assert default_lines() == ["sentiment"]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Wanted("sentiment", source="a.csv", labels=("a", "b")), "in params.yaml already"),
        (Wanted("Mood", source="a.csv", labels=("a", "b")), "'Mood'; allowed are lower-case"),
        (Wanted("mood", source="a.csv", labels=("a",)), "two labels or more"),
        (Wanted("mood", labels=("a", "b")), "needs `--source`"),
        (Wanted("mood", kind="paint", source="a.csv", labels=("a", "b")), "no kind 'paint'.*classify"),
        (Wanted("mood", source="a.csv", labels=("a", "a", "b")), "labels must differ"),
        (Wanted("mood", source="a.csv", labels=("a", "b"), columns=(("label", "x"),)), "which one holds the text"),
        (Wanted("mood", block=Path("none.yaml")), "cannot be read"),
        (Wanted("mood", block=Path("params.yaml")), "no block for the line mood"),
        (Wanted("moody", block=Path("wrong.yaml")), "lines.moody.trian: unknown key.*'train'"),
        (Wanted("anchored", block=Path("anchored.yaml")), "no block for the line anchored: found undefined alias"),
        (Wanted("shop", block=Path("params.yaml"), items="i.csv", scale=(1, 5)), "--items, --scale: `--block` brings"),
        (Wanted("mood", source="a.csv", labels=("a", "b"), items="i.csv"), "--items: only a line of kind rank"),
        (Wanted("mood", source="a.csv", labels=("a", "b"), columns=(("text", "x"), ("group", "y"))), "--user: only"),
        (Wanted("shop", kind="rank"), "needs `--source` with events"),
        (Wanted("shop", kind="rank", source="a.csv", labels=("a", "b")), "those of kind rank are the items"),
        (Wanted("shop", kind="rank", source="a.csv", scale=(1, 10)), "name their column by `--rating`"),
        (Wanted("shop", kind="rank", source="a.csv", columns=(*EVENTS, ("ratings", "when"))), "when is named as two"),
        (
            Wanted("mood", kind="paint", source="a.csv"),
            "made of from a source: classify, retrieve, rank. `--block FILE`",
        ),
        (Wanted("faq", kind="retrieve"), "needs `--source` with questions, a row for each with its answer"),
        (Wanted("faq", kind="retrieve", source="a.csv", labels=("a", "b")), "those of kind retrieve are the answers"),
        (Wanted("faq", kind="retrieve", source="a.csv", columns=(("text", "q"), ("label", "q"))), "q is named as two"),
        (Wanted("faq", kind="retrieve", source="a.csv", items="i.csv"), "--items: only a line of kind rank"),
        (Wanted("faq", source="a.csv"), "Questions with their answers are a line of `--kind retrieve`"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(project, wanted, message):
    Path("wrong.yaml").write_text("moody:\n  trian: {}\n")
    Path("anchored.yaml").write_text("anchored: *nobody\n")
    before = content()
    with pytest.raises(SettingsError, match=f"(?s){message}"):
        add(wanted)
    assert content() == before


def test_a_line_that_recommends_is_made_of_events_and_items(project):
    before = content()
    rated = (*EVENTS, ("ratings", "stars"))
    add(Wanted("shop", kind="rank", source="events.csv", columns=rated, items="s3://x/items: new.csv", scale=(0, 10)))
    made = load()["shop"]
    events, items = made.sources
    assert (events.path, events.columns) == ("events.csv", dict(rated))
    assert (items.path, items.columns) == ("s3://x/items: new.csv", {"label": "sku", "text": "about"})
    assert (made.label.scale, made.label.neutral, made.train.rank.like, made.train.rank.dislike) == ((0, 10), 5, 7.5, 5)
    assert made.split.by == "time_in_group"
    assert made.text.group == "hash" and len(made.text.split_salt) == 16
    assert not load_behaviour({"shop": made})["shop"].tests
    assert [line for line in before["params.yaml"].splitlines() if line not in content()["params.yaml"]] == []
    add(Wanted("other", kind="rank", source="events.csv"))
    assert load()["other"].text.split_salt != made.text.split_salt, "one line's key tells nothing of another's"


def test_events_without_item_or_time_go_aside_and_rows_of_items_need_no_time(project):
    add(Wanted("shop", kind="rank", source="events.csv"))
    rows = [
        ("ann", "50", "2026-01-01"), ("ann", "", "2026-01-01"), ("bo", "51", None), (None, "52", None),
        ("bo", "x" * 200, "2026-01-02"), ("bo", "x" * 201, "2026-01-02"), ("bo", None, "2026-01-02"),
        ("bo", " ", "2026-01-03"),
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["group", "label", "created_at"])
    frame = frame.assign(id=[*map(str, frame.index)], text="a text", characters=6, split_key="0" * 32)
    suite = load_suite(Path("data/shop/expectations.yaml"), list(frame.columns))
    frame["created_at"] = pd.to_datetime(frame["created_at"], utc=True)
    found = outcomes(check(frame, suite, "shop"), suite)
    aside = sorted({(row, one.expected.kwargs["column"]) for one in found for row in one.failing})
    assert aside == [(1, "label"), (2, "created_at"), (5, "label"), (6, "label"), (7, "label")]


def test_events_that_nobody_rated_are_choices(project):
    add(Wanted("shop", kind="rank", source="events.csv"))
    made = load()["shop"]
    assert [source.name for source in made.sources] == ["events"]
    assert made.sources[0].columns == {"text": "text", "label": "item", "group": "user", "created_at": "time"}
    assert made.train.rank is not None


def test_a_line_that_answers_is_made_of_questions_and_their_answers(project):
    before = content()
    add(Wanted("faq", kind="retrieve", source="my faq: new.csv", columns=(("text", "q"), ("label", "a"), ("id", "n"))))
    made = load()["faq"]
    questions, answers = made.sources
    assert (questions.path, questions.columns) == ("my faq: new.csv", {"text": "q", "label": "a", "id": "n"})
    assert (answers.path, answers.columns) == ("my faq: new.csv", {"text": "a", "label": "a", "id": "n"})
    assert made.split.base_sources == [answers.name] and not made.label.labels
    assert not load_behaviour({"faq": made})["faq"].tests
    assert [line for line in before["params.yaml"].splitlines() if line not in content()["params.yaml"]] == []
    add(Wanted("other", kind="retrieve", source="faq.csv"))
    assert load()["other"].sources[0].columns == {"text": "question", "label": "answer"}


def dealt_out(rows):
    """The line faq, made of questions and answers, as far as its split."""
    pd.DataFrame(rows, columns=["question", "answer"]).to_csv("faq.csv", index=False)
    add(Wanted("faq", kind="retrieve", source="faq.csv"))
    line, settings = Line("faq", "retrieve"), load()["faq"]
    sync(line, settings.sources, settings.text)
    stages = {"ingest": (ingest, settings.text), "validate": (validate,), "label": (label,), "split": (split,)}
    for name, (stage, *more) in stages.items():
        out = line.folder / name
        out.mkdir(parents=True)
        stage(line, getattr(settings, "validate_" if name == "validate" else name), *more, out)
    return {side: read_parquet(line.file("split", f"{side}.parquet")) for side in SIDES}


def test_of_a_small_base_every_answer_teaches_and_some_questions_judge(project):
    answers = [f"the answer about {thing}" for thing in ("parcels", "money", "colours", "people", "hours")]
    sides = dealt_out([(f"question {n} of them", answers[n % 5]) for n in range(30)])
    taught = sides["train"]
    assert sorted(taught.loc[taught["source"] == "answers", "text"]) == sorted(answers), "once each"
    assert sum(map(len, sides.values())) == 35
    assert all(set(sides[side]["source"]) == {"questions"} for side in ("validation", "test"))


def test_questions_without_an_answer_go_aside_and_many_of_them_reject(project):
    rows = [(f"question {n} of them", f"answer {n % 5}") for n in range(25)]
    odd = [("what is empty", None), ("what is blank", " "), ("what trails", "answer 0 ")]
    with pytest.raises(RejectedError) as caught:
        dealt_out([*rows, *odd])
    assert "(the question has no answer: 4, " in str(caught.value)
    assert "the answer begins or ends with a space: 2; mend the rows" in str(caught.value)
    aside = read_parquet(Path("data/faq/validate/quarantine.parquet"))
    assert set(aside.loc[aside["source"] == "questions", "text"]) == {question for question, _ in odd}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "faq.csv holds no row"),
        ([(f"question {n}", "one for all") for n in range(30)], "The data have 1 labels and a model needs two"),
        ([("one", "a"), ("two", "b")], "rows that passed is 4, at least 20 .* lower validate.min_rows"),
    ],
)
def test_a_base_that_is_none_is_told(project, rows, message):
    with pytest.raises(TidegateError, match=message):
        dealt_out(rows)


def test_the_command_makes_a_line_that_answers(project):
    pd.DataFrame([("a", "b")], columns=["ask", "say"]).to_csv("faq.csv", index=False)
    options = ("--kind=retrieve", "--source=faq.csv", "--question=ask", "--answer=reply")
    done = tidegate("line", "add", "faq", *options)
    assert done.returncode == 0, done.stdout
    assert load()["faq"].sources[0].columns == {"text": "ask", "label": "reply"}
    wrong = tidegate("line", "add", "other", "--block=params.yaml", "--question=ask")
    assert (wrong.returncode, "--text (--question): `--block` brings all of that" in wrong.stdout) == (2, True)
    settings = load()["faq"]
    with pytest.raises(SourceError, match=r"no column 'reply'. It has 2: 0 'ask', 1 'say'"):
        sync(Line("faq"), settings.sources, settings.text)


@pytest.mark.parametrize("given", ["5", "5,1", "a,b", "1,2,3", "1,nan", "0,inf", "3,3", "-1e308,1e308"])
def test_what_is_no_scale_is_refused(given):
    with pytest.raises(SettingsError, match=r"`--scale` is .* as in --scale 1,5"):
        scale_of(given)


def test_the_command_makes_a_line_that_recommends(project):
    options = {"source": "e.csv", "items": "i.csv", "label": "sku", "user": "who", "rating": "stars", "scale": "0,1"}
    done = tidegate("line", "add", "shop", "--kind=rank", *(f"--{name}={value}" for name, value in options.items()))
    assert done.returncode == 0, done.stdout
    columns = {"text": "text", "label": "sku", "group": "who", "created_at": "time", "ratings": "stars"}
    assert (load()["shop"].sources[0].columns, load()["shop"].label.scale) == (columns, (0, 1))
    wrong = tidegate("line", "add", "mood", "--source=a.csv", "--labels=no,yes", "--time=at")
    assert (wrong.returncode, "--time: only a line of kind rank" in wrong.stdout) == (2, True)


def test_a_block_of_an_example_comes_with_its_comments_and_another_path(project):
    add(Wanted("finance_sentiment", source="/data/Sentences_50Agree.txt", block=ROOT / "examples/finance.yaml"))
    assert load()["finance_sentiment"].sources[0].path == "/data/Sentences_50Agree.txt"
    assert "non-commercial" in Path("params.yaml").read_text().lower()


def test_files_that_are_there_are_kept(project):
    kept = Path("data/mood/expectations.yaml")
    kept.parent.mkdir(parents=True)
    kept.write_text("[]\n")
    add(Wanted("mood", source="a.csv", labels=("a", "b")))
    assert kept.read_text() == "[]\n"


def test_the_command_says_what_it_wrote(project):
    done = tidegate("line", "add", "mood", "--source", "a.csv", "--labels", "no, yes", "--id", "n")
    assert done.returncode == 0, done.stdout
    assert "data/mood/expectations.yaml" in done.stdout
    assert load()["mood"].sources[0].columns == {"text": "text", "label": "label", "id": "n"}
    wrong = tidegate("line", "add", "mood", "--source", "a.csv", "--labels", "no,yes")
    assert (wrong.returncode, wrong.stdout.count("error:")) == (2, 1)


def changed():
    """Stages that DVC would run, by name."""
    dag = Dag()
    return {stage.addressing for line in load() for stage in dag.stages(line) if dag.changed(stage)}


def test_whatever_stages_read_beside_what_stages_write_is_there_for_every_line():
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    read = {dep for stage in stages.values() for dep in stage["do"]["deps"] if dep.startswith("data/")}
    own = {dep for dep in read if dep.split("/")[2] not in (*stages, "inbox")}
    for line in yaml.safe_load((ROOT / "params.yaml").read_text())["lines"]:
        assert [dep for dep in own if not (ROOT / dep.replace("${key}", line)).exists()] == []


def test_no_stage_of_a_line_hangs_on_another_line():
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    for stage in stages.values():
        entry = stage["do"]
        named = [*entry["deps"], *entry["params"], *map(str, entry["outs"])]
        assert stage["foreach"] == "${lines}"
        assert [one for one in named if "sentiment" in one or "finance" in one] == []
        assert all(one.startswith("lines.${key}.") for one in entry["params"])
        assert all("/${key}/" in one for one in named if one.startswith("data/"))


def test_nothing_of_one_line_runs_again_when_another_comes_or_changes(lines, tmp_path, monkeypatch):
    folder = shutil.copytree(lines["run"], tmp_path / "copy", symlinks=True)
    monkeypatch.chdir(folder)
    assert changed() == set()
    write_reviews(Path("more.csv"), rows=600, seed=1)
    columns = {"id": "review_id", "text": "body", "label": "sentiment"}
    add(Wanted("mood", source="more.csv", labels=("negative", "positive"), columns=tuple(columns.items())))
    assert {name.partition("@")[2] for name in changed()} == {"mood"}
    text = Path("params.yaml").read_text()
    Path("params.yaml").write_text(text.replace("max_length: 32", "max_length: 31"))
    assert {name for name in changed() if name.endswith("@toy")} >= {"train@toy"}
    assert "label@toy" not in changed()


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_line_that_was_added_runs_to_its_release_and_the_other_has_nothing_to_do(lines, tiny_encoder, tmp_path):
    folder = shutil.copytree(lines["run"], tmp_path / "copy", symlinks=True)
    block = toy_params("more.csv", tiny_encoder)["lines"]["toy"]
    (folder / "block.yaml").write_text(yaml.safe_dump({"mood": block}))
    write_reviews(folder / "more.csv", rows=600, seed=1)
    place = here(lines, "run") | {"cwd": folder}
    place["env"] = {**place["env"], "PYTHONPATH": str(folder)}
    made = tidegate("line", "add", "mood", "--block", "block.yaml", **place)
    assert made.returncode == 0, made.stdout
    done = tidegate("run", "--all", **place)
    assert done.returncode == 0, done.stdout
    assert "toy is up to date" in done.stdout
    assert "Release" in done.stdout
    again = tidegate("run", "--all", **place)
    assert again.stdout.count("Nothing to do") == 2, again.stdout


def test_default_lines_are_lines(project):
    text = Path("params.yaml").read_text()
    Path("params.yaml").write_text(text.replace("default_lines: [sentiment]", "default_lines: [sentimnt]"))
    with pytest.raises(SettingsError, match="default_lines names sentimnt; lines are sentiment"):
        load()
    Path("params.yaml").write_text(text.replace("default_lines: [sentiment]", ""))
    assert default_lines() == list(load())


def test_the_example_of_intents_takes_all_files_of_a_folder(project):
    add(Wanted("support_intent", source="/data/banking77/*.csv", block=ROOT / "examples/support.yaml"))
    settings = load()["support_intent"]
    assert (len(settings.label.labels), settings.sources[0].path) == (77, "/data/banking77/*.csv")


def test_a_line_of_answers_needs_no_labels(project):
    block = yaml.safe_load(Path("params.yaml").read_text())["lines"]["support_answer"]
    Path("mine.yaml").write_text(yaml.safe_dump({"my_answers": block}))
    add(Wanted("my_answers", block=Path("mine.yaml")))
    assert load()["my_answers"].label.labels == []
    assert 'return "a label"' in Path("data/my_answers/labelling/README.md").read_text()
