"""The rows that judge a ranking model: users, with what they liked later."""

from tasks.kinds.rank.shared import history
from tasks.kinds.rank.shared.users import judged, keys

__all__ = ["JUDGING", "REFERENCE", "asked", "judged", "keys"]

REFERENCE = ["id", "text", "source", "label", "targets"]
"""What a release keeps of them."""
JUDGING = ("test",)
"""The sides whose rows a release keeps: of validation a model that was fitted again has learned, and knows too much."""


def asked(text: str) -> str:
    """The history of a row as live traffic has it: asked for as of now, without the time at which it was judged."""
    return history.write(history.read(text))
