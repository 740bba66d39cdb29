"""`tidegate compare` as a user gives it."""

import shutil

import gto.api
import made
from commands import tidegate

from flows import store
from flows.compare import compare_releases, earlier
from tasks.core.files import read_json
from tasks.core.line import Line

SENTIMENT = Line("sentiment")


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
    made.resealed(
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
    shutil.copytree(newest, SENTIMENT.file("release", "bundle"), ignore=shutil.ignore_patterns("provenance.json"))
    store.keep(SENTIMENT, last=1, spared=set())
    assert [release.id for release in store.releases("sentiment")] == [project["good"]]
    assert earlier("sentiment") == before


def test_folders_outside_the_store_keep_their_comparison_elsewhere(project, capsys):
    shutil.copytree(store.STORE / "sentiment" / project["good"], "copy")
    assert compare_releases("sentiment", "copy", project["bad"]) == 0
    page = store.ELSEWHERE / "sentiment" / f"{project['good']}-{project['bad']}" / "compare.html"
    assert page.exists()
    assert f"Page: {page}" in capsys.readouterr().out
