"""Promotion and rollback: gates, comparison, approver, a trial of the service, files, tags, and the pointer last.

Each step can be done twice, so that the same command completes one that was cut short.
"""

import logging
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from flows import approvals, commits, deploy, registry
from flows.approver import Act, Approved, Question, allowed
from flows.examine import Case, Grounds, current_champion, examine, makers, release_of, say_if_rejected_since
from flows.git import asked
from flows.infra import validate
from flows.lock import hold
from flows.record import Record, now, one_line
from flows.settings import load
from tasks.bundle import DEPLOYMENT, MANIFEST, load_release, release_id
from tasks.core.errors import RejectedError, SettingsError, TidegateError
from tasks.core.files import sha256
from tasks.core.line import Line

log = logging.getLogger("tidegate")

AUTOMATIC = "none, params.yaml says promote.automatic"
"""Stands where a record has a person's proof."""


@dataclass(frozen=True)
class Chosen:
    """What a trial of the service found: the variant to serve."""

    variant: str
    said: str = ""


Trial = Callable[[Line, Path], Chosen]
"""Tries a release as it will serve. Raises RejectedError where it must not."""


def tried(line: Line, bundle: Path) -> Chosen:
    """The variant that answered soonest of those that passed in the real service."""
    found = validate(line, bundle, load([line.name])[line.name].promote)
    return Chosen(found.variant, found.said)


def promote(
    name: str,
    wanted: str | None,
    by: str,
    why: str,
    bump: str | None = None,
    key: str | None = None,
    trial: Trial | None = None,
    automatic: bool = False,
    publish: Callable[[], None] | None = None,
) -> str:
    """Make a release (default: the newest) champion and let it serve; returns what was done, in a sentence.

    `key` is the approver's API key, where it comes neither from the environment nor from a terminal. `publish` is
    called when the tags are made and before the release serves; what it raises ends the promotion there. Raises
    RejectedError where a gate, the comparison, an approver or the trial says no, NotAllowedError where `by` may not
    decide, BusyError during another promotion of the line, TidegateError on what has to be mended first.
    """
    case = Case.open(name, wanted)
    why = _reason(why)
    with claim(name):
        if wanted is None:
            say_if_rejected_since(case)
        current = current_champion(case.line)
        if current is not None and release_of(case.line, current) == case.release:
            return _renew(case, current, "approve", by, key, trial, automatic)
        grounds = examine(case)
        approved = _automatically(case) if automatic else _approved(case, grounds, by, why, key)
        chosen = (trial or tried)(case.line, case.bundle)
        deploy.serving_folder().put(name, case.bundle)
        known = registry.registered(case.line, case.release)
        version = known.version if known else registry.upcoming(name, bump or case.settings.promote.bump)
        record = _record("promotion", case, version, chosen.variant, approved, why, current, grounds)
        if known is None:
            registry.register(record, grounds.commit or commits.record(case.line, case.bundle))
        registry.assign(record)
        if publish is not None:
            publish()
        deploy.point(case, version, chosen.variant, approved.by)
    if publish is None:
        _say_push()
    return f"{version} of {name} (release {case.release}, {chosen.variant}) is champion and serves.{_tail(chosen)}"


def rollback(name: str, to: str | None, by: str, why: str, key: str | None = None, trial: Trial | None = None) -> str:
    """Make an earlier champion (default: the one before) champion again; returns what was done, in a sentence.

    No comparison is asked for: it served before. Its bytes are checked. Raises SettingsError where there is no such
    version, NotAllowedError where `by` may not decide.
    """
    settings = load([name])[name]
    line, why = Line(name, settings.kind), _reason(why)
    with claim(name):
        current = current_champion(line)
        if current is None:
            raise SettingsError(f"{name} has no champion, so there is nothing to roll back. `tidegate promote` first.")
        target = _target(line, current, to)
        bundle = registry.folder(line, registry.named(name, target.version))
        load_release(bundle)
        case = Case(line, settings, bundle, release_id(bundle))
        if target.version == current.version:
            return _renew(case, current, "rollback", by, key, trial)
        approved = allowed(Question("rollback", line, case.release, by, since=current.time), key)
        variant = target.record.variant if target.record else (trial or tried)(line, bundle).variant
        deploy.serving_folder().put(name, bundle)
        registry.assign(_record("rollback", case, target.version, variant, approved, why, current))
        deploy.point(case, target.version, variant, approved.by)
    _say_push()
    return f"{target.version} of {name} (release {case.release}, {variant}) serves again, no longer {current.version}."


def propose(name: str, wanted: str | None, by: str) -> approvals.Proposal | None:
    """Propose a release (default: the newest) to the approvers, when all that decides without them lets it pass.

    None where it is champion already.
    """
    case = Case.open(name, wanted)
    with claim(name):
        if _is_champion(case):
            return None
        grounds = examine(case)
        return approvals.propose(case.line, case.release, by, case.settings.promote.approval_hours, grounds.comparison)


