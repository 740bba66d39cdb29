"""What a line says of its labelling functions: the block `label.functions`."""

from pydantic import Field, field_validator

from tasks.core.settings import Settings


class FunctionSettings(Settings):
    """How the functions of data/<line>/labelling/ label rows that people left without a label; `{}` turns them on."""

    leave_out: list[str] = Field([], description="functions that have no vote, as FILE.FUNCTION")
    seconds: float = Field(
        5, gt=0, le=600, description="a function that takes longer for one text hangs, and ends the stage"
    )
    min_votes: int = Field(1, ge=1, description="functions that must have voted on a row")
    min_confidence: float = Field(
        0.5, ge=0, lt=1, description="a row is labelled where its label's probability is above this; 0.5 excludes ties"
    )
    ambiguous_below: float = Field(0.7, ge=0, le=1, description="rows with a smaller probability are flagged ambiguous")
    accuracy: float = Field(
        0.8, gt=0, lt=1, description="how often a function is right where it votes, before anything is known of it"
    )
    doubted_sources: list[str] = Field(
        [], description="sources whose labels tell nothing of a function's accuracy, such as pseudo-labels"
    )
    shares: dict[str, float] | None = Field(
        None, description="label: its share of all texts; default: as people labelled, or else even"
    )

    @field_validator("shares")
    @classmethod
    def _adds_up(cls, shares: dict[str, float] | None) -> dict[str, float] | None:
        if shares is not None and (min(shares.values(), default=0) <= 0 or abs(sum(shares.values()) - 1) > 1e-6):
            raise ValueError("shares must be above 0 and sum to 1")
        return shares
