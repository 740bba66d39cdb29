"""The block `alerts` of params.yaml: one per project."""

from zoneinfo import ZoneInfo

from pydantic import Field, field_validator

from tasks.core.settings import PARAMS, Settings, parse, read_params

URLS = "TIDEGATE_ALERT_URLS"
"""Environment variable with apprise URLs, separated by spaces or line ends: they hold secrets."""


class AlertSettings(Settings, block="alerts"):
    """Who is told, and when not."""

    quiet: str | None = Field(
        None,
        pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]$",
        description="hours in which only severe alerts are sent, e.g. 22:00-07:00; the others follow afterwards",
    )
    timezone: str = Field("UTC", description="of the quiet hours, e.g. Europe/Berlin")
    missed_after_hours: float = Field(
        3, gt=0, description="a line that was looked at before, and then for so long not, has lost its monitor"
    )
    late_minutes: float = Field(20, gt=0, description="a scheduled run that did not start by then was missed")

    @field_validator("quiet")
    @classmethod
    def _some_hours(cls, given: str | None) -> str | None:
        if given is not None and len(set(given.split("-"))) == 1:
            raise ValueError("begins and ends at the same minute; leave it out for no quiet hours")
        return given

    @field_validator("timezone")
    @classmethod
    def _known(cls, given: str) -> str:
        try:
            ZoneInfo(given)
        except (ValueError, OSError, KeyError):  # of a name that is none, of a folder, of one that is unknown
            raise ValueError("is no time zone of the tz database, such as UTC or Europe/Berlin") from None
        return given


def load_alerts() -> AlertSettings:
    """The block `alerts` of params.yaml; all defaults where there is none. Raises SettingsError."""
    return parse(AlertSettings, read_params().get("alerts") if PARAMS.exists() else None, AlertSettings.block)
