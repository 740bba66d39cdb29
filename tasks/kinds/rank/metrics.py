"""Evaluation of a ranking model: lists of all items for users, held against what they liked later."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks import behaviour, calibration
from tasks.core.errors import SettingsError
from tasks.core.files import read_parquet, write_json, write_parquet
from tasks.core.line import Line
from tasks.core.progress import progress
from tasks.kinds.common import behaviour as judged_behaviour
from tasks.kinds.common import metrics, scores
from tasks.kinds.rank.checkpoint import Checkpoint
from tasks.kinds.rank.shared import history, rankings, users
from tasks.kinds.rank.shared.rankings import Floats

if TYPE_CHECKING:
    import pandas as pd

    from tasks.evaluate import EvaluateSettings

BANDS = ("the most popular 1 %", "the next 9 %", "the next 40 %", "the other half", "new: nobody had it in train")
ENDS = (0.01, 0.1, 0.5)
EVENTS = (20, 60)
"""Where one slice of users by their history ends and the next begins."""


def evaluate(line: Line, settings: "EvaluateSettings", out: Path) -> None:
    """Rank all items for each user but those that the user has, and write what evaluate owes.

    Reads split/{train,validation,test}.parquet, behaviour.yaml, which must be empty, and train's checkpoint.
    """
    if behaviour.load(line.folder / "behaviour.yaml").tests:
        raise SettingsError(f"{line.folder}/behaviour.yaml has tests, but this line reads histories, not texts: [].")
    model = Checkpoint(line.folder / "train")
    sides = {side: answered(users.judged(line, side), model, settings) for side in users.BEFORE}
    test = sides["test"]
    train = read_parquet(line.file("split", "train.parquet"), ["label", "group"])
    counts = train.loc[train["group"].notna(), "label"].value_counts()
    popular = bands(counts, model.labels)
    told = figures(test, model) | {
        "ndcg_at_10_of_popularity": float(by_popularity(test, counts, model.labels, settings.batch_size).mean()),
        "slices": slices(test, popular),
        "validation": {"rows": len(sides["validation"]), **_means(sides["validation"])},
    }
    judged = calibration.judge(
        test["confidence"], test["predicted"] == test["label"], settings.calibration_bins, settings.draws, settings.seed
    )
    told["calibration"] = {
        "method": "temperature", "parameters": {"temperature": model.temperature}, "ece": judged.ece,
        "ece_debiased": judged.ece_debiased, "band_high": judged.band_high, "inside_band": judged.inside_band,
    }  # fmt: skip
    write_json(out / "metrics.json", metrics.plain(told))
    write_json(out / "calibration.json", {"method": "temperature", "temperature": model.temperature})
    write_json(
        out / "contract.json",
        {"schema_version": metrics.SCHEMA, "labels": model.labels, "max_length": model.longest},
    )
    for side, name in (("validation", "validation"), ("test", "predictions")):
        _write(out / f"{name}.parquet", sides[side])
    judged_behaviour.write(out / "behaviour.parquet", judged_behaviour.none())
    placed = [test[name].map(popular).to_numpy() for name in ("label", "predicted")]
    actual, predicted = (np.array([BANDS.index(band) for band in each], dtype=np.int64) for each in placed)
    table = scores.confusion(actual, predicted, len(BANDS))
    metrics.write_plots(out, table, list(BANDS), judged, test["confidence"].to_numpy())
    metrics.write_tables(out, test["label"].map(popular), placed[1], judged)


def answered(frame: "pd.DataFrame", model: Checkpoint, settings: "EvaluateSettings") -> "pd.DataFrame":
    """The rows with the list of each: listed and chances [TOP], predicted, confidence, and what the list is worth."""
    numbers = model.catalogue.numbers
    lists, chances = [], []
    with progress("lists", len(frame)) as bar:
        for found in model.scores(frame["text"].tolist(), settings.batch_size):
            lists.append(rankings.top(found))
            probabilities = calibration.apply({"method": "temperature", "temperature": model.temperature}, found)
            chances.append(np.take_along_axis(probabilities, lists[-1], axis=1))
            bar.update(len(found))
    listed, names = np.concatenate(lists), np.array(model.labels, dtype=object)
    targets = [np.array([numbers[item] for item in wanted], dtype=np.int64) for wanted in frame["targets"]]
    return frame.assign(
        listed=list(names[listed]),
        chances=list(np.concatenate(chances)),
        predicted=names[listed[:, 0]],
        confidence=np.concatenate(chances)[:, 0],
        ndcg=rankings.ndcg(listed, targets),
        recall=rankings.recall(listed, targets),
        reciprocal=rankings.reciprocal(listed, targets),
        hit=np.asarray(rankings.hits(listed, targets).any(axis=1)),
    )


def figures(test: "pd.DataFrame", model: Checkpoint) -> dict[str, Any]:
    """The figures at the top level of metrics.json, over users, with 95% intervals.

    `accuracy` is the share of users whose very next liked item stands first, `hit_at_10` of those with any in the list;
    `coverage` is the share of all items that stand in any list.
    """
    right = int((test["predicted"] == test["label"]).sum())
    low, high = scores.wilson(right, len(test))
    listed = {item for row in test["listed"] for item in row}
    return {
        "rows": len(test), "items": len(model.labels), "accuracy": right / len(test), "accuracy_low": low,
        "accuracy_high": high, **_means(test), "coverage": len(listed) / len(model.labels),
    }  # fmt: skip


def _means(test: "pd.DataFrame") -> dict[str, float]:
    found: dict[str, float] = {}
    for name, column in (("ndcg_at_10", "ndcg"), ("recall_at_10", "recall"), ("mrr_at_10", "reciprocal")):
        mean, low, high = scores.mean_interval(test[column].to_numpy(dtype=np.float64))
        found |= {name: mean, f"{name}_low": low, f"{name}_high": high}
    low, high = scores.wilson(int(test["hit"].sum()), len(test))
    return found | {"hit_at_10": float(test["hit"].mean()), "hit_at_10_low": low, "hit_at_10_high": high}


def bands(counts: "pd.Series[int]", labels: list[str]) -> "pd.Series[str]":
    """How popular each item is, by item; `counts` are its events in train."""
    import pandas as pd

    events = counts.reindex(labels).fillna(0).to_numpy()
    place = (1 + np.argsort(np.argsort(-events, kind="stable"))) / len(labels)
    band = np.array(BANDS, dtype=object)[np.searchsorted(ENDS, place, side="left")]
    return pd.Series(np.where(events > 0, band, BANDS[-1]), index=labels, dtype=object)


def slices(test: "pd.DataFrame", popular: "pd.Series[str]") -> dict[str, dict[str, Any]]:
    """Figures by source, by the events of a history, and by how popular the item is that was liked next."""
    events = test["text"].map(lambda text: len(history.read(text)))
    names = np.array([f"under {EVENTS[0]}", f"{EVENTS[0]} to {EVENTS[1] - 1}", f"{EVENTS[1]} or more"], dtype=object)
    ways = {
        "source": test["source"],
        "history": names[np.searchsorted(EVENTS, events, side="right")],
        "next item": test["label"].map(popular),
    }
    return {
        by: {str(name): {"rows": len(part), **_means(part)} for name, part in test.groupby(np.asarray(column))}
        for by, column in ways.items()
    }


def by_popularity(test: "pd.DataFrame", counts: "pd.Series[int]", labels: list[str], batch_size: int) -> Floats:
    """[users], NDCG of the list of what most have in train, without what a user has: what every model is to beat."""
    numbers = {item: number for number, item in enumerate(labels)}
    popular = counts.reindex(labels).fillna(0).to_numpy(dtype=np.float64)
    gains, batch_size = [], min(batch_size, rankings.together(len(labels)))
    for start in range(0, len(test), batch_size):
        part = test.iloc[start : start + batch_size]
        seen = history.seen([history.read(text) for text in part["text"]], numbers)
        lists = rankings.top(np.where(seen, -1.0, popular))
        gains.append(rankings.ndcg(lists, [np.array([numbers[item] for item in row]) for row in part["targets"]]))
    return np.concatenate(gains)


def _write(path: Path, test: "pd.DataFrame") -> None:
    """A row per user: what the list has, with the probability of each, and what it is worth; float32."""
    import pyarrow as pa

    text, number = pa.string(), pa.float32()
    kinds = {"listed": pa.list_(text), "chances": pa.list_(number), "hit": pa.bool_()}
    numbers = dict.fromkeys(("confidence", "ndcg", "recall", "reciprocal"), number)
    columns = ["id", "split_key", "source", "label", "predicted", *numbers, "hit", "listed", "chances"]
    schema = pa.schema([(name, {**kinds, **numbers}.get(name, text)) for name in columns])
    write_parquet(path, test[columns], schema)
