"""The block `alerts` of params.yaml: one per project."""

from pydantic import Field

from tasks.core.settings import Settings

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
