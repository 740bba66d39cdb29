import hashlib

import numpy as np
import pandas as pd
import pytest
from conftest import labeled
from pydantic import ValidationError

from tasks.core.errors import DataError
from tasks.core.files import read_json, write_json, write_parquet
from tasks.core.line import Line
from tasks.rows import LABELED
from tasks.scope import FILE as OUT_OF_SCOPE
from tasks.split import PLACES, RESERVE, SIDES, SplitSettings, near_duplicates, side_of, split

LINE = Line("made")


def run(frame, labels=("negative", "positive"), **settings):
    write_parquet(LINE.file("label", "labeled.parquet"), frame[LABELED.names], LABELED)
    write_json(LINE.file("label", "labels.json"), list(labels))
    out = LINE.folder / "split"
    split(LINE, SplitSettings(**settings), out)
    return {side: pd.read_parquet(out / f"{side}.parquet") for side in SIDES}, read_json(out / "report.json")


def keys(count):
    return pd.Series([hashlib.blake2b(str(n).encode(), digest_size=16).hexdigest() for n in range(count)])


def test_the_side_is_where_the_first_64_bits_fall():
    edges = pd.Series([f"{int(share * 2**64):016x}" + "f" * 16 for share in (0, 0.69, 0.71, 0.79, 0.81, 0.99)])
    found = side_of(edges, SplitSettings()).tolist()
    assert found == ["train", "train", "validation", "validation", "test", "test"]
    assert side_of(pd.Series(["f" * 32]), SplitSettings()).tolist() == ["test"]


def test_the_shares_are_kept():
    counts = pd.Series(side_of(keys(20_000), SplitSettings())).value_counts(normalize=True)
    assert counts["train"] == pytest.approx(0.7, abs=0.01)
    assert counts["validation"] == pytest.approx(0.1, abs=0.01)


def test_a_key_that_is_no_hash_is_an_error():
    with pytest.raises(DataError, match="1 rows have a split_key that is no hash"):
        side_of(pd.Series(["0" * 32, "text"]), SplitSettings())


def test_a_row_never_changes_side_when_rows_come_or_go(workdir):
    frame = labeled(400)
    first, _ = run(frame)
    second, _ = run(frame.iloc[::2])
    for side in SIDES:
        assert set(second[side]["id"]) == set(first[side]["id"]) & set(frame["id"].iloc[::2])


def test_every_row_is_on_one_side_sorted_by_id(workdir):
    frame = labeled(300)
    sides, report = run(frame)
    assert sorted(pd.concat(sides.values())["id"]) == sorted(frame["id"])
    assert all(part["id"].is_monotonic_increasing for part in sides.values())
    assert report["rows"] == 300
    assert sum(side["rows"] for side in report["sides"].values()) == 300
    assert report["exact_duplicates_across_sides"] == 0
    assert 0 < report["chi_square_p"] <= 1
    assert sum(report["sides"]["test"]["label_shares"].values()) == pytest.approx(1)


def test_the_reserve_is_taken_from_train_alone(workdir):
    frame = labeled(400)
    whole, _ = run(frame)
    sides, report = run(frame, train=0.6, reserve=0.1)
    reserved = pd.read_parquet(LINE.folder / "split" / f"{RESERVE}.parquet")
    assert set(sides["validation"]["id"]) == set(whole["validation"]["id"])
    assert set(sides["test"]["id"]) == set(whole["test"]["id"])
    assert set(sides["train"]["id"]) | set(reserved["id"]) == set(whole["train"]["id"])
    assert 0 < len(reserved) == report["reserved"] and not set(reserved["id"]) & set(sides["train"]["id"])
    assert report["rows"] + len(reserved) == 400


def test_what_cleaning_made_equal_to_a_reserved_row_is_not_reserved(workdir):
    frame = labeled(400)
    frame.loc[:199, "text"] = "call <phone>"
    run(frame, train=0.4, reserve=0.3)
    assert "call <phone>" not in set(pd.read_parquet(LINE.folder / "split" / f"{RESERVE}.parquet")["text"])


def test_copies_of_a_text_are_on_one_side(workdir):
    frame = labeled(300)
    copies = frame.iloc[:100].assign(id=[f"copy{n}" for n in range(100)], text=lambda f: f["text"].str.upper())
    sides, _ = run(pd.concat([frame, copies]))
    where = pd.concat([part.assign(side=side) for side, part in sides.items()])
    assert (where.groupby("split_key")["side"].nunique() == 1).all()


def test_texts_that_cleaning_made_equal_leave_train_and_stay_in_test(workdir):
    frame = labeled(400)
    frame.loc[:199, "text"] = "call <phone>"
    sides, report = run(frame)
    same = {side: int((part["text"] == "call <phone>").sum()) for side, part in sides.items()}
    assert same["train"] == same["validation"] == 0
    assert same["test"] > 20
    assert report["dropped"]["exact_copies"] == 200 - same["test"]
    assert report["exact_duplicates_across_sides"] == 0


