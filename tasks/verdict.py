"""The verdict of a gate: checks with value, limit and outcome, as JSON beside the evidence."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from tasks.core.errors import RejectedError, StageError
from tasks.core.files import read_json, write_json

SCHEMA = 1

Outcome = Literal["pass", "reject", "warn"]


class Check(BaseModel):
    """One check: what was measured, its limits, and what follows."""

    model_config = ConfigDict(frozen=True)

    name: str
    value: float | int | str | None
    min: float | None = None
    max: float | None = None
    rows: int | None = None
    outcome: Outcome
    note: str = ""

    def sentence(self) -> str:
        """The check in words: `accuracy is 0.812, at least 0.83 is needed`."""
        value = f"{self.value:.4g}" if isinstance(self.value, float) else str(self.value)
        limits = (("at least", self.min), ("at most", self.max))
        needs = [f"{words} {bound:g}" for words, bound in limits if bound is not None]
        needed = f", {' and '.join(needs)} is needed" if needs else ""
        return f"{self.name} is {value}{needed}{f' ({self.note})' if self.note else ''}"


class Verdict(BaseModel):
    """`reject` when any check rejects. `details` holds what else a gate has to say."""

    model_config = ConfigDict(frozen=True)

    gate: str
    verdict: Literal["pass", "reject"]
    checks: list[Check]
    details: dict[str, Any] = {}
    schema_version: int = SCHEMA

    @classmethod
    def of(cls, gate: str, checks: list[Check], **details: Any) -> "Verdict":
        """The verdict that follows from the checks: one that rejects is enough."""
        rejected = any(check.outcome == "reject" for check in checks)
        return cls(gate=gate, verdict="reject" if rejected else "pass", checks=checks, details=details)

    def rejections(self) -> list[str]:
        """One sentence per check that rejects."""
        return [check.sentence() for check in self.checks if check.outcome == "reject"]


def limit(
    name: str, value: float | int | None, low: float | None, high: float | None, rows: int | None = None
) -> Check:
    """A check of a number against its limits; a number that could not be had (None) rejects."""
    inside = value is not None and (low is None or value >= low) and (high is None or value <= high)
    return Check(name=name, value=value, min=low, max=high, rows=rows, outcome="pass" if inside else "reject")


def write(path: Path, verdict: Verdict) -> None:
    """Write `verdict.json`."""
    write_json(path, verdict.model_dump(mode="json"))


def read(path: Path) -> Verdict:
    """Read `verdict.json`; raises StageError when a newer program wrote it."""
    content = read_json(path)
    if content.get("schema_version", 0) > SCHEMA:
        raise StageError(f"{path} has schema version {content['schema_version']}, this program knows {SCHEMA}. Update.")
    return Verdict.model_validate(content)


def require(path: Path) -> Verdict:
    """The verdict at `path`; raises RejectedError with the failed checks when it is `reject`."""
    verdict = read(path)
    if verdict.verdict == "reject":
        raise RejectedError(
            f"{verdict.gate} rejects: {'; '.join(verdict.rejections())}. The evidence is in {path.parent}."
        )
    return verdict
