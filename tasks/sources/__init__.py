"""Sources of raw data: one module a kind, each a settings block of `lines.<line>.sources` that can be read."""

from typing import Annotated, Any

from pydantic import Field, field_validator

from tasks.core.settings import Settings, parse
from tasks.sources.answers import AnswersSource
from tasks.sources.file import FileSource
from tasks.sources.http import HttpSource
from tasks.sources.huggingface import HuggingfaceSource
from tasks.sources.log import LogSource
from tasks.sources.package import PackageSource
from tasks.sources.rss import RssSource
from tasks.sources.sql import SqlSource

Source = Annotated[
    FileSource | PackageSource | SqlSource | HttpSource | RssSource | HuggingfaceSource | LogSource | AnswersSource,
    Field(discriminator="kind"),
]
"""Any source, told apart by `kind`. A new kind is one more module and its class here."""


class Sources(Settings):
    """The list `lines.<line>.sources`."""

    sources: list[Source] = Field(default=[], description="where raw data comes from")

    @field_validator("sources")
    @classmethod
    def _names_differ(cls, sources: list[Source]) -> list[Source]:
        names = [source.name for source in sources]
        if len(set(names)) < len(names):
            raise ValueError(f"each source needs a name of its own, given were {', '.join(names)}")
        return sources


def parse_sources(line_block: dict[str, Any], line: str) -> list[Source]:
    """The sources of a line's block of params.yaml. Raises SettingsError with every error in them."""
    return parse(Sources, {"sources": line_block.get("sources") or []}, f"lines.{line}").sources


__all__ = [
    "AnswersSource",
    "FileSource",
    "HttpSource",
    "HuggingfaceSource",
    "LogSource",
    "PackageSource",
    "RssSource",
    "Source",
    "Sources",
    "SqlSource",
    "parse_sources",
]