def test_ambiguous_rows_leave_train_alone(workdir):
    frame = labeled(400)
    frame["ambiguous"] = np.arange(400) % 4 == 0
    with_them, kept = run(frame)
    without, dropped = run(frame, drop_ambiguous_from_train=True)
    assert kept["dropped"]["ambiguous_from_train"] == 0
    assert dropped["dropped"]["ambiguous_from_train"] == with_them["train"]["ambiguous"].sum() > 0
    assert not without["train"]["ambiguous"].any()
    assert without["test"].equals(with_them["test"])


@pytest.mark.parametrize(
    ("before", "after", "ngram"),
    [
        (
            "the long and winding story of a film that never ends",
            "The long and winding story of a film that  never end",
            4,
        ),
        (
            "这部电影的故事非常感人，演员的表演也十分出色，值得一看",
            "这部电影的故事非常感人，演员的表演也十分出色，值得看",
            2,
        ),
    ],
)
def test_near_duplicates_across_sides_are_found(before, after, ngram):
    frame = pd.DataFrame(
        {"id": ["a", "b", "c", "d"], "text": [before, after, "something else", before], "side": ["train", "test"] * 2}
    )
    frame.loc[3, "side"] = "validation"
    found = near_duplicates(frame, SplitSettings(ngram=ngram))
    assert found["examples"] == [["a", "b"], ["a", "d"], ["b", "d"]]
    assert found["rows"] == {"train": 1, "validation": 1, "test": 1}
    assert not found["sampled"]
    assert before not in str(found)


def test_texts_on_the_same_side_or_unlike_are_no_near_duplicates():
    frame = pd.DataFrame({"id": list("abc"), "text": ["one good film", "one good film!", "no"], "side": "train"})
    frame.loc[2, "side"] = "test"
    assert near_duplicates(frame, SplitSettings(near_duplicates=0.5))["pairs"] == 0


def test_the_search_for_near_duplicates_is_bounded_and_says_so():
    frame = labeled(300).assign(side="train")
    found = near_duplicates(frame, SplitSettings(max_rows=50))
    assert (found["rows_looked_at"], found["sampled"]) == (50, True)
    assert found == near_duplicates(frame, SplitSettings(max_rows=50))


def test_a_side_that_lacks_a_label_is_an_error_with_advice(workdir):
    frame = labeled(200)
    frame.loc[side_of(frame["split_key"], SplitSettings()) == "test", "label"] = "positive"
    with pytest.raises(DataError, match=r"test has no row of negative\. There are 200 rows.*label\.rename"):
        run(frame)


def test_an_empty_side_is_an_error_with_advice(workdir):
    frame = labeled(200)
    frame["split_key"] = "0" * 32
    with pytest.raises(DataError, match="validation is empty; test is empty"):
        run(frame)


def test_the_same_rows_in_another_order_give_the_same_bytes(workdir):
    frame = labeled(200)
    names = [*(f"{side}.parquet" for side in SIDES), "report.json"]
    run(frame)
    first = [(LINE.folder / "split" / name).read_bytes() for name in names]
    run(frame.sample(frac=1, random_state=3))
    assert first == [(LINE.folder / "split" / name).read_bytes() for name in names]


def test_shares_must_sum_to_one():
    with pytest.raises(ValidationError, match=r"must sum to 1; they sum to 1\.2"):
        SplitSettings(train=0.9)
    assert SplitSettings(train=0.8, validation=0.1, test=0.1)


def test_rows_that_may_not_judge_are_in_train_or_nowhere(workdir):
    frame = pd.concat([labeled(400), labeled(300, seed=1, source="pseudo")], ignore_index=True)
    frame["id"] = [f"r{n:04}" for n in range(700)]
    frame.loc[frame.index[300:400], "decided_by"] = "functions"
    weak = set(frame["id"].iloc[300:])
    sides, report = run(frame, train_only_sources=["pseudo"])
    assert not weak & {*sides["validation"]["id"], *sides["test"]["id"]}
    alone, _ = run(frame.iloc[:300])
    for side in SIDES:
        assert set(sides[side]["id"]) - weak == set(alone[side]["id"]), "people's rows stay where they were"
    assert report["weak"]["in_train"] == len(weak & set(sides["train"]["id"])) > 200
    assert report["weak"]["in_train"] + report["weak"]["left_out"] == 400
    sides, _ = run(frame, functions_judge=True, train_only_sources=["pseudo"])
    assert set(frame["id"].iloc[300:400]) & set(sides["test"]["id"])


