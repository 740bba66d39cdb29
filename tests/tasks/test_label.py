import numpy as np
import pytest
from labelling import LINE, run, table
from pydantic import ValidationError

from tasks.core.errors import DataError, RejectedError
from tasks.core.files import read_json
from tasks.label import LabelSettings
from tasks.rows import LABELED
from tasks.verdict import Check


def test_the_label_is_the_side_of_the_mean(workdir):
    ratings = [[1, 2, 3], [-3, -1, -2], [0, 1, 0, 0], [-1, 1], None, []]
    frame, report = run(table(ratings))
    assert frame["id"].tolist() == ["r004", "r005", "r006"]
    assert frame["label"].tolist() == ["positive", "negative", "positive"]
    assert frame["ambiguous"].tolist() == [True, False, False]
    assert frame["rating_mean"].tolist() == [0.25, -2, 2]
    assert report["left_out"] == {"mean_is_neutral": 1, "no_ratings": 2}
    assert report["rows"] == 6
    assert report["labeled"] == 3
    assert report["labels"]["positive"] == {"rows": 2, "share": 2 / 3}
    assert report["sources"] == {"book": {"negative": 0, "positive": 2}, "film": {"negative": 1, "positive": 0}}
    assert report["ambiguous"] == {"rows": 1, "share": 1 / 3}
    assert report["krippendorff_alpha"]["rows"] == 4
    assert read_json(LINE.file("label", "labels.json")) == ["negative", "positive"]


def test_a_label_stands_where_a_row_has_no_ratings(workdir):
    ratings = [[1, 2, 3], [-3, -1], None, [], [2, 2], None]
    frame, report = run(table(ratings, ["negative", None, "positive", "negative", None, None]))
    assert frame.set_index("id")["label"].to_dict() == {
        "r006": "positive", "r005": "negative", "r004": "positive", "r003": "negative", "r002": "positive",
    }  # fmt: skip
    assert frame.set_index("id")["decided_by"].to_dict() == {
        "r006": "ratings", "r005": "ratings", "r004": "column", "r003": "column", "r002": "ratings",
    }  # fmt: skip
    assert frame.loc[frame["decided_by"] == "column", ["rating_mean", "agreement"]].isna().to_numpy().all()
    assert not frame.loc[frame["decided_by"] == "column", "ambiguous"].any()
    assert report["left_out"] == {"mean_is_neutral": 0, "no_ratings": 1}
    with pytest.raises(DataError, match="1 rows have a label outside the set: 'so so'"):
        run(table([[1, 2], None], [None, "so so"]))


def test_the_table_has_its_types(workdir):
    import pyarrow.parquet as pq

    run(table([[1, 2], [-1, -2]]))
    assert pq.read_schema(LINE.file("label", "labeled.parquet")).equals(LABELED)


def test_neutral_may_lie_elsewhere(workdir):
    frame, report = run(table([[5, 4], [1, 2], [3, 3]]), scale=(1, 5), neutral=3)
    assert dict(zip(frame["id"], frame["label"], strict=True)) == {"r003": "positive", "r002": "negative"}
    assert report["left_out"]["mean_is_neutral"] == 1


def test_one_rating_has_a_label_but_no_agreement(workdir):
    frame, _ = run(table([[2], [-2], [-1]]))
    assert frame["agreement"].isna().all()
    assert frame["confidence"].isna().all()


def test_ratings_off_the_scale_are_an_error(workdir):
    with pytest.raises(DataError, match=r"1 rows have a rating outside the scale -4 to 4.*label\.scale"):
        run(table([[44, 1], [-1, -2]]))


def test_one_class_only_is_an_error(workdir):
    with pytest.raises(DataError, match=r"No row has the label negative; there are positive \(2\)"):
        run(table([[1, 2], [3, 2]]))


def test_no_labeled_row_at_all_is_an_error(workdir):
    with pytest.raises(DataError, match="there are none at all"):
        run(table([[0, 0], None]))


def test_labels_of_a_column(workdir):
    frame, report = run(
        table(labels=["good", "bad", "pos", None]), by="column", labels=["bad", "good"], rename={"pos": "good"}
    )
    assert frame["label"].tolist() == ["good", "bad", "good"]
    assert set(frame["decided_by"]) == {"column"}
    assert frame[["rating_mean", "agreement", "confidence"]].isna().all(axis=None)
    assert not frame["ambiguous"].any()
    assert report["left_out"] == {"no_label": 1}
    assert report["krippendorff_alpha"] is None


def test_a_label_outside_the_set_is_an_error_that_names_and_counts(workdir):
    with pytest.raises(DataError) as error:
        run(table(labels=["good", "bad", "goood", "goood", "x" * 500]), by="column", labels=["bad", "good"])
    message = str(error.value)
    assert "3 rows" in message
    assert "'goood' (2)" in message
    assert "bad, good" in message
    assert "rename" in message
    assert "x" * 41 not in message


