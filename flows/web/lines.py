"""The lines and products of params.yaml, as pages know them."""

import logging
from dataclasses import dataclass
from pathlib import Path

from flows.settings import LineSettings, load, products
from tasks.core.errors import TidegateError
from tasks.core.settings import PARAMS
from tasks.products import Product

log = logging.getLogger("tidegate")


@dataclass(frozen=True)
class Named:
    """A line, and what people call it."""

    name: str
    title: str
    settings: LineSettings


class Lines:
    """Reads params.yaml again when it changes; a broken file leaves the last lines in force."""

    def __init__(self) -> None:
        """Raises SettingsError where params.yaml is wrong."""
        self._seen = 0
        self._lines: dict[str, Named] = {}
        self.products: dict[str, Product] = {}
        self._lines = self._load()

    def __call__(self) -> dict[str, Named]:
        """The lines, by name."""
        if _changed(PARAMS) != self._seen:
            try:
                self._lines = self._load()
            except TidegateError as error:
                log.error("params.yaml changed and cannot be read; the lines of before are shown. %s", error)
        return self._lines

    def _load(self) -> dict[str, Named]:
        self._seen = _changed(PARAMS)
        self.products = products()
        return {name: Named(name, settings.release.title or name, settings) for name, settings in load().items()}


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
