"""How a line of kind `rank` learns: what its block `train.rank` can say."""

from pydantic import Field, field_validator, model_validator

from tasks.core.settings import Settings

PARTS = 8  # the user tower weighs a history in so many ways, each in its share of the width
FALL, LEFT = 20.0, 0.05  # how an event's weight falls with the events behind it, at the start


class RankSettings(Settings):
    """What a history says, and how the towers learn from histories."""

    like: float = Field(4.0, description="ratings from here on say that an item is liked: what should be recommended")
    dislike: float = Field(3.0, description="ratings below it are negative feedback")
    history: int = Field(200, ge=1, le=2000, description="events of a user that are read: the last ones")
    width: int = Field(256, ge=8, le=1024, description="of the vectors of users and items; a multiple of 8")
    weight: float = Field(400, gt=0, description="L2 penalty of the linear model of items by items that is the start")
    fall: float = Field(
        FALL, gt=0, description="events after which the weight of one has fallen by e, at the start; learned on"
    )
    left: float = Field(
        LEFT, gt=0, lt=1, description="share of the weight that never falls away, at the start; learned on"
    )
    popular: float = Field(
        0.05,
        gt=0,
        description="share of what is popular, at the start, for users of whom something is known; learned on",
    )
    text_weight: float = Field(3, gt=0, description="L2 penalty of the start of what an item's text says")
    cuts: int = Field(3, ge=1, le=100, description="moments of each user's history that an epoch looks at")
    ahead: int = Field(30, ge=1, description="events behind such a moment; the liked ones are to be found")
    negatives: int = Field(
        4096, ge=1, description="items that these are told from, drawn anew for each step; all, where there are no more"
    )
    by_text: float = Field(0.05, ge=0, lt=1, description="share of the items that stand for their text alone in a step")
    dropout: float = Field(0.2, ge=0, lt=1, description="share of a history's events that are left out in a step")
    refit: bool = Field(
        True, description="train again on train and validation, for as many epochs as were best: what came last counts"
    )

    @field_validator("width")
    @classmethod
    def _in_parts(cls, width: int) -> int:
        if width % PARTS:
            raise ValueError(f"width must be a multiple of {PARTS}")
        return width

    @model_validator(mode="after")
    def _in_order(self) -> "RankSettings":
        if self.dislike > self.like:
            raise ValueError(f"dislike must be at most like, which is {self.like:g}")
        return self
