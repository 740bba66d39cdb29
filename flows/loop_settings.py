"""The block `lines.<line>.loop` of params.yaml."""

from pydantic import Field

from tasks.core.settings import Settings


class LoopSettings(Settings, block="loop"):
    """What happens when drift is confirmed."""

    retrain: bool = Field(False, description="a confirmed drift that costs accuracy starts the release flow by itself")
    cool_down_hours: float = Field(24, ge=0, description="between the end of one attempt and the start of the next")
    per_week: int = Field(2, ge=1, description="attempts in seven days at most")
    stop_after: int = Field(3, ge=1, description="rejected attempts in a row, after which a person must look")
