"""The rows that judge a model of kind `retrieve`: those of split."""

from tasks.kinds.common.rows import REFERENCE, judged, keys

__all__ = ["REFERENCE", "judged", "keys"]
