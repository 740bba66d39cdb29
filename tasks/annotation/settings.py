"""Settings of a line's annotation."""

from pydantic import Field

from tasks.core.settings import Settings


class AnnotateSettings(Settings, block="annotate"):
    """How a line's texts are labelled by people. No stage: a change here reruns none."""

    overlap: int = Field(2, ge=2, le=10, description="how many people are asked of an item whose agreement is measured")
    overlap_share: float = Field(
        0.2, ge=0, le=1, description="of the items, drawn by lot, that `overlap` people answer"
    )
    random_share: float = Field(
        0.2, ge=0, le=1, description="of the items that are drawn by lot: estimates rest on them"
    )
    hold_minutes: float = Field(15, gt=0, description="for so long an item that was shown is kept for that person")
    capacity_per_week: int | None = Field(
        None, ge=0, description="answers of a person for whom team.yaml says nothing; none: no limit"
    )
    guidelines: str | None = Field(
        None, description="a Markdown file; default: data/<line>/guidelines.md if there is one"
    )
    rows: int = Field(500, ge=1, description="items that `tidegate queue` adds at most")
    candidates: int = Field(10_000, ge=100, description="texts drawn by lot that it chooses from")
    seed: int = Field(0, ge=0, description="of all draws")
