"""Which requests a canary and a shadow see, and when a canary has shown enough."""

import hashlib
import math
import secrets
import threading

from serving.deployment import Beside

SURE = 3.0  # one-sided 99.9 %, for it is looked at after every request: a canary at its limit ends 1 time in 20
FEW = 20  # texts; fewer say nothing about a share


def meets_canary(canary: Beside, key: str) -> bool:
    """Whether the caller with this key is among the canary's share: always the same answer for one release."""
    digest = hashlib.blake2b(f"{canary.release}\0{key}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest) < canary.share * 2**64


def meets_shadow(shadow: Beside) -> bool:
    """Whether a request is among the shadow's share, at random."""
    return secrets.randbits(53) < shadow.share * 2**53


class Tally:
    """What a release beside the champion has shown so far, in this process."""

    def __init__(self, rule: Beside) -> None:
        self.rule = rule
        self.texts = self.differs = self.errors = self.dropped = 0
        self.ended: str | None = None
        """Why a canary gets no more requests."""
        self._lock = threading.Lock()

    def compared(self, texts: int, differs: int) -> str | None:
        """Count texts that the champion was asked as well; the reason where that ends the canary now."""
        with self._lock:
            self.texts += texts
            self.differs += differs
            most = self.rule.max_disagreement
            if most is None or self.texts < FEW or lower(self.differs, self.texts) <= most:
                return None
            return self._end(f"{self.differs} of {self.texts} texts got another label than the champion's")

    def failed(self) -> str | None:
        """Count a request that it could not answer; the reason where that ends the canary now."""
        with self._lock:
            self.errors += 1
            if self.rule.max_errors is None or self.errors <= self.rule.max_errors:
                return None
            return self._end(f"{self.errors} requests failed")

    def drop(self) -> None:
        """Count a request that was not computed for want of time."""
        with self._lock:
            self.dropped += 1

    def _end(self, reason: str) -> str | None:
        """The reason, the first time."""
        if self.ended:
            return None
        self.ended = reason
        return reason


def lower(hits: int, of: int) -> float:
    """Lower end of Wilson's interval for a share: where it is above a limit, the share itself very likely is."""
    share, z = hits / of, SURE**2 / of
    return (share + z / 2 - SURE * math.sqrt(share * (1 - share) / of + z / (4 * of))) / (1 + z)
