"""What a ranking model is examined on before it is exported: its figures, what it may have seen, and what it misses."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from tasks.core.files import read_json, read_parquet
from tasks.core.line import Line
from tasks.examination import TABLED, Examination, examples, surest
from tasks.kinds.common import behaviour
from tasks.kinds.common.examine import Subject, figures, present
from tasks.kinds.rank.shared import history, users
from tasks.slices import Mask
from tasks.verdict import limit

FEW = 3  # items that are named

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
    wrong = surest(of.test[~of.right], TABLED)
    lead = (
        f"{int((~of.right).sum()):,} of {len(of.test):,} lists have no item that the user liked later; these are the "
        "surest: what the user had last, what was liked then, and what stood first."
    )
    told = read_parquet(of.line.file("split", "train.parquet"), ["label", "text"]).drop_duplicates("label")
    names = dict(zip(told["label"], told["text"], strict=True))
    shown = wrong.assign(
        text=[_few([item for item, _ in reversed(history.read(text))], names) for text in wrong["text"]],
        label=[_few(row, names) for row in wrong["targets"]],
        predicted=[names.get(item, item) for item in wrong["predicted"]],
    )
    return Examination([], sections=[examples("Lists that miss", lead, shown)])


def _few(items: Sequence[str], names: Mapping[str, str]) -> str:
    more = f"; and {len(items) - FEW} more" if len(items) > FEW else ""
    return "; ".join(names.get(item, item) for item in items[:FEW]) + more


EXAMINATIONS: tuple[Callable[[Subject, "QualityGateSettings"], Examination], ...] = (present, figures, leaked, missed)
"""In the order in which they stand on the page."""
