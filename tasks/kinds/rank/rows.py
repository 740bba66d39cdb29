"""The rows that judge a ranking model: users, with what they liked later."""

from tasks.kinds.rank.shared.users import judged, keys

__all__ = ["REFERENCE", "judged", "keys"]

REFERENCE = ["id", "text", "source", "label", "targets"]
"""What a release keeps of them."""
