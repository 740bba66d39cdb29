"""The block `annotate` of params.yaml: the page that people label on. One per project, every value with a default."""

from pathlib import Path

from pydantic import Field

from flows.web.settings import PageSettings
from tasks.core.settings import PARAMS, parse, read_params


class AnnotatePageSettings(PageSettings, block="annotate"):
    """Where the page is; how a line's texts are labelled says `lines.LINE.annotate`."""

    port: int = Field(8091, ge=0, le=65535, description="0 lets the system choose")


def load_annotate(path: Path = PARAMS) -> AnnotatePageSettings:
    """The block `annotate`; all defaults where there is none. Raises SettingsError that lists every error in it."""
    content = read_params(path).get(AnnotatePageSettings.block) if path.exists() else None
    return parse(AnnotatePageSettings, content, AnnotatePageSettings.block)
