"""The block `lines.<line>.monitor` of params.yaml."""

from pydantic import Field

from tasks.core.settings import Settings


class MonitorSettings(Settings, block="monitor"):
    """What is watched of a line's live traffic, and when somebody is told."""

    window: str = Field("1d", pattern=r"^[1-9][0-9]*[mhdw]$", description="the current window reaches back so far")
    min_rows: int = Field(100, ge=20, description="fewer rows in a window are not judged")
    sample_rows: int = Field(20_000, ge=500, le=100_000, description="rows at most for checks of texts and embeddings")
    false_alarms: float = Field(0.05, gt=0, lt=0.5, description="share of windows without drift that may look like it")
    seed: int = Field(0, ge=0, description="of samples and permutations")
