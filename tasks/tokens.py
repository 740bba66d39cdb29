"""Token ids as digests: by them a tokenizer that ships is held against the one that was measured."""

import hashlib
from collections.abc import Iterable, Sequence

TEXTS = 500  # texts that are compared: another tokenizer shows in the first few


def digests(ids: Iterable[Sequence[int]]) -> list[str]:
    """Eight hex digits for the token ids of each text."""
    return [hashlib.blake2b(",".join(map(str, row)).encode(), digest_size=4).hexdigest() for row in ids]
