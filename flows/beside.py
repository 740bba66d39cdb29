"""Shadow and canary: a release that sees a share of the live traffic beside the champion."""

from dataclasses import dataclass
from typing import Literal

from flows import promote
from flows.approver import Question, allowed
from flows.deploy import serving_folder
from flows.examine import Case, examine, makers, require_verdicts
from flows.record import now, one_line
from flows.settings import load
from serving.deployment import Beside, Pointer
from tasks.bundle import load_release
from tasks.core.errors import SettingsError
from tasks.core.line import Line

Role = Literal["shadow", "canary"]
SAYS = {
    "shadow": "Its answers are logged and never returned.",
    "canary": "It answers its callers, always the same ones.",
}


@dataclass(frozen=True)
class Limits:
    """What ends a canary by itself: see serving.deployment.Beside."""

    max_disagreement: float | None = None
    max_errors: int | None = None


NO_LIMITS = Limits()


def stand(
    role: Role,
    name: str,
    wanted: str | None,
    share: float,
    by: str,
    limits: Limits = NO_LIMITS,
    key: str | None = None,
    trial: promote.Trial | None = None,
) -> str:
    """Let a release (default: the newest) see a share of a line's requests; returns what was done, in a sentence.

    A shadow needs verdicts that pass and a trial of the service. A canary answers people: it needs what a promotion
    needs but the version. What stood there before gives way. Raises RejectedError, NotAllowedError and BusyError as a
    promotion does, SettingsError where the line has no champion or the release is it.
    """
    if not 0 < share <= 1:
        raise SettingsError(f"--share is {share:g}; allowed is more than 0, and 1 at most.")
    case = Case.open(name, wanted)
    with promote.claim(name):
        pointer = _pointer(case.line)
        if pointer.release == case.release:
            raise SettingsError(f"Release {case.release} is champion of {name}: it sees every request. Name another.")
        manifest = load_release(case.bundle)
        others = None
        if role == "canary":
            grounds = examine(case)
            others = makers(case, grounds.commit) if case.settings.promote.two_pairs_of_eyes else None
        else:
            require_verdicts(case, manifest)
        approved = allowed(Question(role, case.line, case.release, one_line(by), makers=others), key)
        chosen = (trial or promote.tried)(case.line, case.bundle)
        serving_folder().put(name, case.bundle)
        beside = Beside(
            release=case.release, variant=chosen.variant, share=share, by=approved.by, time=now(),
            max_disagreement=limits.max_disagreement, max_errors=limits.max_errors,
        )  # fmt: skip
        serving_folder().point(pointer.model_copy(update={role: beside}))
    return (
        f"Release {case.release} ({chosen.variant}) is {role} of {name}, with {share:.0%} of the requests. {SAYS[role]}"
    )


def end(role: Role, name: str, by: str, key: str | None = None) -> str:
    """Take the shadow or canary of a line away; returns what was done, in a sentence."""
    line = Line(name, load([name])[name].kind)
    with promote.claim(name):
        pointer = _pointer(line)
        beside: Beside | None = getattr(pointer, role)
        if beside is None:
            return f"{name} has no {role}. Nothing to do."
        allowed(Question("end", line, beside.release, one_line(by)), key)
        serving_folder().point(pointer.model_copy(update={role: None}))
    return f"Release {beside.release} is no longer {role} of {name}."


def _pointer(line: Line) -> Pointer:
    pointer = serving_folder().pointer(line.name)
    if pointer is None:
        raise SettingsError(f"{line.name} has no champion that serves: `tidegate promote {line.name}` first.")
    return pointer
