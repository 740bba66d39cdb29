"""Proposals that wait for a human: `.tidegate/approvals/<line>/<release>.json`. Nothing runs and no lock is held while
they wait; the command, the Prefect form and the ops page write the same record.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from flows.record import Compared, now, one_line
from tasks.core.errors import RejectedError, StageError
from tasks.core.files import read_json, write_json
from tasks.core.line import STATE, Line

FOLDER = STATE / "approvals"
SCHEMA = 1

State = Literal["waiting", "yes", "no", "expired"]


class Decided(BaseModel):
    """What a person decided."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    yes: bool
    by: str
    why: str
    proof: str
    time: str


class Proposal(BaseModel):
    """A release that was proposed for promotion."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_version: int = SCHEMA
    line: str
    release: str
    by: str
    """Who or what proposed it."""
    time: str
    expires: str
    comparison: Compared | None
    """None where there was no champion."""
    decided: Decided | None = None

    @property
    def state(self) -> State:
        """What holds now: a decision, or once the time is over none, which means no."""
        if self.decided is not None:
            return "yes" if self.decided.yes else "no"
        return "waiting" if datetime.now(UTC) < datetime.fromisoformat(self.expires) else "expired"

    def require_open(self) -> None:
        """Raise RejectedError where it was declined or nobody decided in time."""
        again = f"`tidegate propose {self.line} {self.release}` proposes it again."
        if self.state == "expired":
            raise RejectedError(
                f"Release {self.release} of {self.line} was proposed on {self.time}, and nobody decided until "
                f"{self.expires}: that means no. {again}"
            )
        if self.decided is not None and not self.decided.yes:
            raise RejectedError(
                f"{self.decided.by} declined release {self.release} of {self.line} on {self.decided.time}: "
                f"{self.decided.why}. {again}"
            )

    def text(self) -> str:
        """What an approver is told, in Markdown."""
        found = self.comparison
        grounds = f"Against {found.champion}: {found.sentence}" if found else "There is no champion to compare with."
        return (
            f"Release **{self.release}** of {self.line} waits for an approver until {self.expires}; after that it "
            f"counts as declined.\n\n{grounds}\n\n"
            f"- Yes: `tidegate promote {self.line} {self.release} --by NAME --why TEXT`\n"
            f"- No: `tidegate reject {self.line} {self.release} --by NAME --why TEXT`\n"
            "- Or run the deployment `approve` with its form.\n"
        )


def read(line: str, release: str) -> Proposal | None:
    """The proposal of a release; None where there is none. Raises StageError where its record is broken."""
    path = _path(line, release)
    try:
        found = Proposal.model_validate(read_json(path))
    except FileNotFoundError:
        return None
    except (ValueError, ValidationError) as error:
        raise StageError(f"{path} is broken ({str(error).splitlines()[0]}). Delete it, and propose again.") from None
    if found.schema_version > SCHEMA:
        raise StageError(f"{path} has schema version {found.schema_version}; this program knows {SCHEMA}. Update.")
    return found


def proposals(line: str) -> list[Proposal]:
    """All proposals of a line, the newest first."""
    found = [read(line, path.stem) for path in (FOLDER / line).glob("*.json") if not path.name.startswith(".")]
    return sorted(filter(None, found), key=lambda proposal: proposal.time, reverse=True)


def propose(line: Line, release: str, by: str, hours: float, comparison: Compared | None) -> Proposal:
    """Write that a release waits for an approver for so many hours, in the place of any earlier proposal of it."""
    expires = datetime.now(UTC) + timedelta(hours=hours)
    made = Proposal(
        line=line.name, release=release, by=one_line(by), time=now(), comparison=comparison,
        expires=expires.isoformat(timespec="seconds"),
    )  # fmt: skip
    _write(made)
    return made


def decide(proposal: Proposal, by: str, why: str, yes: bool, proof: str) -> Proposal:
    """Write a decision. Raises RejectedError where it was declined before, or the time is over."""
    proposal.require_open()
    decided = Decided(yes=yes, by=by, why=one_line(why), proof=proof, time=now())
    made = proposal.model_copy(update={"decided": decided})
    _write(made)
    return made


def _write(proposal: Proposal) -> None:
    write_json(_path(proposal.line, proposal.release), proposal.model_dump(mode="json"))


def _path(line: str, release: str) -> Path:
    return FOLDER / line / f"{release}.json"
