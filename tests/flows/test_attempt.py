"""What an attempt does with its release: promotions that others see whole or not at all."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from flows import attempt, deploy, leftovers, loop, news, promote, publish, recovery, registry, worktree
from flows.examine import Case
from flows.git import git
from flows.loop import Attempt
from tasks.core.errors import RejectedError, StageError, TidegateError
from tasks.core.files import write_json
from tasks.core.line import Line

LINE = Line("sentiment")
BRANCH = "tidegate/sentiment/now"
DEAD = leftovers.tag().rpartition(":")[0] + ":1"


@pytest.fixture
def case(unrecorded, tmp_path_factory):
    """`bad` is champion, known to a remote; on the attempt's branch `good` is recorded, and params.yaml promotes."""
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["lines"]["sentiment"]["promote"] = {"automatic": True}
    Path("params.yaml").write_text(yaml.safe_dump(params))
    git("commit", "-qam", "promote by itself")
    promote.promote("sentiment", unrecorded["bad"], "Ada", "first")
    remote = tmp_path_factory.mktemp("remote")
    git("init", "-q", "--bare", str(remote))
    git("remote", "add", "origin", str(remote))
    git("push", "-q", "origin", "--all", "--follow-tags")
    git("checkout", "-q", "-b", BRANCH)
    return Case.open("sentiment", unrecorded["good"])


def decided(case):
    return attempt._decide(case, attempt._recorded(case.line), BRANCH, "drift")


def elsewhere(*arguments):
    """Git in the remote."""
    return git("-C", git("remote", "get-url", "origin").strip(), *arguments)


def champion():
    return deploy.serving_folder().pointer("sentiment").release


def test_commit_and_tags_are_pushed_together_before_it_serves(case, monkeypatch):
    seen = []
    point = deploy.point
    monkeypatch.setattr(deploy, "point", lambda *given: (seen.extend(elsewhere("tag").split()), point(*given)))
    outcome, reason = decided(case)
    assert (outcome, champion()) == ("promoted", case.release)
    assert "v0.2.0" in reason
    assert {"sentiment@v0.2.0", "sentiment#production#2"} <= set(seen)
    assert elsewhere("rev-parse", BRANCH) == git("rev-parse", BRANCH)


def test_where_somebody_promoted_meanwhile_it_is_decided_again(case):
    elsewhere("-c", "user.name=x", "-c", "user.email=x@y", "tag", "-am", "theirs", "sentiment@v0.2.0", "HEAD~2")
    outcome, reason = decided(case)
    assert (outcome, champion()) == ("promoted", case.release)
    assert "v0.3.0" in reason
    assert "sentiment@v0.3.0" in elsewhere("tag").split()


def test_a_remote_that_is_away_leaves_no_tag_and_the_old_champion(case):
    git("remote", "set-url", "origin", "/nowhere")
    commit, before = attempt._recorded(case.line), champion()
    with pytest.raises(TidegateError, match="push"):
        attempt._decide(case, commit, BRANCH, "drift")
    assert publish.tags("sentiment", commit) == set()
    assert champion() == before


def test_tags_that_others_have_seen_stay(case, monkeypatch):
    def full(*given):
        raise StageError("the bucket is away")

    monkeypatch.setattr(deploy, "point", full)
    with pytest.raises(StageError):
        decided(case)
    assert registry.history("sentiment")[-1].version == "v0.2.0"
    monkeypatch.undo()


def test_where_people_decide_it_waits(case):
    people = case.settings.model_copy(update={"promote": case.settings.promote.model_copy(update={"automatic": False})})
    outcome, reason = decided(replace(case, settings=people))
    assert outcome == "proposed"
    assert "waits for an approver until" in reason
    assert BRANCH in elsewhere("branch")
    assert champion() != case.release


def test_a_rejection_names_the_evidence_that_stays(case, monkeypatch):
    write_json(LINE.file("quality_gate", "verdict.json"), {"verdict": "reject"})

    def rejected(name):
        raise RejectedError(f"quality_gate rejects. The evidence is in {LINE.file('quality_gate', 'x').parent}.")

    monkeypatch.setattr(attempt, "_release", rejected)
    monkeypatch.setattr(news, "require_committed", lambda _: None)
    done = attempt.attempt("sentiment", "now", "drift")
    attempt.keep_evidence("sentiment", "now")
    kept = Path(done.reason.partition("The evidence is in ")[2].removesuffix("."))
    assert done.outcome == "rejected" and (kept / "verdict.json").exists()
    assert not kept.is_relative_to(LINE.folder)


@pytest.fixture
def killed(case):
    """What is left of an attempt that was killed after its tags, before its release served."""
    commit = attempt._recorded(case.line)
    one = Attempt(id="now", started="2026-05-01T00:00:00+00:00", process=DEAD, base=git("rev-parse", "HEAD~1").strip())
    loop._write("sentiment", [one])

    def until_the_tags(seen):
        def stop():
            if seen:
                publish.push(BRANCH, publish.tags("sentiment", commit))
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            promote.promote("sentiment", case.release, "", "drift", automatic=True, publish=stop)
        git("checkout", "-q", "-")
        return commit

    return until_the_tags


def test_killed_before_the_push_nothing_has_happened(case, killed):
    commit, before = killed(seen=False), champion()
    (done,) = recovery.recover("sentiment")
    assert (done.outcome, champion()) == ("failed", before)
    assert publish.tags("sentiment", commit) == set()
    assert BRANCH not in git("branch")
    assert recovery.recover("sentiment") == []


def test_killed_after_the_push_the_promotion_is_completed(case, killed):
    killed(seen=True)
    (done,) = recovery.recover("sentiment")
    assert (done.outcome, done.release) == ("promoted", case.release)
    assert champion() == case.release


def test_killed_before_a_commit_the_champion_is_not_touched(case):
    git("checkout", "-q", "-")
    git("branch", "-q", "-f", BRANCH, "HEAD")
    head = git("rev-parse", "HEAD").strip()
    loop._write("sentiment", [Attempt(id="now", started="2026-05-01T00:00:00+00:00", process=DEAD, base=head)])
    before, tags = champion(), git("tag")
    (done,) = recovery.recover("sentiment")
    assert (done.outcome, champion(), git("tag")) == ("failed", before, tags)


def test_a_worktree_has_the_last_commit_and_shares_state_and_cache(case):
    git("checkout", "-q", "-")
    Path("params.yaml").write_text("somebody: edits\n")
    edits = git("status", "--porcelain")
    Path(".tidegate/kept").write_text("state")
    subprocess.run(["dvc", "remote", "add", "-d", "-q", "near", "../near"], check=True, cwd=".")
    with worktree.worktree("sentiment", "then", worktree.head()) as folder:
        assert "automatic" in (folder / "params.yaml").read_text()
        assert (folder / ".tidegate/kept").read_text() == "state"
        asked = {"cwd": folder, "text": True, "capture_output": True, "check": True}
        cache = subprocess.run(["dvc", "cache", "dir"], **asked).stdout.strip()
        assert Path(cache) == Path(".dvc/cache").absolute()
        remotes = subprocess.run(["dvc", "remote", "list"], **asked).stdout.split()
        assert remotes == [] or str(Path("../near").resolve()) in remotes
    assert not folder.exists()
    assert Path(".tidegate/kept").exists()
    assert set(edits.splitlines()) <= set(git("status", "--porcelain").splitlines())
    assert "tidegate/sentiment/then" in git("branch")
