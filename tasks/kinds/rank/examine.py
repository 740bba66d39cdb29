"""What a ranking model is examined on before it is exported: its figures, what it may have seen, and what it misses."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from tasks.core.files import read_json, read_parquet
from tasks.core.line import Line
from tasks.examination import Examination, examples
from tasks.kinds.common import behaviour
from tasks.kinds.common.examine import Subject, figures, present
from tasks.kinds.rank.shared import users
from tasks.slices import Mask
from tasks.verdict import limit

if TYPE_CHECKING:
    from tasks.evaluate import EvaluateSettings
    from tasks.quality_gate import QualityGateSettings
    from tasks.text import TextSettings


class Ranked(Subject):
    """A measured ranking model; `test` and `validation` have a row per user, as tasks.kinds.rank.metrics wrote it."""

    @property
    def right(self) -> Mask:
        """[test rows], whether a list has an item that the user liked later."""
        return self.test["hit"].to_numpy(dtype=bool)


def subject(line: Line, _evaluated: "EvaluateSettings", text: "TextSettings") -> Ranked:
    """Read what evaluate wrote, and split/{train, validation, test}.parquet."""
    test, validation = (users.told(line, side) for side in ("test", "validation"))
    return Ranked(
        line,
        read_json(line.file("evaluate", "metrics.json")),
        test,
        validation,
        ways={},
        train=users.keys(line),
        behaved=behaviour.none(),
        labels=read_json(line.file("evaluate", "contract.json"))["labels"],
        text=text,
    )


def leaked(of: Subject, _settings: "QualityGateSettings") -> Examination:
    """What judges and was learned from: pairs of a user and an item, and users whose history goes on behind the cut."""
    learned = of.train.loc[of.train["side"] == "train", "split_key"]
    pairs = int(of.test["split_key"].isin(learned).sum())
    every = ["group", "created_at"]
    before = read_parquet(of.line.file("split", "train.parquet"), every).groupby("group")["created_at"].max()
    judging = read_parquet(of.line.file("split", "test.parquet"), every).groupby("group")["created_at"].min()
    late = int((before.reindex(judging.index) > judging).sum())
    checks = [
        limit("leakage.test.pairs", pairs, None, 0, len(of.test)),
        limit("leakage.test.later_events", late, None, 0, len(judging)),
    ]
    return Examination(checks)


def missed(of: Subject, _settings: "QualityGateSettings") -> Examination:
    """No checks: the lists that the model was surest of and that have nothing the user liked, for the page."""
    wrong = of.test[~of.right]
    lead = f"{len(wrong):,} of {len(of.test):,} lists have no item that the user liked later; these are the surest."
    shown = wrong.assign(text=[_ending(text) for text in wrong["text"]], label=[_few(row) for row in wrong["targets"]])
    return Examination([], sections=[examples("Lists that miss", lead, shown)])


def _ending(text: str) -> str:
    return text if len(text) <= 120 else f"…{text[-119:]}"


def _few(items: "np.ndarray") -> str:
    more = f" and {len(items) - 5} more" if len(items) > 5 else ""
    return ", ".join(items[:5]) + more


EXAMINATIONS: tuple[Callable[[Subject, "QualityGateSettings"], Examination], ...] = (present, figures, leaked, missed)
"""In the order in which they stand on the page."""
