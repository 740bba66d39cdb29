"""Who is champion, in a real repository with GTO's tags, and `tidegate compare` as a user gives it."""

import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import gto.api
import pytest
import yaml
from commands import tidegate
from dvc.repo import Repo
from toy import make_repository, toy_params

from flows import store
from flows.champion import assigned, champion
from flows.compare import compare_releases, earlier
from tasks.bundle import release_id, seal
from tasks.core.errors import TidegateError
from tasks.core.files import read_json, write_json
from tasks.core.line import Line

SENTIMENT = Line("sentiment")
BUNDLE = Path("data/sentiment/release/bundle")


def resealed(folder, turned=False, **changes):
    """The bundle with its manifest made anew; `turned` exchanges the labels of the model's outputs."""
    if turned:
        signature = read_json(folder / "signature.json")
        write_json(folder / "signature.json", {**signature, "labels": signature["labels"][::-1]})
    content = read_json(folder / "manifest.json")
    return seal(folder, {**{key: content[key] for key in content if key not in ("files", "schema_version")}, **changes})


@pytest.fixture
def project(workdir, released, tiny_encoder, monkeypatch):
    """A project with two releases in the store: `good`, the newest, and `bad`, which says the opposite."""
    block = toy_params("reviews.csv", tiny_encoder)["lines"]["toy"]
    block["compare"] = {"draws": 200, "variants": ["fp32"]}
    (workdir / "params.yaml").write_text(yaml.safe_dump({"lines": {"sentiment": block}}))
    (workdir / "dvc.yaml").write_text("stages: {}\n")
    kept = {}
    for name, day in (("bad", 1), ("good", 2)):
        folder = shutil.copytree(released / BUNDLE, workdir / name)
        kept[name] = resealed(folder, turned=name == "bad")
        write_json(folder / "provenance.json", {"time": f"2026-01-0{day}T00:00:00+00:00"})
        target = store.STORE / "sentiment" / kept[name]
        target.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(target)
    monkeypatch.setenv("PYTHONPATH", str(Path(sys.modules["flows"].__path__[0]).parent))
    return kept


def commit(bundle, message):
    """A commit whose release is `bundle`, tracked by DVC."""
    shutil.rmtree(BUNDLE, ignore_errors=True)
    shutil.copytree(bundle, BUNDLE, ignore=shutil.ignore_patterns("provenance.json", "comparisons"))
    with Repo() as repo:
        repo.add(str(BUNDLE))
    subprocess.run(["git", "add", "-A", "--", "data"], check=True)
    subprocess.run(["git", "commit", "-qm", message], check=True)


@pytest.fixture
def assignments(project, workdir):
    """Both releases committed and registered: `bad` as v0.0.1 and `good` as v0.0.2, none assigned."""
    (workdir / ".gitignore").write_text("/.tidegate/\n")
    make_repository(workdir)
    for name in ("bad", "good"):
        commit(store.STORE / "sentiment" / project[name], name)
        gto.api.register(".", "sentiment", "HEAD")
    return project


def test_no_repository_no_champion(workdir):
    assert champion(SENTIMENT) is None


def test_registered_is_not_assigned(assignments):
    assert champion(SENTIMENT) is None
    gto.api.assign(".", "sentiment", "staging", version="v0.0.1")
    gto.api.assign(".", "another", "production", ref="HEAD")
    assert champion(SENTIMENT) is None


def test_the_champion_is_the_newest_assignment_to_production(assignments):
    gto.api.assign(".", "sentiment", "production", version="v0.0.1")
    assert champion(SENTIMENT).name == assignments["bad"]
    gto.api.assign(".", "sentiment", "production", version="v0.0.2")
    assert assigned("sentiment").version == "v0.0.2"
    assert champion(SENTIMENT).name == assignments["good"]
    gto.api.assign(".", "sentiment", "production", version="v0.0.1", force=True)  # a rollback, within the same second
    assert assigned("sentiment").version == "v0.0.1"
    assert champion(SENTIMENT).name == assignments["bad"]


def test_a_champion_that_is_not_in_the_store_comes_out_of_dvc(assignments):
    gto.api.assign(".", "sentiment", "production", version="v0.0.1")
    shutil.rmtree(store.STORE / "sentiment" / assignments["bad"])
    folder = champion(SENTIMENT)
    assert folder == store.STORE / "sentiment" / assignments["bad"]
    assert release_id(folder) == assignments["bad"]
    record = read_json(folder / "provenance.json")
    assert record["restored"] is True
    committed = ["git", "log", "-1", "--format=%ct", "sentiment@v0.0.1"]
    seconds = int(subprocess.run(committed, capture_output=True, text=True, check=True).stdout)
    assert datetime.fromisoformat(record["time"]).timestamp() == seconds
    assert release_id(BUNDLE) == assignments["good"]  # the working tree stays as it is


