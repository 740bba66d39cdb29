"""How votes become labels."""

from typing import Literal, get_args

from pydantic import Field

from tasks.core.settings import Settings

Method = Literal["majority", "dawid_skene", "mace", "glad"]
METHODS: tuple[Method, ...] = get_args(Method)


class VoteSettings(Settings):
    """How the votes on a row become its label."""

    method: Method = Field(
        "dawid_skene",
        description="majority counts heads; dawid_skene learns what each person confuses with what; mace who answers "
        "without looking; glad how able each person and how hard each text is",
    )
    min_votes: int = Field(1, ge=1, description="rows with fewer votes are left out and counted")
    ambiguous_below: float = Field(
        0.7, ge=0, le=1, description="rows whose label is less probable than this are flagged ambiguous"
    )