def test_what_people_labelled_is_not_learned_from_a_guess_too(workdir):
    frame = labeled(300)
    guess = frame.assign(id=[f"p{n}" for n in range(300)], source="pseudo")
    sides, report = run(pd.concat([frame, guess]), train_only_sources=["pseudo"])
    assert set(sides["train"]["source"]) == {"made"}
    assert report["weak"] == {"in_train": 0, "left_out": 300}


def test_a_later_guess_takes_the_place_of_an_earlier_one(workdir):
    first = labeled(300, seed=1, source="pseudo")
    first["created_at"] = pd.Timestamp("2026-01-01", tz="UTC")
    second = first.assign(label="negative", created_at=pd.Timestamp("2026-02-01", tz="UTC")).iloc[:200]
    for order in ([second, first], [first, second]):
        frame = pd.concat([labeled(300).assign(id=[f"m{n}" for n in range(300)]), *order], ignore_index=True)
        train = run(frame, train_only_sources=["pseudo"])[0]["train"].query("source == 'pseudo'")
        assert train["id"].is_unique
        assert set(train.loc[train["id"].isin(second["id"]), "label"]) == {"negative"}
        assert "positive" in set(train["label"])


def test_weak_rows_alone_leave_nothing_to_judge_by(workdir):
    with pytest.raises(DataError, match=r"validation is empty; test is empty.*the others need labels by people"):
        run(labeled(100).assign(decided_by="functions"))


def test_rows_out_of_scope_are_on_no_side_and_move_none(workdir):
    known, odd = labeled(400), labeled(300, seed=5).assign(label="oos")
    odd["id"] = "odd-" + odd["id"]
    alone, without = run(known, train=0.6, reserve=0.1)
    sides, report = run(pd.concat([known, odd]), train=0.6, reserve=0.1)
    found = pd.read_parquet(LINE.folder / "split" / OUT_OF_SCOPE)
    assert sorted(found["id"]) == sorted(odd["id"])
    assert found["side"].tolist() == side_of(found["split_key"], SplitSettings(train=0.6, reserve=0.1)).tolist()
    for side in SIDES:
        pd.testing.assert_frame_equal(sides[side], alone[side])
    assert "oos" not in set(pd.read_parquet(LINE.folder / "split" / f"{RESERVE}.parquet")["label"])
    assert report.pop("out_of_scope") == {side: int((found["side"] == side).sum()) for side in PLACES}
    assert report == without


def test_a_text_out_of_scope_does_not_stand_on_an_earlier_side_as_well(workdir):
    frame = pd.concat([labeled(300), labeled(300, seed=5).assign(label="oos")], ignore_index=True)
    frame["text"] = ["the same text" if n >= 299 else text for n, text in enumerate(frame["text"])]
    frame["id"] = [f"r{n}" for n in range(600)]
    run(frame)
    found = pd.read_parquet(LINE.folder / "split" / OUT_OF_SCOPE)
    assert set(found["side"]) == {"test"}


def test_the_base_is_in_train_as_a_whole_and_its_copies_leave_the_other_sides(workdir):
    frame = labeled(400)
    frame["source"] = np.where(np.arange(400) < 100, "answers", "questions")
    frame.loc[100:109, "text"] = frame["text"].iloc[:10].tolist()
    before, _ = run(frame)
    sides, report = run(frame, base_sources=["answers"])
    assert set(frame["id"][:100]) <= set(sides["train"]["id"]) and not set(frame["id"][:100]) <= set(
        before["train"]["id"]
    )
    others = pd.concat([sides["validation"], sides["test"]])
    assert set(others["source"]) == {"questions"}
    assert not set(others["text"]) & set(frame["text"][:10])
    assert report["exact_duplicates_across_sides"] == 0


def test_a_label_may_lack_a_row_where_sides_need_not_be_complete(workdir):
    frame = labeled(400)
    frame.loc[frame.index[:1], ["label", "source"]] = ["rare", "answers"]
    labels = ("negative", "positive", "rare")
    with pytest.raises(DataError, match="has no row of rare"):
        run(frame, labels, base_sources=["answers"])
    sides, report = run(frame, labels, base_sources=["answers"], complete_sides=["train"])
    assert (sides["train"]["label"] == "rare").sum() == 1
    assert report["sides"]["test"]["labels"]["rare"] == 0
    with pytest.raises(DataError, match="train has no row of unseen"):
        run(frame, (*labels, "unseen"), complete_sides=["train"], base_sources=["answers"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"complete_sides": ["test"]}, "must name train"),
        ({"base_sources": ["a"], "train_only_sources": ["a", "b"]}, "a stands in base_sources and in train_only"),
    ],
)
def test_settings_of_sides_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        SplitSettings(**settings)
