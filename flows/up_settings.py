"""The block `up` of params.yaml: one per project, every value with a default."""

from pydantic import Field

from tasks.core.settings import Settings, parse, read_params


class UpSettings(Settings, block="up"):
    """What `tidegate up` starts, beside what the blocks of service and ops page say."""

    prefect_port: int = Field(
        4200, ge=0, le=65535, description="of Prefect's server and page, on loopback; 0 lets the system choose"
    )
    ready_seconds: float = Field(180, gt=0, description="until everything answers; later than that is told")
    chat: bool = Field(False, description="the chat page of each product of kind answer as well")
    watch_minutes: float = Field(5, gt=0, description="between two looks at failed and missed runs")
    log_megabytes: float = Field(10, gt=0, description="of each program's log; three older ones are kept")


def load_up() -> UpSettings:
    """The block of params.yaml; all defaults where there is none. Raises SettingsError that lists every error in it."""
    return parse(UpSettings, read_params().get(UpSettings.block), UpSettings.block)
