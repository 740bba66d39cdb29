"""A line and where its files are: paths follow from line and stage name, nothing configures them."""

import re
from dataclasses import dataclass
from pathlib import Path

from tasks.core.errors import SettingsError

STATE = Path(".tidegate")
"""State of the world on this machine, made by no stage and ignored by git."""


@dataclass(frozen=True)
class Line:
    """One model for one task. Paths are relative to the project's root, which is the working directory."""

    name: str
    kind: str = "classify"

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.name):
            raise SettingsError(
                f"A line's name was given as {self.name!r}; allowed are lower-case letters, digits and _, "
                "with a letter first."
            )

    @property
    def folder(self) -> Path:
        """`data/<line>`"""
        return Path("data", self.name)

    @property
    def inbox(self) -> Path:
        """`data/<line>/inbox`, the immutable batches of raw input."""
        return self.folder / "inbox"

    def file(self, stage: str, name: str) -> Path:
        """A file that a stage wrote: `data/<line>/<stage>/<name>`."""
        return self.folder / stage / name
