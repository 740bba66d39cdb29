"""How one process serves: params.yaml, and what the command line says otherwise."""

from dataclasses import dataclass, replace
from typing import Any

from serving.settings import ServingSettings
from tasks.core.settings import parse


@dataclass(frozen=True)
class Options:
    """What a command asked for. The last three are between a supervisor and its child."""

    settings: ServingSettings
    lines: tuple[str, ...] = ()
    """Only these; all where there are none."""
    log: bool = True
    """Whether there is a prediction log."""
    keys: bool = True
    """Whether team.yaml is heeded."""
    listener: int | None = None
    """File descriptor of the socket."""
    ready: int | None = None
    """File descriptor that is written to once requests are accepted."""
    only_ready: bool = False
    """End instead of serving without a release."""

    def having(self, **changes: Any) -> "Options":
        """These options with other settings; None changes nothing. Raises SettingsError on a wrong value."""
        given = {name: value for name, value in changes.items() if value is not None}
        return replace(self, settings=parse(ServingSettings, self.settings.model_dump() | given, "serving"))

    def arguments(self) -> list[str]:
        """The arguments of `python -m serving` that a child needs to serve the same; the rest it reads as this did."""
        settings = self.settings
        found = ["--folder", settings.folder, "--host", settings.host, "--port", str(settings.port)]
        found += ["--lines", *self.lines] if self.lines else []
        return found + ["--no-log"] * (not self.log) + ["--keyless"] * (not self.keys)
