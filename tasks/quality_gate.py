"""Stage quality_gate: examinations of the trained model, and the verdict that export asks for."""

from pathlib import Path

from pydantic import Field

from tasks import verdict
from tasks.core.files import write_text
from tasks.core.line import Line
from tasks.core.settings import Settings
from tasks.core.stage import run_stage
from tasks.evaluate import EvaluateSettings
from tasks.examination import page, write_rows
from tasks.kinds import load
from tasks.label_noise import LabelNoiseSettings
from tasks.leakage import LeakageSettings
from tasks.limits import CheckSettings
from tasks.slices import SliceSettings
from tasks.text import TextSettings
from tasks.verdict import Verdict
from tasks.worst import WorstSettings


class QualityGateSettings(Settings, block="quality_gate"):
    """What a trained model must show before it is exported."""

    checks: tuple[CheckSettings, ...] = Field(min_length=1, description="Limits of single figures of metrics.json.")
    sources: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="Slices, worst slices and Brier score are about rows of these alone, so that a source which comes "
        "later, such as live traffic, moves no limit; null: all. Others get floors by slices whose `where` names them.",
    )
    slices: tuple[SliceSettings, ...] = Field((), description="Floors under slices of the test rows.")
    worst_slices: WorstSettings | None = Field(
        None, description="A floor under the slices that are worst on validation, judged on test."
    )
    level: float = Field(
        0.05, gt=0, lt=0.5, description="How often, at most, a model is rejected whose slices are all at their floors."
    )
    brier_max: float | None = Field(
        None,
        ge=0,
        le=2,
        description="Most of the Brier score: squared error of probabilities, summed over classes.",
    )
    leakage: LeakageSettings = Field(LeakageSettings(), description="Copies of judging rows in train.")
    label_noise: LabelNoiseSettings = Field(LabelNoiseSettings(), description="Test labels that the model doubts.")
    rows_per_check: int = Field(100, ge=1, le=10_000, description="Rows in rows.parquet for a check that rejects.")
    draws: int = Field(1000, ge=100, le=10_000, description="Bootstrap draws of a slice's F1.")
    seed: int = Field(0, ge=0, description="Seed of those draws.")


def quality_gate(
    line: Line, settings: QualityGateSettings, evaluated: EvaluateSettings, text: TextSettings, out: Path
) -> None:
    """Examine what evaluate measured. Writes verdict.json, rows.parquet and gate.html, also when it rejects.

    rows.parquet holds, for each check that rejects, the rows to look at (tasks.examination.ROWS); copies in train and
    doubtful labels stand there in any case.
    """
    kind = load(line.kind, "examine")
    subject = kind.subject(line, evaluated, text)
    examinations = [examine(subject, settings) for examine in kind.EXAMINATIONS]
    result = Verdict.of("quality_gate", [check for part in examinations for check in part.checks])
    verdict.write(out / "verdict.json", result)
    write_rows(out / "rows.parquet", examinations)
    write_text(out / "gate.html", page(f"{line.name}: quality gate", summary(result), result, examinations))


def summary(result: Verdict) -> str:
    """The verdict in a sentence or two."""
    rejecting, every = result.rejections(), len(result.checks)
    warning, untold = result.count("warn"), result.count("cannot tell")
    said = [f"{warning} of them {'warns' if warning == 1 else 'warn'}."] if warning else []
    said += [f"For {untold} the rows cannot tell."] if untold else []
    if not rejecting:
        first = f"None of {every} checks rejects the model." if said else f"All {every} checks let the model through."
        return " ".join([first, *said])
    more = [f"and {len(rejecting) - 3} more"] if len(rejecting) > 3 else []
    what = "; ".join(rejecting[:3] + more)
    return " ".join([f"{len(rejecting)} of {every} checks reject: {what}. Nothing is exported from this model.", *said])


if __name__ == "__main__":
    run_stage(quality_gate)
