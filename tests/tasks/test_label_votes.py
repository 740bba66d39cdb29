"""Labels from votes, beside rows with ratings or a label of their own."""

import numpy as np
import pandas as pd
import pytest
from labelling import LINE, run, table

from tasks.core.errors import DataError
from tasks.core.files import read_json
from tasks.crowd.settings import METHODS


def votes(**said):
    return [{"who": who, "label": label} for who, label in said.items()]


def rows(given, labels=None):
    frame = table(labels=labels if labels is not None else [None] * len(given))
    frame["votes"] = given
    return frame


def team(n=40, seed=0):
    """Votes of three who are right and one who is right by chance, and the truth."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, n)
    names = np.array(["negative", "positive"])
    given = []
    for true in truth:
        right = rng.random(4) < [0.9, 0.9, 0.9, 0.5]
        given.append(votes(**{f"p{p}": names[true if is_right else 1 - true] for p, is_right in enumerate(right)}))
    return given, names[truth]


@pytest.mark.parametrize("method", METHODS)
def test_votes_decide_with_a_probability(workdir, method):
    given, truth = team()
    frame, report = run(rows(given), by="votes", votes={"method": method})
    assert set(frame["decided_by"]) == {"votes"}
    assert (frame["label"].to_numpy()[::-1] == truth).mean() > 0.9
    soft = np.stack(frame["soft"])
    assert soft.sum(axis=1) == pytest.approx(1, abs=1e-5)
    clear = ~np.isclose(soft[:, 0], 0.5)
    wanted = frame["label"].map({"negative": 0, "positive": 1})
    assert (soft.argmax(axis=1) == wanted)[clear].all()
    assert soft.max(axis=1) == pytest.approx(frame["confidence"], abs=1e-5)
    assert (frame["ambiguous"] == (frame["confidence"] < 0.7)).all()
    assert frame["agreement"].between(0, 1).all()
    wanted = {"method": method, "votes": 160, "people": 4, "by_votes": 40, "replaced": 0}
    assert wanted.items() <= report["votes"].items()
    alpha = report["krippendorff_alpha"]
    assert alpha["low"] < alpha["value"] < alpha["high"]
    assert alpha["metric"] == "nominal"


def test_the_last_vote_of_a_person_counts(workdir):
    given = [[*votes(a="negative"), *votes(a="positive", b="positive")], votes(a="negative", b="negative")]
    frame, report = run(rows(given), by="votes", votes={"method": "majority"})
    assert frame["label"].tolist() == ["negative", "positive"]
    assert frame["confidence"].tolist() == [1, 1]
    assert report["votes"]["replaced"] == 1


def test_a_tie_is_flagged_and_always_falls_the_same_way(workdir):
    given = [votes(a="negative", b="positive")] * 60
    first, report = run(rows(given), by="votes", votes={"method": "majority", "ambiguous_below": 0.3})
    assert first["ambiguous"].all()
    assert report["votes"]["ties"] == 60
    assert 15 < (first["label"] == "positive").sum() < 45
    again, _ = run(rows(given).sample(frac=1, random_state=1), by="votes", votes={"method": "majority"})
    assert again["label"].tolist() == first["label"].tolist()


def test_an_adjudicator_stands_above_the_votes(workdir):
    given = [*[votes(a="negative", b="negative")] * 3, [], votes(a="positive", b="positive")]
    frame, report = run(rows(given, ["positive", None, "negative", "positive", None]), by="votes")
    told = frame.set_index("id")
    assert told["label"].to_dict() == {"r005": "positive", "r004": "negative", "r003": "negative", "r002": "positive",
                                       "r001": "positive"}  # fmt: skip
    assert told["decided_by"].to_dict() == {"r005": "adjudicator", "r004": "votes", "r003": "adjudicator",
                                            "r002": "adjudicator", "r001": "votes"}  # fmt: skip
    assert told.loc["r005", "soft"] is None
    assert np.isnan(told.loc["r005", "confidence"])
    assert report["votes"]["by_adjudicator"] == 3


@pytest.mark.parametrize("method", METHODS)
def test_an_adjudicator_may_find_a_text_out_of_scope(workdir, method):
    given = [votes(a="negative", b="positive"), votes(a="negative", b="negative"), votes(a="positive", b="positive")]
    frame, report = run(rows(given, ["oos", None, None]), by="votes", out_of_scope="oos", votes={"method": method})
    assert frame["label"].tolist() == ["positive", "negative", "oos"]
    assert (report["out_of_scope"], report["labeled"]) == (1, 2)


def test_a_label_beside_rows_with_votes_is_renamed_as_well(workdir):
    given = [votes(a="negative", b="negative"), None]
    frame, _ = run(rows(given, [None, "good"]), by="votes", rename={"good": "positive"})
    assert frame["label"].tolist() == ["positive", "negative"]


def test_too_few_votes_are_no_label(workdir):
    given = [votes(a="negative"), votes(a="positive", b="positive"), votes(a="negative", b="negative"), []]
    frame, report = run(rows(given), by="votes", votes={"min_votes": 2})
    assert frame["id"].tolist() == ["r002", "r003"]
    assert report["left_out"]["too_few_votes"] == 2


@pytest.mark.parametrize("method", METHODS)
def test_without_overlap_nothing_tells_a_probability(workdir, method, caplog):
    given = [votes(**{f"p{n % 3}": "positive" if n % 2 else "negative"}) for n in range(12)]
    frame, report = run(rows(given), by="votes", votes={"method": method})
    assert len(frame) == 12
    assert frame[["confidence", "agreement"]].isna().all(axis=None)
    assert frame["soft"].isna().all()
    assert not frame["ambiguous"].any()
    assert report["krippendorff_alpha"] is None
    assert "No text was answered by two people" in caplog.text


@pytest.mark.parametrize("method", METHODS)
def test_one_person_alone_and_all_votes_equal(workdir, method):
    alone, _ = run(rows([votes(a="positive"), votes(a="negative")]), by="votes", votes={"method": method})
    assert alone["label"].tolist() == ["negative", "positive"]
    same = [votes(a="positive", b="positive", c="positive")] * 5
    frame, report = run(rows([*same, []], [*[None] * 5, "negative"]), by="votes", votes={"method": method})
    assert frame["label"].tolist() == ["negative", *["positive"] * 5]
    assert frame["confidence"].dropna().tolist() == pytest.approx([1] * 5, abs=0.1)
    assert report["krippendorff_alpha"] is None


def test_a_vote_for_an_unknown_label_is_an_error_that_names_and_counts(workdir):
    given = [votes(a="good"), votes(a="positive", b="positive"), votes(a="negative", b="x" * 99)]
    with pytest.raises(DataError, match=r"2 votes are for a label outside the set: 'good' \(1\).*rename") as error:
        run(rows(given), by="votes")
    assert "x" * 41 not in str(error.value)
    frame, _ = run(rows([*given[:2], votes(a="negative")]), by="votes", rename={"good": "positive"})
    assert frame["label"].tolist() == ["negative", "positive", "positive"]


@pytest.mark.parametrize("by", ["ratings", "column", "votes"])
def test_rows_with_votes_stand_beside_rows_with_a_label(workdir, by):
    frame, report = run(rows([votes(a="negative", b="negative"), None, None], [None, "positive", None]), by=by)
    assert frame["label"].tolist() == ["positive", "negative"]
    assert frame["decided_by"].tolist() == ["column", "votes"]
    assert frame["soft"].isna().tolist() == [True, False]
    assert sum(report["left_out"].values()) == 1
    assert "votes" in report
    assert read_json(LINE.file("label", "labels.json")) == ["negative", "positive"]


def test_rows_with_votes_stand_beside_rows_with_ratings(workdir):
    frame = table([[1, 2], [-1, -2], None])
    frame["votes"] = [None, None, votes(a="positive")]
    found, report = run(frame, by="ratings")
    assert found["decided_by"].tolist() == ["votes", "ratings", "ratings"]
    assert report["krippendorff_alpha"]["metric"] == "interval"


def test_without_votes_the_report_says_nothing_of_them(workdir):
    assert "votes" not in run(table([[1, 2], [-1, -2]]))[1]


def test_the_same_votes_give_the_same_bytes(workdir):
    def made(frame):
        run(frame, by="votes", votes={"method": "dawid_skene"})
        return [LINE.file("label", name).read_bytes() for name in ("labeled.parquet", "report.json")]

    frame = rows(team(20)[0])
    assert made(frame) == made(frame.sample(frac=1, random_state=3))


def test_a_person_whose_id_is_missing_has_no_vote(workdir):
    given = [[*votes(a="negative", b="negative"), {"who": None, "label": "positive"}], votes(a="positive")]
    frame, report = run(rows(given), by="votes")
    assert isinstance(frame, pd.DataFrame)
    assert report["votes"]["votes"] == 3
