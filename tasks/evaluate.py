"""Stage evaluate: what the trained checkpoint is worth on rows it never saw."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from tasks.core.line import Line
from tasks.core.settings import Settings
from tasks.core.stage import run_stage
from tasks.kinds import load
from tasks.scope import ScopeSettings


class EvaluateSettings(Settings, block="evaluate"):
    """How a checkpoint is measured."""

    batch_size: int = Field(64, ge=1, le=4096, description="Texts per forward pass; texts of like length go together.")
    calibration: Literal["auto", "temperature", "vector", "isotonic"] = Field(
        "auto", description="Method. auto: temperature, unless another is clearly better on validation."
    )
    calibration_bins: int = Field(15, ge=2, le=100, description="Equal-mass bins of the calibration error.")
    draws: int = Field(1000, ge=100, le=10_000, description="Resamples of the F1 interval and of the calibration band.")
    seed: int = Field(0, ge=0, description="Seed of the resamples and of the folds that choose a calibration.")
    length_unit: Literal["words", "characters"] = Field(
        "words", description="What the length slices count; characters for scripts without spaces."
    )
    length_edges: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (10, 25), max_length=20, description="Where one length slice ends and the next begins, rising."
    )

    scope: ScopeSettings | None = Field(
        None, description="How a text is known that has none of the labels; null: every text gets a label."
    )
    cases: int = Field(60, ge=1, le=10_000, description="Most cases of one behaviour test; more are drawn by the seed.")

    @field_validator("length_edges")
    @classmethod
    def _rising(cls, edges: tuple[int, ...]) -> tuple[int, ...]:
        if list(edges) != sorted(set(edges)):
            raise ValueError("length_edges must rise, e.g. [10, 25]")
        return edges


def evaluate(line: Line, settings: EvaluateSettings, out: Path) -> None:
    """Measure train's checkpoint on split/test.parquet, with a calibration fitted on split/validation.parquet.

    Runs the behaviour tests of data/<line>/behaviour.yaml as well, and with `scope` fits a threshold by
    split/out_of_scope.parquet, which stands beside the calibration. Writes metrics.json, calibration.json,
    predictions.parquet (test rows), validation.parquet (the same of the validation rows), behaviour.parquet (a row per
    case), contract.json (order of the labels and digests of token ids, which an export must keep), and the plots
    confusion.csv, reliability.csv, confusion.png and reliability.png.
    """
    load(line.kind, "metrics").evaluate(line, settings, out)


if __name__ == "__main__":
    run_stage(evaluate)