def test_a_champion_that_is_nowhere_is_an_error_with_a_remedy(assignments):
    gto.api.assign(".", "sentiment", "production", version="v0.0.1")
    shutil.rmtree(store.STORE / "sentiment" / assignments["bad"])
    shutil.rmtree(".dvc/cache")
    with pytest.raises(
        TidegateError, match=r"v0\.0\.1 at [0-9a-f]{7}, is neither in DVC's cache .*dvc fetch --all-tags"
    ):
        champion(SENTIMENT)
    assert store.releases("sentiment")[0].id == assignments["good"]


def test_without_a_champion_the_verdicts_speak(project, capsys):
    assert compare_releases("sentiment", None, None) == 0
    said = capsys.readouterr().out
    assert f"sentiment has no champion: no version is assigned to production. Release {project['good']}" in said
    assert "quality_gate: pass, 1 checks" in said


def test_better_is_0_worse_is_3_and_a_refusal_2(assignments, workdir):
    good, bad = assignments["good"], assignments["bad"]
    gto.api.assign(".", "sentiment", "production", version="v0.0.1")
    done = tidegate("compare", "sentiment", "--html", "pages/page.html")
    assert done.returncode == 0, done.stdout
    assert f"sentiment: {good} (fp32) against {bad} (fp32)" in done.stdout
    assert "points more right" in done.stdout
    assert "120 rows that neither model has seen: better." in done.stdout
    kept = store.STORE / "sentiment" / good / "comparisons" / bad
    assert {path.name for path in kept.iterdir()} == {"comparison.json", "rows.parquet", "compare.html"}
    assert (workdir / "pages/page.html").read_bytes() == (kept / "compare.html").read_bytes()
    worse = tidegate("compare", "sentiment", bad[:6], good[:6])
    assert worse.returncode == 3
    assert "Rejected: Over all rows the challenger is worse." in worse.stdout
    assert earlier("sentiment") == {read_json(kept / "comparison.json")["test_set"]: {good, bad}}
    resealed(
        shutil.copytree(store.STORE / "sentiment" / good, workdir / "three"), labels=["negative", "neutral", "positive"]
    )
    refused = tidegate("compare", "sentiment", good, "three")
    assert refused.returncode == 2
    assert "they know different labels (only the first: none; only the second: neutral)" in refused.stdout
    assert "Traceback" not in refused.stdout


def test_a_second_time_nothing_is_computed(project, capsys, caplog):
    arguments = ("sentiment", project["good"], project["bad"])
    with caplog.at_level("INFO", "tidegate"):
        assert compare_releases(*arguments) == 0
        first, scored = capsys.readouterr().out, len(caplog.records)
        assert scored == 2
        assert compare_releases(*arguments) == 0
        assert capsys.readouterr().out == first
        assert len(caplog.records) == scored
        assert compare_releases(*arguments, variant="int8") == 0
        assert len(caplog.records) == 2 * scored


def test_the_same_release_twice_is_said(project, capsys):
    assert compare_releases("sentiment", project["good"], project["good"]) == 0
    assert "are the same release" in capsys.readouterr().out
    assert earlier("sentiment") == {}


def test_comparisons_outlive_their_release(project):
    assert compare_releases("sentiment", project["bad"], project["good"]) == 3
    before = earlier("sentiment")
    assert list(before.values()) == [{project["bad"]}]
    newest = store.STORE / "sentiment" / project["good"]
    shutil.copytree(newest, BUNDLE, ignore=shutil.ignore_patterns("provenance.json"))
    store.keep(SENTIMENT, last=1)
    assert [release.id for release in store.releases("sentiment")] == [project["good"]]
    assert earlier("sentiment") == before


def test_folders_outside_the_store_keep_their_comparison_elsewhere(project, capsys):
    shutil.copytree(store.STORE / "sentiment" / project["good"], "copy")
    assert compare_releases("sentiment", "copy", project["bad"]) == 0
    page = store.ELSEWHERE / "sentiment" / f"{project['good']}-{project['bad']}" / "compare.html"
    assert page.exists()
    assert f"Page: {page}" in capsys.readouterr().out