def test_a_third_label_without_a_row_is_an_error(workdir):
    with pytest.raises(DataError, match="No row has the label neutral"):
        run(table(labels=["good", "bad"]), by="column", labels=["bad", "neutral", "good"])


def test_a_rejected_batch_goes_no_further(workdir):
    rejected = Check(name="table row count", value=0, min=1, outcome="reject")
    with pytest.raises(RejectedError, match="table row count is 0, at least 1 is needed") as error:
        run(table([[1], [-1]]), check=rejected)
    assert error.value.exit_code == 3
    assert not LINE.file("label", "labeled.parquet").exists()


def test_copies_with_different_labels_are_counted(workdir):
    frame = table([[1, 2], [-1, -2], [2, 2]])
    frame["split_key"] = "0" * 32
    assert run(frame)[1]["copies_with_different_labels"] == 1


def test_the_same_rows_in_another_order_give_the_same_bytes(workdir):
    rng = np.random.default_rng(0)
    frame = table([list(rng.integers(-4, 5, 5).astype(float)) for _ in range(60)])
    run(frame)
    first = [(LINE.folder / "label" / n).read_bytes() for n in ("labeled.parquet", "labels.json", "report.json")]
    run(frame.sample(frac=1, random_state=1))
    again = [(LINE.folder / "label" / n).read_bytes() for n in ("labeled.parquet", "labels.json", "report.json")]
    assert first == again


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"labels": ["a", "a"]}, "must differ"),
        ({"labels": ["a", "b", "c"]}, "exactly two"),
        ({}, "exactly two"),
        ({"by": "column", "labels": ["a"]}, "null for all that the data have"),
        ({"labels": ["a", "b"], "neutral": 9}, "inside scale"),
        ({"labels": ["a", "b"], "rename": {"x": "a"}}, "belongs to by: column"),
        ({"by": "column", "labels": ["a", "b"], "rename": {"x": "odd"}}, "leads to odd"),
        ({"by": "column", "labels": None, "functions": {"shares": {"a": 0.5, "b": 0.5}}}, "a share for each label"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        LabelSettings(**settings)


def test_rows_out_of_scope_keep_a_label_that_is_none_of_the_models(workdir):
    labels = ["negative", "other", "positive", "oos", None]
    frame, report = run(table(labels=labels), by="column", out_of_scope="oos", rename={"other": "oos"})
    assert frame["label"].tolist() == ["oos", "positive", "oos", "negative"]
    assert read_json(LINE.file("label", "labels.json")) == ["negative", "positive"]
    assert (report["out_of_scope"], report["labeled"]) == (2, 2)
    assert report["labels"]["positive"] == {"rows": 1, "share": 0.5}
    with pytest.raises(DataError, match=r"a label outside the set: 'oos' \(1\)"):
        run(table(labels=["negative", "positive", "oos"]), by="column")


def test_a_label_of_the_model_cannot_be_out_of_scope():
    with pytest.raises(ValidationError, match="out_of_scope is positive, which is one of labels"):
        LabelSettings(labels=["negative", "positive"], out_of_scope="positive")


def test_without_names_the_labels_are_those_of_the_data(workdir):
    frame = table(labels=["refund", "lost", None, "card", "old"])
    found, report = run(frame, by="column", labels=None, rename={"old": "lost"})
    assert read_json(LINE.file("label", "labels.json")) == ["card", "lost", "refund"]
    assert found["label"].tolist() == ["lost", "card", "lost", "refund"]
    assert report["labels"]["lost"]["rows"] == 2


def test_without_names_what_is_out_of_scope_is_no_label(workdir):
    frame = table(labels=["card", "lost", "oos"])
    frame["votes"] = [None, None, None]
    _, report = run(frame, by="column", labels=None, out_of_scope="oos")
    assert read_json(LINE.file("label", "labels.json")) == ["card", "lost"] and report["out_of_scope"] == 1
    frame["votes"] = [None, None, [{"who": "a", "label": "oos"}]]
    with pytest.raises(DataError, match="oos"):  # people vote on labels; what is out of scope adjudicators say
        run(frame.assign(label=["card", "lost", None]), by="column", labels=None, out_of_scope="oos")


def test_without_names_a_label_that_lost_every_vote_is_none(workdir):
    frame = table(labels=["card", "lost", None])
    frame["votes"] = [None, None, [{"who": who, "label": label} for who, label in ("ac", "bc", "co")]]
    _, report = run(frame, by="column", labels=None, rename={"c": "card", "o": "other"})
    assert sorted(report["labels"]) == ["card", "lost"]


def test_data_with_one_label_teach_nothing(workdir):
    with pytest.raises(DataError, match="have 1 labels and a model needs two"):
        run(table(labels=["card", "card"]), by="column", labels=None)
