"""Users, the rows that judge: a user's history as the text, as of its last event, and what that user liked after it.

`label` is the first item that was liked, `targets` are all of them. A user who liked nothing later judges nothing.
"""

import hashlib
from typing import TYPE_CHECKING

from tasks.core.errors import DataError
from tasks.core.files import read_json, read_parquet
from tasks.core.line import Line
from tasks.kinds.rank.shared import history
from tasks.kinds.rank.shared.history import Tastes

if TYPE_CHECKING:
    import pandas as pd

BEFORE = {"validation": ("train",), "test": ("train", "validation")}
COLUMNS = ["id", "group", "source", "label", "rating_mean", "created_at"]


def judged(line: Line, side: str) -> "pd.DataFrame":
    """A row per user who likes an item on this side, ordered by id: id, text, source, split_key, label, targets.

    What a user had before is no target: lists leave it out, too.

    Reads split/*.parquet, and what counts as liked from train/config.json. Raises DataError where nobody does.
    """
    import pandas as pd

    facts = read_json(line.file("train", "config.json"))
    tastes = Tastes(facts["like"], facts["dislike"])
    before = _events(line, BEFORE[side])
    later = _events(line, (side,))
    liked = later[tastes.classes(later["rating_mean"].to_numpy(dtype=float)) == history.LIKED]
    liked = liked.drop_duplicates(["group", "label"])
    had = pd.MultiIndex.from_frame(before[["group", "label"]])
    liked = liked[~pd.MultiIndex.from_frame(liked[["group", "label"]]).isin(had)]
    if liked.empty:
        raise DataError(
            f"No user likes anything in split/{side}.parquet: no rating is {tastes.like:g} or more. Lower "
            f"lines.{line.name}.train.rank.like, or bring more events."
        )
    told = _histories(before[before["group"].isin(liked["group"])])
    rows = liked.groupby("group").agg(
        id=("id", "first"), source=("source", "first"), label=("label", "first"), targets=("label", list)
    )
    rows = rows.assign(text=told.reindex(rows.index).fillna("[]"), split_key=_keys(rows.index, rows["label"]))
    result: pd.DataFrame = rows.sort_values("id").reset_index(drop=True)
    return result


def told(line: Line, side: str) -> "pd.DataFrame":
    """The rows of a side with the answers that evaluate stored.

    Raises DataError where the two are not of the same rows in the same order.
    """
    asked = judged(line, side)
    answers = line.file("evaluate", "predictions.parquet" if side == "test" else f"{side}.parquet")
    known = read_parquet(answers)
    if asked["id"].tolist() != known["id"].tolist():
        raise DataError(f"{answers} does not hold the users of split/{side}.parquet. Run evaluate again.")
    return known.assign(text=asked["text"], targets=asked["targets"])


def keys(line: Line) -> "pd.DataFrame":
    """split_key and side of all that was learned from and that judges: a user and an item each."""
    import pandas as pd

    learned = _events(line, ("train",))
    learned = learned.assign(split_key=_keys(learned["group"], learned["label"]), side="train")
    judging = [judged(line, side).assign(side=side) for side in BEFORE]
    return pd.concat([frame[["split_key", "side"]] for frame in [learned, *judging]], ignore_index=True)


def _events(line: Line, sides: tuple[str, ...]) -> "pd.DataFrame":
    """The events of users in their order."""
    import pandas as pd

    frame = pd.concat([read_parquet(line.file("split", f"{side}.parquet"), COLUMNS) for side in sides])
    return frame.dropna(subset=["group"]).sort_values(["group", "created_at", "id"], kind="stable")


def _histories(events: "pd.DataFrame") -> "pd.Series[str]":
    """The whole history of each user, by user: of its beginning the model reads no more than what the user has."""
    import pandas as pd

    ratings = events["rating_mean"].astype(object).where(events["rating_mean"].notna(), None)
    told = events.assign(event=pd.Series([*zip(events["label"], ratings, strict=True)], index=events.index))
    users = told.groupby("group")
    last = users["created_at"].max().map(lambda time: time.timestamp())
    texts = [history.write(list(rows), last[user]) for user, rows in users["event"]]
    return pd.Series(texts, index=last.index, dtype=object)


def _keys(users: "pd.Series[str]", items: "pd.Series[str]") -> list[str]:
    """Names a user with an item, and tells neither."""
    pairs = zip(users, items, strict=True)
    return [hashlib.sha256(f"{user}\n{item}".encode()).hexdigest()[:32] for user, item in pairs]
