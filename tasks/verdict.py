"""The verdict of a gate: checks with value, limit and outcome, as JSON beside the evidence."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from tasks.core.errors import RejectedError, StageError
from tasks.core.files import read_json, write_json

SCHEMA = 2  # 1 knew no `cannot tell` and no intervals; it is read as it is

Outcome = Literal["pass", "reject", "warn", "cannot tell"]
"""`warn` and `cannot tell` let through: the one is a miss that does not count, the other lacks the rows to say."""

COLUMNS = ("outcome", "check", "value", "interval", "limit", "rows", "note")
"""The columns of a table of checks, wherever it is shown."""


class Check(BaseModel):
    """One check: what was measured, its limits, and what follows."""

    model_config = ConfigDict(frozen=True)

    name: str
    value: float | int | str | None
    min: float | None = None
    max: float | None = None
    low: float | None = None
    """Lower end of the interval of `value`."""
    high: float | None = None
    """Upper end of the interval of `value`."""
    p: float | None = None
    """Of the value or a worse one where the truth is at its limit, corrected for the checks that were made together."""
    rows: int | None = None
    rows_needed: int | None = None
    """Rows that would tell, about, where `rows` cannot."""
    outcome: Outcome
    note: str = ""

    def sentence(self) -> str:
        """The check in words.

        Without an interval `accuracy is 0.812, at least 0.83 is needed`; with one `slice length 25+: accuracy 0.81
        (0.77 to 0.84) on 320 rows, floor 0.83: cannot tell, about 900 rows would`.
        """
        noted = f" ({self.note})" if self.note else ""
        value = f"{self.value:.4g}" if isinstance(self.value, float) else str(self.value)
        if self.low is not None and self.high is not None:
            limits = (("floor", self.min), ("ceiling", self.max))
            bounds = "".join(f", {words} {bound:g}" for words, bound in limits if bound is not None)
            would = f", about {_about(self.rows_needed)} rows would" if self.rows_needed else ""
            span = f"({self.low:.3g} to {self.high:.3g}) on {number(self.rows)} rows"
            return f"{self.name} {value} {span}{bounds}: {self.outcome}{would}{noted}"
        limits = (("at least", self.min), ("at most", self.max))
        needs = [f"{words} {bound:g}" for words, bound in limits if bound is not None]
        needed = f", {' and '.join(needs)} is needed" if needs else ""
        return f"{self.name} is {value}{needed}{noted}"

    def cells(self) -> dict[str, str]:
        """The check as a row of a table: text by COLUMNS."""
        limits = [f"{sign} {bound:.4g}" for sign, bound in (("≥", self.min), ("≤", self.max)) if bound is not None]
        would = f"about {_about(self.rows_needed)} rows would tell" if self.rows_needed else ""
        odds = f"p {self.p:.2g}, corrected for all slices" if self.p is not None and self.outcome == "reject" else ""
        return {
            "outcome": self.outcome,
            "check": self.name,
            "value": number(self.value),
            "interval": "" if self.low is None or self.high is None else f"{number(self.low)} to {number(self.high)}",
            "limit": " and ".join(limits),
            "rows": number(self.rows),
            "note": "; ".join(filter(None, [self.note, odds, would])),
        }


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

    def count(self, outcome: Outcome) -> int:
        """How many checks have this outcome."""
        return sum(check.outcome == outcome for check in self.checks)

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Head and rows of the table of checks, without the columns that say nothing."""
        cells = [check.cells() for check in self.checks]
        head = [name for name in COLUMNS if any(row[name] not in ("", "–") for row in cells)]
        return head, [[row[name] for name in head] for row in cells]


def _about(rows: int) -> str:
    """A number of rows, rounded up to two digits: more would claim too much."""
    step = 10 ** max(0, len(str(rows)) - 2)
    return f"{-(-rows // step) * step:,}"


def number(value: Any) -> str:
    """A value as tables show it: four decimals, a dash for what is not there."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) < 10 else f"{value:,.1f}"
    return str(value)


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
