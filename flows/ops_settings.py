"""The block `ops` of params.yaml: one per project, every value with a default."""

from pathlib import Path

from pydantic import Field

from tasks.core.settings import PARAMS, Settings, parse, read_params


class OpsSettings(Settings, block="ops"):
    """The page that ops staff look at."""

    host: str = Field("127.0.0.1", description="other than loopback only with a team.yaml")
    port: int = Field(8700, ge=0, le=65535, description="0 lets the system choose")
    session_hours: float = Field(12, gt=0, le=168, description="after which one signs in again")
    logins_per_minute: int = Field(10, ge=1, description="attempts to sign in, from one address")


def load_ops(path: Path = PARAMS) -> OpsSettings:
    """The block `ops`; all defaults where there is none. Raises SettingsError that lists every error in it."""
    return parse(OpsSettings, read_params(path).get(OpsSettings.block) if path.exists() else None, OpsSettings.block)
