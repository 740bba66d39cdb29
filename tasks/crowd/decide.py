"""Rows with votes as labelled rows, for the stage label."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tasks.crowd import agreement
from tasks.crowd.aggregate import Aggregate, aggregate
from tasks.crowd.settings import VoteSettings
from tasks.crowd.votes import Votes

log = logging.getLogger("tidegate")


def read(ids: Sequence[str], votes: Sequence[Any], labels: Sequence[str], rename: Mapping[str, str]) -> Votes:
    """The votes of rows: `votes` [rows] are lists of who said which label, in the order in which they said it.

    A vote without a person or a label counts for nothing. Raises DataError for a label that `labels` does not hold.
    """
    said = (
        (row, vote["who"], rename.get(vote["label"], vote["label"]))
        for row, given in zip(ids, votes, strict=True)
        for vote in given or ()
        if vote and vote["who"] and vote["label"]
    )
    return Votes.of(said, ids, labels)


def decide(
    votes: Votes, given: Sequence[str | None], settings: VoteSettings, seed: int = 0
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The columns label, decided_by, agreement, confidence, ambiguous and soft of rows, and what the report says.

    `given` [rows] has the labels of those that an adjudicator decided. Rows with fewer votes than are asked for get no
    label. `agreement` is the share of equal pairs among a row's votes.
    """
    decided = {row: label for row, label in zip(votes.items, given, strict=True) if label is not None}
    found = aggregate(votes, settings.method, decided, seed)
    people = votes.counts.sum(axis=1)
    adjudicated = np.array([label is not None for label in given], bool)
    enough = (people >= settings.min_votes) & ~adjudicated
    voted = np.where(enough, found.label, len(votes.labels))
    aggregated = np.array([*votes.labels, None], dtype=object)[voted]
    told = enough & ~np.isnan(found.confidence)
    doubtful = found.tied | (found.confidence < settings.ambiguous_below)
    columns = {
        "label": np.where(adjudicated, np.array(given, dtype=object), aggregated),
        "decided_by": np.where(adjudicated, "adjudicator", "votes"),
        "agreement": agreement.same_pairs(votes.counts),
        "confidence": np.where(told, found.confidence, np.nan),
        "ambiguous": enough & doubtful,
        "soft": [
            row.astype(np.float32) if is_told else None for row, is_told in zip(found.probability, told, strict=True)
        ],
    }
    return columns, _counts(votes, found, adjudicated, enough, settings) | {
        "left_out": {"too_few_votes": int((~enough & ~adjudicated).sum())}
    }


def agreed(votes: Votes, samples: int, seed: int) -> dict[str, Any]:
    """Krippendorff's alpha and Fleiss' kappa with their intervals; None where they cannot be told."""
    found = {
        "krippendorff_alpha": agreement.alpha(votes.counts, samples, seed),
        "fleiss_kappa": agreement.fleiss(votes.counts, samples, seed),
    }
    return {name: value and value | {"metric": "nominal"} for name, value in found.items()}


def _counts(votes: Votes, found: Aggregate, adjudicated: Any, enough: Any, settings: VoteSettings) -> dict[str, Any]:
    people = votes.counts.sum(axis=1)
    several = int((people > 1).sum())
    if len(votes) and not several:
        log.warning(
            "No text was answered by two people: nothing tells how often they are right. Let some be answered by more, "
            "as annotate.overlap does."
        )
    return {
        "method": settings.method,
        "votes": len(votes),
        "replaced": votes.replaced,
        "people": len(votes.people),
        "rows": len(votes.items),
        "by_adjudicator": int(adjudicated.sum()),
        "by_votes": int(enough.sum()),
        "answered_by_several": several,
        "unanimous": int(((votes.counts > 0).sum(axis=1) == 1)[people > 1].sum()),
        "ties": int((found.tied & enough).sum()),
    }
