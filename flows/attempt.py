"""One attempt of the loop, inside its worktree: the release flow, the commit, then a proposal or a promotion.

A process of its own: it runs the last commit's code and settings, whatever is edited where it was started.
"""

import argparse
import logging
import shutil
import sys

from pydantic import BaseModel, ConfigDict

from flows import approvals, commits, deploy, inherit, loop, news, promote, publish
from flows.examine import Case, current_champion, release_of
from flows.git import git
from flows.loop import Outcome
from flows.server import server, settle
from flows.settings import load
from flows.worktree import branch
from flows.world import VERSIONS
from tasks.bundle import release_id
from tasks.core.errors import RejectedError, StageError, TidegateError, disk_full
from tasks.core.files import atomic
from tasks.core.line import Line
from tasks.core.quiet import silence
from tasks.core.stage import end_with_parent

log = logging.getLogger("tidegate")

RESULT = "result.json"
TRIES = 3  # pushes: each that is rejected follows on somebody else's promotion
EVIDENCE = (
    ("validate", "verdict.json"), ("quality_gate", "verdict.json"), ("quality_gate", "gate.html"),
    ("release_gate", "verdict.json"), ("release_gate", "gate.html"), ("evaluate", "metrics.json"),
)  # fmt: skip
"""What stays of a worktree, as far as its stages came."""


class Result(BaseModel):
    """What came of an attempt."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    outcome: Outcome
    reason: str
    release: str | None = None
    commit: str | None = None
    rows_until: str | None = None


class _EndedError(Exception):
    """The attempt ended without a release to decide on."""

    def __init__(self, outcome: Outcome, reason: str) -> None:
        super().__init__(reason)
        self.outcome = outcome


def attempt(name: str, number: str, why: str, drift: bool = False) -> Result:
    """Take a line in this worktree to a release, record it on the branch, and propose or promote it.

    An answer to `drift` needs new rows: the same data would teach the same.
    """
    told: dict[str, str | None] = {}
    try:
        settings = load([name])[name]
        line = Line(name, settings.kind)
        publish.fetch()
        news.require_committed(settings)
        inherit.inbox(line, settings)
        if drift and not news.taken_in(line, settings):
            raise _EndedError("nothing_new", f"No source brought new rows. {news.wanted(line, settings)}")
        known = _known(line)
        _release(name)
        told["rows_until"] = inherit.rows_until(line)
        told["release"] = release = release_id(line.file("release", "bundle"))
        if release in known:
            said = f"What was taken in changes no model: {known[release]}. {news.wanted(line, settings)}"
            raise _EndedError("nothing_new", said)
        told["commit"] = commit = _recorded(line)
        publish.push_data(line)
        outcome, reason = _decide(Case.open(name, release), commit, branch(name, number), why)
    except _EndedError as ended:
        outcome, reason = ended.outcome, str(ended)
    except RejectedError as error:
        outcome, reason = "rejected", _as_kept(str(error), name, number)
        told["commit"] = None  # its branch goes: nobody can promote it
    except (TidegateError, OSError) as error:
        if isinstance(error, OSError) and disk_full(error) is None:
            raise
        outcome, reason = "failed", str(disk_full(error) or error)
    return Result(outcome=outcome, reason=reason, **told)


def _known(line: Line) -> dict[str, str]:
    """The releases on which nothing is to be decided any more, and why."""
    found = {}
    for proposal in approvals.proposals(line.name):
        state = {"waiting": f"waits for an approver until {proposal.expires}", "no": "was declined"}.get(proposal.state)
        if state is not None:
            found[proposal.release] = f"release {proposal.release} {state}"
    current = current_champion(line)
    if current is not None and (release := release_of(line, current)):
        found[release] = f"release {release} is champion already"
    return found


def _release(name: str) -> None:
    """Run the release flow. Raises RejectedError where a gate rejects, TidegateError where it fails."""
    from prefect import tags

    from flows import leftovers
    from flows.release import NAMES, release

    with tags(leftovers.tag()):
        state = release(name, decide=False, return_state=True)
    if not state.is_completed():
        kinds = {word: error for error, word in NAMES.items()}
        raise kinds.get(state.name or "", StageError)(state.message or f"The release flow ended as {state.name}.")


def _recorded(line: Line) -> str:
    """The commit that records the release; made on this branch where there is none."""
    if git("status", "--porcelain", "--", str(VERSIONS)):
        git("commit", "--quiet", "--no-verify", "--only", "-m", "Versions of this environment", "--", str(VERSIONS))
    bundle = line.file("release", "bundle")
    return commits.commit_of(line, bundle) or commits.record(line, bundle)


def _decide(case: Case, commit: str, on: str, why: str) -> tuple[Outcome, str]:
    """Promote the release where params.yaml lets that happen by itself, else propose it."""
    name, release = case.line.name, case.release
    if not case.settings.promote.automatic:
        proposal = promote.propose(name, release, why)
        publish.push(on, set())
        until = f" until {proposal.expires}" if proposal else ""
        return "proposed", f"Release {release} of {name} waits for an approver{until}."
    for _ in range(TRIES):
        try:
            return "promoted", _promoted(case, commit, on, why)
        except publish.PushRejectedError:
            log.info("The push was rejected: somebody promoted meanwhile. That is fetched, and it is decided again.")
            publish.fetch()
    raise TidegateError(f"The push was rejected {TRIES} times. `tidegate promote {name} {release}` promotes it.")


def _promoted(case: Case, commit: str, on: str, why: str) -> str:
    """Promote it; commit and tags are pushed before it serves. Tags that nobody has seen go where that fails."""
    name, before = case.line.name, publish.tags(case.line.name, commit)
    seen = False

    def tell() -> None:
        nonlocal seen
        publish.push(on, publish.tags(name, commit) - before)
        seen = publish.remote() is not None

    try:
        return promote.promote(name, case.release, "", why, automatic=True, publish=tell)
    finally:
        if not seen and not deploy.points_to(case):
            publish.take_back(publish.tags(name, commit) - before)


def _as_kept(said: str, line: str, number: str) -> str:
    """What a gate said, with the place in which its evidence stays: the worktree that it named goes."""
    for stage in sorted({stage for stage, _ in EVIDENCE}):
        said = said.replace(str(Line(line).folder / stage), str(loop.evidence(line, number) / stage))
    return said


def keep_evidence(line: str, number: str) -> None:
    """Copy verdicts and pages out of the worktree, which goes."""
    target = loop.evidence(line, number)
    for stage, name in EVIDENCE:
        file = Line(line).file(stage, name)
        if file.exists():
            (target / stage).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target / stage / name)


def main() -> None:
    """Run one attempt in the working directory, write its result beside its evidence."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("line")
    parser.add_argument("attempt")
    parser.add_argument("--why", default="")
    parser.add_argument("--drift", action="store_true", help="it answers a drift")
    given = parser.parse_args()
    silence()
    end_with_parent()
    settle()
    logging.basicConfig(level=logging.WARNING, stream=sys.stdout, format="%(message)s")
    log.setLevel(logging.INFO)
    with server():
        found = attempt(given.line, given.attempt, given.why, given.drift)
    keep_evidence(given.line, given.attempt)
    with atomic(loop.evidence(given.line, given.attempt) / RESULT) as file:
        file.write_text(found.model_dump_json(), encoding="utf-8")


if __name__ == "__main__":
    main()
