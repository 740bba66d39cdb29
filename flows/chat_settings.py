"""The block `chat` of params.yaml: the page of products that answer. One per project, every value with a default."""

from pathlib import Path

from pydantic import Field

from flows.web.settings import PageSettings
from tasks.core.settings import PARAMS, parse, read_params


class ChatSettings(PageSettings, block="chat"):
    """The page on which customers ask, and staff answer what the service hands over."""

    port: int = Field(8092, ge=0, le=65535, description="0 lets the system choose")
    service: str | None = Field(
        None, pattern=r"^https?://", description="address of the service; null: as `tidegate up` or `serving` has it"
    )
    service_seconds: float = Field(10, gt=0, le=60, description="to wait for an answer of the service")
    characters: int = Field(2000, ge=1, le=10_000, description="of a message")
    messages_per_minute: int = Field(20, ge=1, description="of one customer")
    all_per_minute: int = Field(600, ge=1, description="of all customers of this page together")
    dialogue_days: float = Field(7, gt=0, le=365, description="after which a customer's browser knows it no more")
    notice_minutes: float | None = Field(
        10,
        gt=0,
        le=10_080,
        description="who waits longer is told of through the channels of alerts; null: never",
    )
    poll_seconds: float = Field(3, ge=0.2, le=60, description="between two looks of an open page for news")


def load_chat(path: Path = PARAMS) -> ChatSettings:
    """The block `chat`; all defaults where there is none. Raises SettingsError that lists every error in it."""
    content = read_params(path).get(ChatSettings.block) if path.exists() else None
    return parse(ChatSettings, content, ChatSettings.block)
