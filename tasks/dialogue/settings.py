"""The block `products.<product>` of params.yaml for a product that answers questions. The service reads it as well."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tasks.core.settings import Settings


class AnswerSettings(Settings):
    """A product that answers what it is sure of and hands the rest to people."""

    kind: Literal["answer"]
    title: str = Field("", description="what customers see above the chat")
    port: int | None = Field(None, ge=0, le=65535, description="of its chat page; null: as the block `chat` says")
    address: str | None = Field(
        None, pattern=r"^https?://", description="where people reach its chat page; null: where that listens"
    )
    answers: str = Field(description="the line of kind retrieve that finds answers")
    intents: str | None = Field(None, description="the line of kind classify that says what is wanted; null: none")
    confidence: float = Field(
        0.5, ge=0, le=1, description="the calibrated probability that the best answer needs; below it people answer"
    )
    top: int = Field(3, ge=1, le=20, description="answers in a reply, where the request does not say how many")
    hand_over_intents: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        (), description="labels of `intents` that always go to people, however sure an answer is"
    )

    @model_validator(mode="after")
    def _can_tell_intents(self) -> "AnswerSettings":
        if self.hand_over_intents and self.intents is None:
            raise ValueError("hand_over_intents are labels of a line, but intents names none")
        return self

    @property
    def needed(self) -> dict[str, str]:
        """The lines that it asks, and the kind that each must be of."""
        return {self.answers: "retrieve", **({self.intents: "classify"} if self.intents else {})}