def reject(name: str, wanted: str | None, by: str, why: str, key: str | None = None) -> str:
    """Decline a release (default: the newest); returns what was done, in a sentence."""
    case, why = Case.open(name, wanted), _reason(why)
    with claim(name):
        if _is_champion(case):
            raise TidegateError(f"Release {case.release} is champion of {name}: `tidegate rollback {name}`.")
        approved = allowed(Question("reject", case.line, case.release, by), key)
        hours = case.settings.promote.approval_hours
        proposal = approvals.read(name, case.release) or approvals.propose(case.line, case.release, by, hours, None)
        approvals.decide(proposal, approved.by, why, yes=False, proof=approved.proof)
    return f"Release {case.release} of {name} is declined by {approved.by}: {why}"


def claim(name: str) -> AbstractContextManager[None]:
    """Hold the promotion of a line. Raises BusyError when somebody else does."""
    busy = f"Another promotion or rollback of {name} is going on. Wait for its end, then again."
    return hold(f"{name}.promote", busy)


def _reason(why: str) -> str:
    if not one_line(why):
        raise SettingsError("--why is empty: say in a sentence why. It is kept with the version.")
    return one_line(why)


def _approved(case: Case, grounds: Grounds, by: str, why: str, key: str | None) -> Approved:
    """The approver's yes, written down where params ask for one or a proposal is there."""
    settings, name = case.settings.promote, case.line.name
    proposal = approvals.read(name, case.release)
    if proposal is not None:
        proposal.require_open()
    served = [event.time for event in registry.history(name) if release_of(case.line, event) == case.release]
    others = makers(case, grounds.commit) if settings.two_pairs_of_eyes else None
    approved = allowed(Question("approve", case.line, case.release, by, max(served, default=None), others), key)
    if proposal is None and settings.approval == "human":
        proposal = approvals.propose(case.line, case.release, by, settings.approval_hours, grounds.comparison)
    if proposal is not None:
        approvals.decide(proposal, approved.by, why, yes=True, proof=approved.proof)
    return approved


def _is_champion(case: Case) -> bool:
    current = current_champion(case.line)
    return current is not None and release_of(case.line, current) == case.release


def _automatically(case: Case) -> Approved:
    """The yes of params.yaml; not to what somebody rolled back."""
    if any(release_of(case.line, event) == case.release for event in registry.history(case.line.name)):
        raise RejectedError(
            f"Release {case.release} was champion of {case.line.name} before and was replaced. It is promoted by "
            f"`tidegate promote` alone."
        )
    by = os.environ.get(DEPLOYMENT) or (asked("config", "user.name") or "").strip() or "tidegate run"
    return Approved(by, (asked("config", "user.email") or "").strip(), AUTOMATIC)


def _record(
    action: Literal["promotion", "rollback"],
    case: Case,
    version: str,
    variant: str,
    approved: Approved,
    why: str,
    before: registry.Assigned | None,
    grounds: Grounds | None = None,
) -> Record:
    return Record(
        action=action,
        line=case.line.name,
        version=version,
        release=case.release,
        manifest_sha256=sha256(case.bundle / MANIFEST),
        variant=variant,
        by=approved.by,
        email=approved.email,
        proof=approved.proof,
        why=why,
        time=now(),
        before=before.version if before else None,
        comparison=grounds.comparison if grounds else None,
    )


def _say_push() -> None:
    if asked("remote"):
        log.info("Others learn of it by `git push --follow-tags` and `dvc push`.")


def _tail(chosen: Chosen) -> str:
    return f" {chosen.said}" if chosen.said else ""


def _target(line: Line, current: registry.Assigned, to: str | None) -> registry.Assigned:
    """What a rollback goes back to. One that was cut short before its pointer is completed first."""
    before = registry.earlier(line.name)
    if to is not None:
        found = next((one for one in reversed(registry.history(line.name)) if one.version == to), None)
        if found is None:
            names = ", ".join(one.version for one in before) or "none"
            raise SettingsError(f"{to} was never champion of {line.name}. Earlier champions: {names}.")
        return found
    if current.record and current.record.action == "rollback" and not deploy.serves(line, current):
        return current
    if not before:
        raise SettingsError(f"{current.version} is the first champion of {line.name}: there is none to go back to.")
    return before[-1]


def _renew(
    case: Case, current: registry.Assigned, act: Act, by: str, key: str | None, trial: Trial | None,
    automatic: bool = False,
) -> str:  # fmt: skip
    """Let the champion serve, where the pointer is not right. What params.yaml promoted, params.yaml completes."""
    what = f"{current.version} of {case.line.name} (release {case.release}) is champion already"
    if deploy.serves(case.line, current):
        return f"{what} and serves. Nothing to do."
    record = current.record if automatic else None
    approved = (
        Approved(record.by, record.email, record.proof)
        if record and record.proof == AUTOMATIC
        else allowed(Question(act, case.line, case.release, by), key)
    )
    variant = current.record.variant if current.record else (trial or tried)(case.line, case.bundle).variant
    deploy.serving_folder().put(case.line.name, case.bundle)
    deploy.point(case, current.version, variant, approved.by)
    return f"{what}, but the serving folder did not say so. Its pointer is renewed: {variant} serves."
