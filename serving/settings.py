"""The block `serving` of params.yaml: one per project, every value with a default."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import Field, field_validator

from serving.batcher import BatchSettings
from serving.log.settings import LogSettings
from tasks.core.errors import SettingsError
from tasks.core.line import STATE
from tasks.core.settings import PARAMS, Settings, parse

if TYPE_CHECKING:
    from tasks.dialogue.settings import AnswerSettings
    from tasks.opinion.settings import OpinionSettings


class LimitSettings(Settings):
    """What one caller may ask of the service. Beyond it the answer is 408, 413, 422, 431 or 503."""

    body_bytes: int = Field(4 * 2**20, ge=1024, description="of a request's body, also after inflating")
    body_seconds: float = Field(10, gt=0, description="to send it; slower is 408")
    texts: int = Field(256, ge=1, description="per request")
    characters: int = Field(10_000, ge=1, description="per text; of a long one the model reads the beginning alone")
    deadline_ms: int = Field(5_000, ge=1, description="for an answer, where the request names none")
    deadline_max_ms: int = Field(60_000, ge=1, description="that a request may name")
    head_bytes: int = Field(32 * 2**10, ge=1024, description="of request line and headers together")
    head_seconds: float = Field(10, gt=0, description="to send them")
    connections: int = Field(1_000, ge=1, description="open at once; beyond it the answer is 503")
    keep_alive_seconds: int = Field(65, ge=1, description="an idle connection stays open: longer than balancers' 60")


class ServingSettings(Settings, block="serving"):
    """The service: where it listens, what it serves, what it allows."""

    folder: str = Field((STATE / "serving").as_posix(), description="the serving folder: a path or any fsspec URL")
    poll_seconds: float = Field(1, gt=0, description="between two looks at the pointers")
    host: str = Field("127.0.0.1", description="other than loopback only with a team.yaml")
    port: int = Field(8000, ge=0, le=65535, description="0 lets the system choose")
    rate: str | None = Field(None, description="requests per key where team.yaml names none, e.g. 100/second")
    access_log: bool = Field(False, description="one line per request in the log, without texts")
    stop_seconds: float = Field(20, gt=0, description="to finish what is in flight when the service is to end")
    batching: BatchSettings = BatchSettings()
    limits: LimitSettings = LimitSettings()
    log: LogSettings = LogSettings()

    @field_validator("rate")
    @classmethod
    def _readable(cls, given: str | None) -> str | None:
        from limits import parse as parse_rate

        if given is not None:
            try:
                parse_rate(given)
            except ValueError:
                raise ValueError("must be a number per second, minute, hour or day, such as 100/second") from None
        return given


def load_serving(path: Path = PARAMS) -> ServingSettings:
    """The block `serving`; all defaults where there is none, or no params.yaml.

    Lines need not be there: a machine that only serves has none. Raises SettingsError that lists every error in it.
    """
    content = _read(path).get(ServingSettings.block)
    if content is not None and not isinstance(content, dict):
        raise SettingsError(f"{ServingSettings.block} in {path} must be a block of settings, got {content!r}.")
    return parse(ServingSettings, content, ServingSettings.block)


def load_products(path: Path = PARAMS) -> "dict[str, AnswerSettings | OpinionSettings]":
    """The products by name; those of a kind that is not known here are left out.

    Their lines need not stand in params.yaml: a machine that only serves has none there. Raises SettingsError that
    lists every error.
    """
    content = _read(path).get("products") or {}
    if not isinstance(content, dict):
        raise SettingsError(f"products in {path} must be a block with one block per product, got {content!r}.")
    found, problems = {}, []
    for name, block in content.items():
        kind = _settings_of(block.get("kind", "opinion")) if isinstance(block, dict) else None
        if kind is not None:
            try:
                found[str(name)] = parse(kind, block, f"products.{name}")
            except SettingsError as error:
                problems.append(str(error))
    if problems:
        raise SettingsError("\n".join(problems))
    return found


def _settings_of(kind: Any) -> "type[AnswerSettings] | type[OpinionSettings] | None":
    """What a product of a kind is set by; a service without products of opinion need not load its sources."""
    if kind == "answer":
        from tasks.dialogue.settings import AnswerSettings

        return AnswerSettings
    if kind == "opinion":
        from tasks.opinion.settings import OpinionSettings

        return OpinionSettings
    return None


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not readable as YAML: {error}") from None
    if content is not None and not isinstance(content, dict):
        raise SettingsError(f"{path} must hold blocks of settings, such as `{ServingSettings.block}:`.")
    return content or {}
