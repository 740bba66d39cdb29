"""The block `housekeeping` of params.yaml: one per project."""

from pydantic import Field

from tasks.core.settings import PARAMS, Settings, parse, read_params


class HousekeepingSettings(Settings, block="housekeeping"):
    """How long this machine keeps what nobody else deletes. The prediction log has its own `serving.log.keep_days`."""

    report_days: int = Field(14, ge=1, description="reports of the monitor; those of confirmed drift as observations")
    observation_days: int = Field(180, ge=1, description="what the monitor found: the history on the ops page")
    alert_days: int = Field(365, ge=1, description="alerts that are over")
    dialogue_days: int = Field(90, ge=1, description="dialogues of customers in which nothing was said since")
    run_days: int = Field(30, ge=1, description="runs in Prefect's database, with their logs")
    checkpoint_days: int = Field(7, ge=1, description="checkpoints of broken trainings, which then start anew")
    dvc_cache: bool = Field(
        True, description="drop versions from DVC's cache that no tag, branch, experiment or working tree names"
    )


def load_housekeeping() -> HousekeepingSettings:
    """The block `housekeeping` of params.yaml; all defaults where there is none. Raises SettingsError."""
    content = read_params().get(HousekeepingSettings.block) if PARAMS.exists() else None
    return parse(HousekeepingSettings, content, HousekeepingSettings.block)
