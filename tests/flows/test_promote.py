"""Promotion and rollback in a real repository: what is tagged, what serves, what is refused, what a kill leaves."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import gto.api
import made
import pytest
import yaml
from commands import dvc, tidegate
from filelock import FileLock

from flows import approvals, commits, deploy, promote, record, registry, store
from flows.examine import Case, makers
from tasks.bundle import load_release, release_id
from tasks.core.errors import BusyError, RejectedError, SettingsError, StageError, TidegateError
from tasks.core.files import read_json, sha256, write_json
from tasks.core.line import STATE, Line

SENTIMENT = Line("sentiment")


def git(*arguments):
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout


def params(**changes):
    content = yaml.safe_load(Path("params.yaml").read_text())
    content["lines"]["sentiment"]["promote"] = changes
    Path("params.yaml").write_text(yaml.safe_dump(content))


def go(wanted=None, why="it is better", **more):
    return promote.promote("sentiment", wanted, "Anna", why, **more)


def back(to=None, **more):
    return promote.rollback("sentiment", to, "Otto", "complaints", **more)


def pointer():
    found = deploy.serving_folder().pointer("sentiment")
    return (found.release, found.version, found.variant) if found else None


@pytest.fixture
def champions(unrecorded):
    """`bad` is v0.1.0 and was champion, `good` is v0.2.0 and is."""
    go(unrecorded["bad"])
    go(unrecorded["good"])
    return unrecorded


def test_the_first_champion_and_the_one_that_takes_its_place(unrecorded, caplog):
    bad, good = unrecorded["bad"], unrecorded["good"]
    head = git("rev-parse", "HEAD").strip()
    with caplog.at_level("INFO", "tidegate"):
        assert go(bad[:6]) == f"v0.1.0 of sentiment (release {bad}, fp32) is champion and serves."
    assert "There is no team.yaml: anyone may approve, and Anna is taken at their word." in caplog.text
    assert git("rev-parse", "sentiment@v0.1.0^{commit}").strip() == head
    assert pointer() == (bad, "v0.1.0", "fp32")

    go(why="fewer mistakes\nTidegate-Record: {}")
    assert pointer() == (good, "v0.2.0", "fp32")
    assert git("log", "-1", "--format=%s").strip() == f"Release {good} of sentiment"
    assert set(git("show", "--name-only", "--format=").split()) == {"dvc.lock"}
    load_release(STATE / "serving/sentiment/releases" / good)
    message = git("for-each-ref", "--format=%(contents)", "refs/tags/sentiment@v0.2.0")
    assert message.startswith(
        f"sentiment v0.2.0 (release {good}) is promoted, in the place of v0.1.0, by Anna: "
        "fewer mistakes Tidegate-Record: {}\n"
    )
    kept = record.parse(message)
    assert (kept.by, kept.release, kept.before, kept.variant) == ("Anna", good, "v0.1.0", "fp32")
    assert kept.manifest_sha256 == sha256(store.STORE / "sentiment" / good / "manifest.json")
    assert (kept.comparison.champion, kept.comparison.outcome) == (bad, "better")
    assert kept.comparison.low <= kept.comparison.difference <= kept.comparison.high
    assert kept == record.parse(git("for-each-ref", "--format=%(contents)", "refs/tags/sentiment#production#2"))


def test_gto_and_dvc_know_the_version(champions, workdir):
    events = gto.api.history(".", "sentiment")
    # an assignment and a registration of one second may stand in either order
    assert sorted(event["event"] for event in events) == ["assignment"] * 2 + ["registration"] * 2
    assert {event["author"] for event in events} == {"Anna"}
    (shown,) = gto.api.show(".", "sentiment@v0.2.0")
    assert [stage["stage"] for stage in shown["stages"]] == ["production"]
    got = dvc("artifacts", "get", ".", "sentiment", "--rev", "v0.1.0", "-o", "got")
    assert got.returncode == 0, got.stdout
    assert release_id(workdir / "got") == champions["bad"]


def test_two_versions_on_one_commit_are_told_with_the_way_out(champions):
    git("tag", "-a", "sentiment@v0.9.0", "-m", "by hand", "sentiment@v0.2.0^{}")
    done = tidegate("releases", "sentiment")
    assert done.returncode == 1 and "Traceback" not in done.stdout
    assert "Multiple versions are not allowed" in done.stdout and "git tag --delete" in done.stdout


def test_promoting_the_champion_again_only_mends_its_pointer(champions):
    tags = git("tag")
    assert go(champions["good"]).endswith("is champion already and serves. Nothing to do.")
    shutil.rmtree(STATE / "serving")
    assert "Its pointer is renewed: fp32 serves." in go(champions["good"])
    (STATE / "serving/sentiment/current.json").write_text("{")
    assert "renewed" in go("v0.2.0")
    assert pointer() == (champions["good"], "v0.2.0", "fp32")
    assert git("tag") == tags


class Killed(BaseException):
    """Nothing catches it, as nothing catches a kill."""


STEPS = [
    (deploy.ServingFolder, "put"), (commits, "git"), (registry, "register"), (registry, "assign"),
    (deploy.ServingFolder, "point"),
]  # fmt: skip


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS, ids=[name for _, name in STEPS])
def test_a_promotion_cut_short_anywhere_is_completed_by_the_same_command(unrecorded, monkeypatch, step, after):
    go(unrecorded["bad"])
    with monkeypatch.context() as patch:
        real = getattr(*step)

        def dying(*arguments, **more):
            if step[1] == "git" and arguments[0] not in ("add", "commit"):
                return real(*arguments, **more)
            if after:
                real(*arguments, **more)
            raise Killed

        patch.setattr(*step, dying)
        with pytest.raises(Killed):
            go()
    go()
    assert pointer() == (unrecorded["good"], "v0.2.0", "fp32")
    assert [one.version for one in registry.versions("sentiment")] == ["v0.2.0", "v0.1.0"]
    assert [one.version for one in registry.history("sentiment")] == ["v0.1.0", "v0.2.0"]
    assert git("log", "--format=%s").count("Release") == 1
    assert git("status", "--porcelain") == ""


def test_a_kill_for_good_leaves_no_lock(unrecorded):
    die = "from flows import deploy, promote, registry; import os; "
    die += "registry.assign = lambda record: os.kill(os.getpid(), 9); promote.promote('sentiment', None, 'A', 'b')"
    killed = subprocess.run([sys.executable, "-c", die], check=False, timeout=120)
    assert killed.returncode == -signal.SIGKILL
    assert pointer() is None
    go()
    assert pointer() == (unrecorded["good"], "v0.1.0", "fp32")


def test_two_at_once_are_one_too_many(unrecorded):
    lock = STATE / "locks/sentiment.promote.lock"
    lock.parent.mkdir(parents=True)
    with FileLock(lock):
        for command in (go, back):
            with pytest.raises(BusyError, match="Another promotion or rollback of sentiment"):
                command()


def test_a_worse_release_is_rejected(champions):
    worse = tidegate("promote", "sentiment", champions["bad"], "--by", "Anna", "--why", "I like it")
    assert worse.returncode == 3, worse.stdout
    assert "is not promoted: Over all rows the challenger is worse." in worse.stdout
    assert pointer() == (champions["good"], "v0.2.0", "fp32")


def test_a_gate_that_rejected_is_final(unrecorded):
    folder = store.STORE / "sentiment" / unrecorded["good"]
    verdicts = read_json(folder / "manifest.json")["verdicts"]
    verdicts["quality_gate"]["verdict"] = verdicts["quality_gate"]["checks"][0]["outcome"] = "reject"
    made.resealed(folder, verdicts=verdicts)
    with pytest.raises(RejectedError, match=r"quality_gate: accuracy is 0\.9.* A verdict is final"):
        go(str(folder))


def test_a_wrong_byte_is_refused_before_anything_is_written(unrecorded):
    tokenizer = store.STORE / "sentiment" / unrecorded["good"] / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text() + " ")
    with pytest.raises(StageError, match="is not the file that was released"):
        go()
    assert git("tag") == ""
    assert not (STATE / "serving").exists()


def test_other_edits_are_left_alone(unrecorded, workdir):
    (workdir / "note.txt").write_text("staged")
    git("add", "note.txt")
    (workdir / "note.txt").write_text("and edited further")
    (workdir / "new.txt").write_text("new")
    git("mv", "params.yaml", "elsewhere.yaml")
    git("mv", "elsewhere.yaml", "params.yaml")
    before = git("status", "--porcelain")
    go()
    assert git("status", "--porcelain") == before.replace(" M dvc.lock\n", "")
    assert git("show", ":note.txt") == "staged"
    assert set(git("show", "--name-only", "--format=").split()) == {"dvc.lock"}


def test_edits_that_touch_the_line_are_refused_and_listed(unrecorded, workdir):
    (workdir / "made_by.py").write_text("# edited\n")
    (workdir / "data/sentiment/behaviour.yaml").write_text("[ ]\n")
    git("add", "data/sentiment/behaviour.yaml")
    content = yaml.safe_load(Path("params.yaml").read_text())
    content["lines"]["sentiment"]["train"]["epochs"] = 9
    content["lines"]["sentiment"]["keep_releases"] = 3
    Path("params.yaml").write_text(yaml.safe_dump(content))
    head = git("rev-parse", "HEAD")
    with pytest.raises(TidegateError) as error:
        go()
    assert str(error.value).split("\n")[1:-1] == [
        "- data/sentiment/behaviour.yaml was edited",
        "- made_by.py was edited",
        "- params.yaml: lines.sentiment.train is not as it was",
    ]
    git("commit", "-qm", "edits", "--", "made_by.py", "data", "params.yaml")
    with pytest.raises(TidegateError, match=r"params\.yaml: lines\.sentiment\.train is not as it was"):
        go()
    content["lines"]["sentiment"]["train"]["epochs"] = 3
    Path("params.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(TidegateError, match=r"release would run again: data/sentiment/behaviour\.yaml modified"):
        go()
    assert git("rev-parse", "HEAD~1") == head
    assert git("tag") == ""
    go(unrecorded["bad"])  # that one has its commit


def test_a_commit_counts_only_with_the_settings_of_the_release(unrecorded):
    git("commit", "-qm", "lock alone", "--", "dvc.lock")
    good = store.STORE / "sentiment" / unrecorded["good"]
    assert commits.commit_of(SENTIMENT, good) == git("rev-parse", "HEAD").strip()
    content = yaml.safe_load(Path("params.yaml").read_text())
    content["lines"]["sentiment"]["train"]["epochs"] = 9
    Path("params.yaml").write_text(yaml.safe_dump(content))
    git("commit", "--amend", "-qm", "with other settings", "--", "dvc.lock", "params.yaml")
    assert commits.commit_of(SENTIMENT, good) is None


def test_a_release_that_nothing_records_is_refused(unrecorded, workdir):
    folder = shutil.copytree(store.STORE / "sentiment" / unrecorded["good"], workdir / "stray")
    made.resealed(folder, labels=["negative", "positive"], kind="classify", admissible=["fp32"])
    with pytest.raises(TidegateError, match=r"No commit records release .* and the working tree holds another"):
        go("stray")


def test_versions_are_raised_as_asked(unrecorded):
    params(bump="patch")
    go(unrecorded["bad"])
    go(unrecorded["good"], bump="major")
    assert [one.version for one in registry.versions("sentiment")] == ["v1.0.0", "v0.0.1"]
    with pytest.raises(SettingsError, match=r"no version v3\.0\.0 of sentiment\. Registered: v1\.0\.0, v0\.0\.1"):
        go("v3.0.0")


def test_compare_takes_versions(champions):
    done = tidegate("compare", "sentiment", "v0.2.0", "v0.1.0")
    assert done.returncode == 0, done.stdout
    assert "against" in done.stdout


def test_rollback_and_a_second_one(champions):
    assert back() == f"v0.1.0 of sentiment (release {champions['bad']}, fp32) serves again, no longer v0.2.0."
    assert pointer() == (champions["bad"], "v0.1.0", "fp32")
    kept = record.parse(git("for-each-ref", "--format=%(contents)", "refs/tags/sentiment#production#3"))
    assert (kept.action, kept.by, kept.before, kept.comparison) == ("rollback", "Otto", "v0.2.0", None)
    with pytest.raises(SettingsError, match=r"v0\.1\.0 is the first champion of sentiment"):
        back()
    back("v0.2.0")
    assert pointer() == (champions["good"], "v0.2.0", "fp32")
    back()
    assert pointer() == (champions["bad"], "v0.1.0", "fp32")
    with pytest.raises(SettingsError, match=r"v0\.9\.0 was never champion"):
        back("v0.9.0")


def test_a_rollback_from_one_that_was_promoted_anew_goes_to_what_it_replaced(champions):
    for release, version in (
        (champions["good"], "v0.2.0"),
        (champions["bad"], "v0.1.0"),
        (champions["good"], "v0.2.0"),
    ):
        made = Case.open("sentiment", release)
        shown = record.Record(
            action="promotion", line="sentiment", version=version, release=release, manifest_sha256="0" * 64,
            variant="fp32", by="Anna", email="", proof="none", why="anew", time=record.now(), before=None,
            comparison=None,
        )  # fmt: skip
        registry.assign(shown)
        deploy.point(made, version, "fp32", "Anna")
    assert [one.version for one in registry.earlier("sentiment")][-1] == "v0.1.0"
    assert "v0.1.0 of sentiment" in back()


def test_what_was_rolled_back_can_be_promoted_again(champions):
    back()
    go(champions["good"])
    assert [one.version for one in registry.history("sentiment")] == ["v0.1.0", "v0.2.0", "v0.1.0", "v0.2.0"]
    assert pointer() == (champions["good"], "v0.2.0", "fp32")
    back()
    assert pointer() == (champions["bad"], "v0.1.0", "fp32")


def test_a_rollback_brings_the_bytes_from_dvc(champions):
    shutil.rmtree(store.STORE / "sentiment" / champions["bad"])
    shutil.rmtree(STATE / "serving/sentiment/releases" / champions["bad"])
    back()
    load_release(STATE / "serving/sentiment/releases" / champions["bad"])


def test_a_rollback_checks_the_bytes(champions):
    (store.STORE / "sentiment" / champions["bad"] / "tokenizer.json").write_text("{}")
    with pytest.raises(StageError, match="is not the file that was released"):
        back()
    assert pointer() == (champions["good"], "v0.2.0", "fp32")


def test_a_rollback_cut_short_is_completed_and_goes_no_further(champions, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(deploy, "point", lambda *arguments: (_ for _ in ()).throw(Killed()))
        with pytest.raises(Killed):
            back()
    assert pointer() == (champions["good"], "v0.2.0", "fp32")
    assert "Its pointer is renewed" in back()
    assert pointer() == (champions["bad"], "v0.1.0", "fp32")


def test_nothing_to_roll_back(unrecorded):
    with pytest.raises(SettingsError, match="has no champion, so there is nothing to roll back"):
        back()


def test_a_clock_that_goes_behind_is_said(champions, monkeypatch):
    monkeypatch.setattr(registry, "assigned", lambda line: None)
    with pytest.raises(TidegateError, match="is this machine's clock behind"):
        back()


def test_the_store_drops_nothing_that_is_registered_serves_or_waits(champions, workdir):
    shutil.copytree(store.STORE / "sentiment" / champions["good"], workdir / "third")
    third = made.resealed(workdir / "third", labels=["negative", "positive"], admissible=["fp32"])
    fourth = shutil.copytree(workdir / "third", workdir / "fourth")
    fourth = made.resealed(fourth, admissible=["int8"])
    write_json(workdir / "fourth/provenance.json", {"time": "2025-01-01T00:00:00+00:00"})
    for name in (third, fourth):
        source = workdir / ("third" if name == third else "fourth")
        source.rename(store.STORE / "sentiment" / name)
    approvals.propose(SENTIMENT, third, "run", 1, None)
    store.keep(SENTIMENT, 1, deploy.spared(SENTIMENT))
    assert {one.id for one in store.releases("sentiment")} == {champions["bad"], champions["good"], third}


def test_the_makers_of_a_release(unrecorded):
    case = Case.open("sentiment", unrecorded["good"])
    assert makers(case, None) == {"Mara", "mara@example.org"}
    (store.STORE / "sentiment" / unrecorded["good"] / "provenance.json").unlink()
    assert makers(case, None) == frozenset()
    assert makers(case, "HEAD") == {"Tester", "tester@example.org"}


def test_the_table_says_where_each_release_stands(champions):
    shutil.rmtree(store.STORE / "sentiment" / champions["bad"])
    done = tidegate("releases", "sentiment", env={**os.environ, "COLUMNS": "160"})
    assert done.returncode == 0, done.stdout
    rows = {row.split()[0]: row for row in done.stdout.splitlines() if row.strip()}
    assert "v0.2.0" in rows[champions["good"]]
    assert "champion; serves (fp32)" in rows[champions["good"]]
    assert "Mara" in rows[champions["good"]]
    assert "3 pass" in rows[champions["good"]]
    assert " accuracy " in done.stdout
    assert "v0.1.0" in rows[champions["bad"]]
    assert "are not in the store" in done.stdout


def test_why_and_line_are_asked_for(unrecorded):
    with pytest.raises(SettingsError, match="--why is empty"):
        go(why=" \n")
    assert tidegate("promote", "sentimen", "--by", "A", "--why", "b").returncode == 2
