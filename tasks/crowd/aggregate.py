"""The label that follows from several people's votes, by crowd-kit.

Majority; Dawid & Skene 1979 (Applied Statistics 28:20); MACE, Hovy et al. 2013 (NAACL); GLAD, Whitehill et al. 2009
(NIPS). All are deterministic: MACE's restarts have seeds of their own, and lots are drawn from the item's id.
"""

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tasks.crowd.settings import Method
from tasks.crowd.votes import Floats, Indices, Votes

if TYPE_CHECKING:
    import pandas as pd

CLOSE = 1e-9
"""Probabilities that differ by less are a tie."""


@dataclass(frozen=True)
class Aggregate:
    """What follows for each item of the votes, in their order."""

    label: Indices
    """[items], -1 where nobody voted."""
    probability: Floats
    """[items, labels]; NaN where nothing tells it."""
    tied: NDArray[np.bool_]
    """[items], whether more than one label was the most probable."""

    @property
    def confidence(self) -> Floats:
        """[items], probability of the label; NaN where nothing tells it."""
        best: Floats = self.probability.max(axis=1)
        return best


def aggregate(votes: Votes, method: Method, decided: Mapping[str, str] | None = None, seed: int = 0) -> Aggregate:
    """Labels and their probabilities; `decided` has the labels of items that an adjudicator decided.

    By majority the probability is the share of votes, of two at least: a single vote tells nothing of itself. The
    other methods learn from texts that several people answered; without any such text nothing tells how often anyone
    is wrong, and no probability is given. Where all votes are equal they count as well. A tie is decided by lot, always
    the same for one item: any other rule would favour a label. Dawid-Skene takes what is `decided` for granted and
    learns from it; the others take no notice.
    """
    people = votes.counts.sum(axis=1)
    voted, several = people > 0, people > 1
    probability = np.full(votes.counts.shape, np.nan)
    if method == "majority" or not several.any() or len(set(votes.label)) < 2:
        share = votes.counts / np.maximum(people, 1)[:, None]
        probability[several] = share[several]
    else:
        share = _modelled(votes, method, decided or {}, seed)
        probability[voted] = share[voted]
    label, tied = _most(share, votes.items)
    return Aggregate(np.where(voted, label, -1), probability, tied & voted)


def _most(share: Floats, items: Sequence[str]) -> tuple[Indices, NDArray[np.bool_]]:
    """The most probable label of each row, and whether others are as probable."""
    best = share >= share.max(axis=1, keepdims=True) - CLOSE
    label, tied = share.argmax(axis=1), best.sum(axis=1) > 1
    for row in np.flatnonzero(tied):
        lots = np.flatnonzero(best[row])
        drawn = int.from_bytes(hashlib.blake2b(items[int(row)].encode(), digest_size=8).digest())
        label[row] = lots[drawn % len(lots)]
    return label, tied


def _modelled(votes: Votes, method: Method, decided: Mapping[str, str], seed: int) -> Floats:
    """[items, labels] posterior probabilities; 0 for items without a vote."""
    import pandas as pd
    from crowdkit.aggregation.classification import GLAD, MACE, DawidSkene

    table = pd.DataFrame({"task": votes.item, "worker": votes.person, "label": votes.label})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # crowd-kit's use of pandas is its own affair
        match method:
            case "dawid_skene":
                found = DawidSkene().fit_predict_proba(table, true_labels=_golden(votes, decided))
            case "mace":
                found = MACE(random_state=seed).fit_predict_proba(table)
            case _:
                found = GLAD().fit_predict_proba(table)
    result = np.zeros(votes.counts.shape)
    shares = found.to_numpy()
    result[np.ix_(found.index.to_numpy(), found.columns.to_numpy())] = shares / shares.sum(axis=1, keepdims=True)
    return result


def _golden(votes: Votes, decided: Mapping[str, str]) -> "pd.Series[Any] | None":
    """The decided items that somebody voted on; a label that nobody voted for would be unknown to crowd-kit."""
    import pandas as pd

    seen = {votes.labels[label]: label for label in set(votes.label.tolist())}
    places = {name: n for n, name in enumerate(votes.items)}
    people = votes.counts.sum(axis=1)
    known = {places[item]: seen[label] for item, label in decided.items() if people[places[item]] and label in seen}
    return pd.Series(known, dtype=np.int64) if known else None
