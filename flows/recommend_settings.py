"""The block `recommend` of params.yaml: the page of lines that recommend. One per project, all with a default."""

from pathlib import Path

from pydantic import Field

from flows.web.settings import PageSettings
from tasks.core.settings import PARAMS, parse, read_params


class RecommendSettings(PageSettings, block="recommend"):
    """The page on which staff see what a release recommends to a user, and why."""

    port: int = Field(8093, ge=0, le=65535, description="0 lets the system choose")
    threads: int = Field(1, ge=1, le=256, description="that compute a list")


def load_recommend(path: Path = PARAMS) -> RecommendSettings:
    """The block `recommend`; all defaults where there is none. Raises SettingsError that lists every error in it."""
    content = read_params(path).get(RecommendSettings.block) if path.exists() else None
    return parse(RecommendSettings, content, RecommendSettings.block)
