"""Stage release_gate: which ONNX variants may be released, judged in the runtime that serves them."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from tasks import verdict
from tasks.core.files import read_json, write_json, write_text
from tasks.core.line import Line
from tasks.core.settings import Settings
from tasks.core.stage import run_stage
from tasks.examination import Examination, page, write_rows
from tasks.inference import Model, read_signature
from tasks.kinds import load
from tasks.timings import timings
from tasks.verdict import Check, Verdict

log = logging.getLogger("tidegate")

REFERENCE = "fp32"
PARITY = {f"{REFERENCE}.{check}" for check in ("agreement", "gap_p95", "similarity_gap_p95", "accuracy_drop")}
"""Where these fail the export itself is wrong, and no variant made from it may go out."""


class VariantLimits(BaseModel):
    """Limits of one variant. Never on the largest gap: in int8 single rows move far, and mean nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    agreement_min: float = Field(ge=0, le=1, description="Share of test rows with the torch model's label.")
    gap_p95_max: float = Field(ge=0, le=1, description="95% point of the gap to the torch model's probabilities.")
    similarity_gap_p95_max: float | None = Field(
        None, ge=0, le=2, description="Kind retrieve: 95% point of the gap to torch's cosines; null: no limit."
    )
    accuracy_min: float | None = Field(None, ge=0, le=1, description="Test accuracy.")
    accuracy_drop_max: float = Field(ge=-1, le=1, description="Test accuracy lost against the torch model.")
    scope_drop_max: float = Field(
        0.05, ge=-1, le=1, description="Of scope.recall and scope.accuracy, lost against the torch model."
    )
    alone_gap_p95_max: float = Field(ge=0, le=1, description="95% point of the gap alone against in a batch.")
    size_mb_max: float = Field(gt=0, description="Megabytes (10^6 bytes) of the file.")


class ReleaseGateSettings(Settings, block="release_gate"):
    """What a variant must show before it may be released."""

    fp32: VariantLimits = Field(
        VariantLimits(
            agreement_min=0.999, gap_p95_max=0.001, accuracy_drop_max=0.002, alone_gap_p95_max=0.001, size_mb_max=2000
        ),
        description="Limits of the fp32 variant, which differs from torch by rounding alone.",
    )
    int8: VariantLimits = Field(
        VariantLimits(
            agreement_min=0.96, gap_p95_max=0.15, accuracy_drop_max=0.01, alone_gap_p95_max=0.15, size_mb_max=500
        ),
        description="Limits of the int8 variant.",
    )
    calibration_bins: int = Field(15, ge=2, le=100, description="Equal-mass bins of the calibration error.")
    calibration_slack: float = Field(0.0, ge=0, le=1, description="Calibration error allowed beyond the band.")
    draws: int = Field(1000, ge=100, le=10_000, description="Draws of the perfectly calibrated model's band.")
    seed: int = Field(0, ge=0, description="Seed of those draws.")
    rows_per_check: int = Field(100, ge=1, le=10_000, description="Rows in rows.parquet for a check that fails.")


def release_gate(line: Line, settings: ReleaseGateSettings, out: Path) -> None:
    """Judge every exported variant on split/test.parquet against the torch model's stored answers.

    Writes verdict.json (`details.admissible`: variants whose checks all pass), rows.parquet (for each check that fails
    the rows to look at, tasks.examination.ROWS) and gate.html, also when it rejects, and timings.json, on which nothing
    depends.
    """
    kind = load(line.kind, "gates")
    signature, tokenizer = read_signature(line.file("export", "signature.json")), line.file("train", "tokenizer.json")
    truth = kind.measured(line, signature)
    shared = kind.contract(signature, tokenizer, read_json(line.file("evaluate", "contract.json")), truth, settings)
    found: dict[str, Examination] = {}
    if all(check.outcome == "pass" for check in shared.checks):
        found = {variant: _judged(line, kind, variant, truth, settings) for variant in sorted(signature.variants)}
    decided = decide({variant: part.checks for variant, part in found.items()}, shared.checks)
    verdict.write(out / "verdict.json", decided)
    write_rows(out / "rows.parquet", [shared, *found.values()])
    write_text(out / "gate.html", _page(line, decided, list(found.values())))
    for check in decided.checks:
        log.info("%s: %s", check.outcome, check.sentence())
    write_json(out / "timings.json", timings(line, signature, truth.texts) if found else {})


def _judged(line: Line, kind: ModuleType, variant: str, truth: Any, settings: ReleaseGateSettings) -> Examination:
    """The kind's checks of one variant, and the size of its file."""
    limits: VariantLimits = getattr(settings, variant)
    signature = read_signature(line.file("export", "signature.json"))
    model = Model.open(line.folder / "export/variants", line.file("train", "tokenizer.json"), signature, variant)
    examined: Examination = kind.checks(model, truth, limits, settings)
    size = verdict.limit(f"{variant}.size_mb", _megabytes(model), None, limits.size_mb_max)
    return replace(examined, checks=[*examined.checks, size])


def decide(checks: Mapping[str, list[Check]], shared: Sequence[Check] = ()) -> Verdict:
    """The verdict on all variants: one that fails a check is dropped, and the rest may be released.

    `reject` when none is left, when fp32 does not answer like the torch model, or when a check of what all share fails.
    """
    admissible = sorted(name for name, own in checks.items() if all(check.outcome == "pass" for check in own))
    every = [check for own in checks.values() for check in own]
    if admissible:
        every = [
            _dropped(check) if check.outcome == "reject" and check.name not in PARITY else check for check in every
        ]
    decided = Verdict.of("release_gate", [*shared, *every])
    return decided.model_copy(update={"details": {"admissible": admissible if decided.verdict == "pass" else []}})


def _dropped(check: Check) -> Check:
    note = f"{check.note}; " if check.note else ""
    return check.model_copy(update={"outcome": "warn", "note": f"{note}{check.name.split('.')[0]} is not released"})


def _megabytes(model: Model) -> float:
    return model.signature.variants[model.variant].size / 1e6


def _page(line: Line, decided: Verdict, examinations: list[Examination]) -> str:
    admissible = ", ".join(decided.details["admissible"]) or "none"
    accuracy = read_json(line.file("evaluate", "metrics.json")).get("accuracy")
    summary = f"Variants that may be released: {admissible}."
    if not examinations:
        summary += " None was measured: each would read texts, or name its answers, otherwise than the torch model did."
    if isinstance(accuracy, float):
        summary += f" The torch model's test accuracy is {accuracy:.4f}."
    return page(f"{line.name}: release gate", summary, decided, examinations)


if __name__ == "__main__":
    run_stage(release_gate)
