"""A split by time within groups."""

import numpy as np
import pandas as pd
import pytest
from conftest import labeled

from tasks.core.errors import DataError
from tasks.core.files import read_json, write_json, write_parquet
from tasks.core.line import Line
from tasks.rows import LABELED
from tasks.split import SIDES, SplitSettings, split

LINE = Line("made")


def events(groups=6, each=20, items=5):
    """Rows of groups in a jumbled order, an hour between two of a group."""
    frame = labeled(groups * each)
    frame["group"] = [f"u{n // each}" for n in range(len(frame))]
    frame["label"] = [f"i{n % items}" for n in range(len(frame))]
    hours = pd.to_timedelta([n % each + 100 * (n // each) for n in range(len(frame))], unit="h")
    frame["created_at"] = (pd.Timestamp("2026-01-01", tz="UTC") + hours).astype("datetime64[us, UTC]")
    return frame.sample(frac=1, random_state=0)


def run(frame, **settings):
    write_parquet(LINE.file("label", "labeled.parquet"), frame[LABELED.names], LABELED)
    write_json(LINE.file("label", "labels.json"), sorted(set(frame["label"])))
    out = LINE.folder / "split"
    split(LINE, SplitSettings(by="time_in_group", **settings), out)
    return {side: pd.read_parquet(out / f"{side}.parquet") for side in SIDES}, read_json(out / "report.json")


def test_the_latest_of_each_group_judge(workdir):
    sides, report = run(events())
    assert {side: len(rows) for side, rows in sides.items()} == {"train": 84, "validation": 12, "test": 24}
    for group in sides["test"]["group"].unique():
        times = [sides[side].loc[sides[side]["group"] == group, "created_at"] for side in SIDES]
        assert times[0].max() < times[1].min() and times[1].max() < times[2].min()
    assert report["groups"] == {"all": 6, "judged": 6}
    assert report["sides"]["test"]["rows"] == 24


def test_ties_go_by_id_and_the_order_of_rows_is_nothing(workdir):
    frame = events()
    frame["created_at"] = frame["created_at"].dt.floor("10D")
    sides, _ = run(frame)
    again, _ = run(frame.iloc[::-1])
    assert all(sides[side].equals(again[side]) for side in SIDES)
    of_one = {side: sides[side].loc[sides[side]["group"] == "u0", "id"] for side in SIDES}
    assert of_one["train"].max() < of_one["validation"].min() < of_one["test"].min()


def test_small_groups_and_rows_of_none_teach_alone(workdir):
    frame = events()
    frame.loc[(frame["group"] == "u0") & (frame["created_at"].dt.hour > 8), "group"] = None
    sides, report = run(frame)
    assert "u0" not in set(sides["test"]["group"]) | set(sides["validation"]["group"])
    assert sum(map(len, sides.values())) == len(frame)
    assert sides["train"]["group"].isna().sum() == sides["train"]["group"].isna().to_numpy().sum() > 0
    assert report["groups"] == {"all": 6, "judged": 5}


def test_a_cut_at_one_time_is_told(workdir):
    _, report = run(events())
    cut = report["global_cut"]
    assert pd.Timestamp(cut["time"]) > pd.Timestamp("2026-01-15", tz="UTC")
    assert cut["train_after"] > 0 and cut["test_before"] > 0, "the last group begins after others have ended"


def test_what_cannot_be_split_by_time_is_said(workdir):
    frame = events()
    frame.loc[frame.index[:3], "created_at"] = pd.NaT
    with pytest.raises(DataError, match="3 of 120 rows have no time"):
        run(frame)
    with pytest.raises(DataError, match=r"validation, test is empty.*column that says whose row"):
        run(events().assign(group=None))
    with pytest.raises(DataError, match="needs 50 rows"):
        run(events(), group_min=50)


def test_every_share_is_kept_by_rounding(workdir):
    sides, _ = run(events(each=13))
    counts = np.array([len(sides[side]) for side in SIDES]) / 6
    assert counts.tolist() == [9, 1, 3]
