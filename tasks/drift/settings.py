"""The block `lines.<line>.monitor` of params.yaml."""

from typing import Literal

from pydantic import Field, field_validator

from tasks.core.settings import Settings

Name = Literal[
    "length", "language", "characters", "tokens", "unknown", "text", "embedding", "prediction", "confidence",
    "performance", "click_through",
]  # fmt: skip
"""The checks that are tests; they share the false alarms among them. The last is made of lists alone."""

LIMITS: dict[Name, float] = {
    "length": 0.05, "language": 0.02, "characters": 0.05, "tokens": 0.05, "unknown": 0.05, "text": 0.51,
    "embedding": 0.51, "prediction": 0.05, "confidence": 0.05, "performance": 0.02,
    "click_through": 0.01,
}  # fmt: skip
"""The smallest effect that matters. 0.05: one row in twenty would have to change. An AUC of 0.51: two windows whose
rows nobody tells apart have 0.5, and one with a tenth of its rows from elsewhere has 0.51 to 0.54 at 500 rows."""


class MonitorSettings(Settings, block="monitor"):
    """What is watched of a line's live traffic, and when somebody is told."""

    window: str = Field(
        "1d",
        pattern=r"^[1-9][0-9]*[mhdw]$",
        description="the current window reaches back so far: a number and m, h, d or w",
    )
    min_rows: int = Field(100, ge=20, description="fewer rows in a window are not judged")
    sample_rows: int = Field(20_000, ge=500, le=100_000, description="rows at most for checks of texts and embeddings")
    false_alarms: float = Field(0.05, gt=0, lt=0.5, description="share of windows without drift that may look like it")
    limits: dict[Name, float] = Field(
        {}, description="the smallest effect of a check that matters, however many rows show it; defaults in LIMITS"
    )
    warning_cost: float = Field(0.02, ge=0, le=1, description="accuracy lost from which drift is a warning")
    severe_cost: float = Field(0.1, ge=0, le=1, description="accuracy lost from which nobody waits for a second window")
    seed: int = Field(0, ge=0, description="of samples and permutations")

    @field_validator("limits")
    @classmethod
    def _within_reach(cls, limits: dict[Name, float]) -> dict[Name, float]:
        for name, limit in limits.items():
            low = 0.5 if name in ("text", "embedding") else 0.0
            if not low <= limit < 1:
                raise ValueError(f"{name} must be from {low:g} up to but without 1, got {limit:g}")
        return limits

    def limit(self, name: Name) -> float:
        """The smallest effect that matters of a check."""
        return self.limits.get(name, LIMITS[name])
