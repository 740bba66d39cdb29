"""The block `ops` of params.yaml: one per project, every value with a default."""

from pathlib import Path

from pydantic import Field

from flows.web.settings import PageSettings
from tasks.core.settings import PARAMS, parse, read_params


class OpsSettings(PageSettings, block="ops"):
    """The page that ops staff look at."""

    port: int = Field(8700, ge=0, le=65535, description="0 lets the system choose")


def load_ops(path: Path = PARAMS) -> OpsSettings:
    """The block `ops`; all defaults where there is none. Raises SettingsError that lists every error in it."""
    return parse(OpsSettings, read_params(path).get(OpsSettings.block) if path.exists() else None, OpsSettings.block)
