"""The rows that judge a model of kind `classify`: those of split."""

from tasks.kinds.common.rows import JUDGING, REFERENCE, asked, judged, keys

__all__ = ["JUDGING", "REFERENCE", "asked", "judged", "keys"]
