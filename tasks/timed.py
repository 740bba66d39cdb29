"""A split by time within groups: what a group did last judges what is learned from what it did before."""

from typing import TYPE_CHECKING, Any

from tasks.core.errors import DataError

if TYPE_CHECKING:
    import pandas as pd


def sides(frame: "pd.DataFrame", validation: float, test: float, least: int) -> "pd.Series[str]":
    """The side of each row.

    Of each group the last `test` of its rows by time (ties by id) are test's, the `validation` before them
    validation's, the rest and groups of fewer than `least` rows train's; so are rows of no group. Raises DataError
    where a row of a group has no time.
    """
    absent = int((frame["created_at"].isna() & frame["group"].notna()).sum())
    if absent:
        raise DataError(
            f"{absent} of {len(frame)} rows have no time, and split.by is time_in_group. Map the column of the time as "
            "`created_at`, or let expectations.yaml quarantine rows without one."
        )
    ordered = frame.sort_values(["created_at", "id"], kind="stable")
    groups = ordered.groupby("group", dropna=True)["id"]
    rows, place = groups.transform("size"), groups.cumcount()
    judging, before = (rows * test).round(), (rows * validation).round()
    result = ordered["id"].map(lambda _: "train")
    enough = ordered["group"].notna() & (rows >= least)
    result[enough & (place >= rows - judging - before)] = "validation"
    result[enough & (place >= rows - judging)] = "test"
    return result.reindex(frame.index)


def told(frame: "pd.DataFrame", test: float) -> dict[str, Any]:
    """What the report says of groups, and of a cut at one time for all: the time with the share `test` after it.

    `train_after` are rows that teach although they came after that time, `test_before` rows that judge before it.
    """
    frame = frame[frame["group"].notna()]
    cut: pd.Timestamp = frame["created_at"].quantile(1 - test)  # type: ignore[assignment]
    after = frame["created_at"] > cut
    judged = frame.loc[frame["side"] == "test", "group"]
    return {
        "groups": {"all": int(frame["group"].nunique()), "judged": int(judged.nunique())},
        "global_cut": {
            "time": cut.isoformat(),
            "train_after": int((after & (frame["side"] == "train")).sum()),
            "test_before": int((~after & (frame["side"] == "test")).sum()),
        },
    }
