"""Who may promote and roll back, and how they prove who they are: an API key, or a tag signed with their SSH key."""

import logging
import os
import re
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from flows.git import asked, git
from flows.record import one_line
from tasks.core.errors import SettingsError, TidegateError
from tasks.core.line import Line
from tasks.team import Member, Team, load_team

log = logging.getLogger("tidegate")

KEY = "TIDEGATE_KEY"
"""Environment variable with the API key of the person who gives a command: as an argument other users would see it."""

Act = Literal["approve", "reject", "rollback", "shadow", "canary", "end", "acknowledge", "change"]

ROLES: dict[Act, tuple[str, ...]] = {
    "approve": ("approver",),
    "reject": ("approver",),
    "rollback": ("approver", "ops"),
    "shadow": ("approver", "ops"),
    "canary": ("approver",),
    "end": ("approver", "ops"),
    "acknowledge": ("approver", "ops"),
    "change": ("approver", "ops"),
}


class NotAllowedError(TidegateError):
    """The person may not do this, or did not prove who they are."""


@dataclass(frozen=True)
class Approved:
    """A person who may do what was asked, and how that is known."""

    by: str
    email: str
    proof: str


@dataclass(frozen=True)
class Question:
    """May `by` do this with a release, with an alert by its id, or with the change of answers of that number?"""

    act: Act
    line: Line
    release: str
    by: str
    since: datetime | None = None
    """A signed tag must be younger: an old one was for another time."""
    makers: frozenset[str] | None = None
    """Names and addresses of who made the release, where that must be somebody else."""

    @property
    def tag(self) -> str:
        """The tag that, signed, says yes."""
        return f"{self.act}/{self.line.name}/{self.release}"


def allowed(question: Question, key: str | None = None) -> Approved:
    """The person who may do it, and what proves that it is them.

    `key` is their API key; by default the one in TIDEGATE_KEY, else a signed tag is looked for, else a terminal is
    asked. Raises NotAllowedError that says what is missing and how to come by it. With no team.yaml anyone may.
    """
    team, by = load_team(), one_line(question.by)
    if not by:
        raise SettingsError("--by is empty: name the person.")
    if team is None:
        if question.makers is not None:
            raise SettingsError(
                "promote.two_pairs_of_eyes is on, but there is no team.yaml to say who is who. Write it."
            )
        log.info("There is no team.yaml: anyone may %s, and %s is taken at their word.", question.act, by)
        email = (asked("config", "user.email") or "").strip()
        return Approved(by, email, "none, there is no team.yaml")
    member = _member(team, by, question.act)
    if question.makers is not None:
        _require_another(member, question.release, question.makers)
    key = key or os.environ.get(KEY)
    if key is None:
        proof = _signed(member, question)
        if proof is None:
            key = _typed(member)
    if key is not None:
        found = team.authenticate(key)
        if found is None or found.name != member.name:
            raise NotAllowedError(
                f"The key that was given is not {member.name}'s; `tidegate team key` makes a new one."
            )
        proof = "API key"
    if proof is None:
        raise NotAllowedError(_how(member, question))
    log.info("%s may %s. Proof: %s.", member.name, question.act, proof)
    return Approved(member.name, member.email, proof)


def _member(team: Team, by: str, act: Act) -> Member:
    roles = ROLES[act]
    member, may = team.person(by), ", ".join(team.having(*roles)) or "nobody"
    if member is None:
        raise NotAllowedError(f"{by} is nobody in team.yaml. Who may {act}: {may}.")
    if not member.roles & set(roles):
        raise NotAllowedError(f"{by} is no {' or '.join(roles)}. Who may {act}: {may}.")
    return member


def _require_another(member: Member, release: str, makers: frozenset[str]) -> None:
    """Two pairs of eyes: who made a release does not approve it, and whose maker is unknown nobody does."""
    if not makers:
        raise NotAllowedError(
            f"promote.two_pairs_of_eyes is on, and nothing says who made release {release}. Name yourself with "
            "`git config user.name` and user.email, and make it anew."
        )
    if {name.casefold() for name in makers} & {member.name.casefold(), member.email.casefold()}:
        raise NotAllowedError(
            f"promote.two_pairs_of_eyes is on, and {member.name} made release {release}. Let another approver decide."
        )


def _typed(member: Member) -> str | None:
    """The key as somebody types it, unseen; None where there is no terminal."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    from getpass import getpass

    return getpass(f"API key of {member.name} (not shown; empty: none): ").strip() or None


def _how(member: Member, question: Question) -> str:
    sign = f"git -c gpg.format=ssh -c user.signingKey=~/.ssh/id_ed25519.pub tag -s -m ok {question.tag}"
    lacking = "" if member.signing_key else f" (and put {member.name}'s signing_key into team.yaml)"
    since = f", younger than {question.since:%Y-%m-%d %H:%M:%S} UTC" if question.since else ""
    return (
        f"{member.name} has to prove it is them. Either give their API key in the environment variable {KEY}, or let "
        f"them sign a tag{since}{lacking}, and fetch it here:\n  {sign}"
    )


def _signed(member: Member, question: Question) -> str | None:
    """What the signed tag proves; None where there is none. Raises NotAllowedError where there is one that is no good.

    Git is told of this person's key alone, and of no other kind of signature. The tag's own name counts, not that of
    the reference: anybody can give an old signature a new reference.
    """
    content = asked("cat-file", "tag", f"refs/tags/{question.tag}")
    if content is None:
        return None
    if member.signing_key is None:
        raise NotAllowedError(f"There is a tag {question.tag}, but team.yaml has no signing_key of {member.name}.")
    head = content.partition("\n\n")[0]
    time = re.search(r"^tagger .* (\d+) [+-]\d{4}$", head, re.MULTILINE)
    if f"\ntag {question.tag}\n" not in f"{head}\n" or time is None:
        raise NotAllowedError(f"The tag {question.tag} was signed under another name. It proves nothing here.")
    _verify(member, question.tag)
    if question.since and datetime.fromtimestamp(int(time[1]), UTC) <= question.since:
        raise NotAllowedError(f"The tag {question.tag} is of an earlier decision. Delete it. {_how(member, question)}")
    return f"tag {question.tag}, signed with the SSH key of {member.name}"


def _verify(member: Member, tag: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        signers = Path(folder, "allowed_signers")
        signers.write_text(f'{member.email} namespaces="git" {member.signing_key}\n', encoding="utf-8")
        own = {"gpg.ssh.allowedSignersFile": str(signers), "gpg.ssh.program": "ssh-keygen", "gpg.program": "false"}
        settings = [part for name, value in own.items() for part in ("-c", f"{name}={value}")]
        try:
            git(*settings, "-c", "gpg.x509.program=false", "verify-tag", tag)
        except TidegateError as error:
            reason = str(error).rpartition("was refused: ")[2] or "it bears no signature"
            raise NotAllowedError(f"The tag {tag} is not signed with {member.name}'s key: {reason}") from None
