import hashlib

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from similar_texts import chinese, edited, english

from tasks.core.errors import SettingsError, SourceError
from tasks.core.files import sha256
from tasks.leakage import COLUMNS, SHOWN, LeakageSettings, ListedSet, examine, listed, search
from tasks.text import TextSettings, split_key

POLICY = TextSettings()
SETTINGS = LeakageSettings()


def table(texts, side, labels=None):
    return pd.DataFrame(
        {
            "id": [f"{side}-{n:04}" for n in range(len(texts))],
            "text": texts,
            "source": "made",
            "split_key": [split_key(text, POLICY.split_salt) for text in texts],
            "label": labels
            if labels is not None
            else ["good", "bad"] * (len(texts) // 2) + ["good"] * (len(texts) % 2),
        }
    )


@pytest.fixture(params=[english, chinese], ids=["english", "chinese"])
def sides(request):
    texts = request.param(700, np.random.default_rng(0))
    return {"train": table(texts[:500], "train"), "validation": table(texts[500:550], "validation"),
            "test": table(texts[550:], "test")}  # fmt: skip


def plant(sides, share, edit=0.0):
    """Copies of test rows put into train, with their labels; the ids that were copied."""
    rng = np.random.default_rng(1)
    copied = sides["test"].sample(frac=share, random_state=0)
    texts = [edited(text, edit, rng) for text in copied["text"]] if edit else copied["text"].tolist()
    extra = table(texts, "copy", copied["label"].tolist())
    return {**sides, "train": pd.concat([sides["train"], extra], ignore_index=True)}, set(copied["id"])


def outcomes(checks):
    return {check.name.removeprefix("leakage."): (check.value, check.outcome) for check in checks}


def test_nothing_is_found_where_nothing_is(sides):
    checks, rows = examine(sides, SETTINGS, POLICY)
    assert outcomes(checks) == {
        f"{side}.{how}": (0.0, "pass") for side in ("test", "validation") for how in ("exact", "near")
    }
    assert rows.empty
    assert list(rows.columns) == COLUMNS


def test_exact_copies_are_all_found_and_reject(sides):
    leaking, copied = plant(sides, 0.1)
    checks, rows = examine(leaking, SETTINGS, POLICY)
    assert outcomes(checks)["test.exact"] == (0.1, "reject")
    assert outcomes(checks)["test.near"] == (0.0, "pass")
    assert set(rows["id"]) == copied
    assert (rows["similarity"] == 1).all()
    assert rows["other_id"].str.startswith("copy-").all()
    assert (rows["why"] == "exact copy in train").all()


def test_copies_edited_in_a_tenth_of_their_characters_are_found_and_reject(sides):
    leaking, copied = plant(sides, 0.2, edit=0.1)
    checks, rows = examine(leaking, SETTINGS, POLICY)
    assert outcomes(checks)["test.near"][1] == "reject"
    assert outcomes(checks)["test.exact"] == (0.0, "pass")
    assert set(rows["id"]) <= copied
    assert len(set(rows["id"])) >= 0.95 * len(copied)


def test_case_white_space_and_what_cleaning_took_make_no_difference():
    train = table(["A film  worth\tseeing twice", "masked [EMAIL] text"], "train")
    test = table(["a FILM worth seeing twice", "masked [EMAIL] text"], "test")
    test.loc[1, "split_key"] = "f" * 32
    found = search(test, train, SETTINGS)
    assert found.found(exact=True) == 2
    assert found.found(exact=False) == 0
    assert len(found.pairs) == 2


def test_another_label_there_is_counted_listed_first_and_said():
    texts = ["one and the same sentence"] * 4
    train = table(texts, "train", ["good", "good", "bad", "bad"])
    test = table(texts[:1], "test", ["good"])
    (exact, *_), rows = examine({"train": train, "validation": test.iloc[:0], "test": test}, SETTINGS, POLICY)
    assert exact.note == "1 row, 1 with another label there"
    assert rows["other_id"].tolist() == ["train-0002", "train-0000"]
    assert rows["why"].tolist() == ["exact copy in train, where its label is bad", "exact copy in train"]


def test_a_row_with_many_copies_is_one_row_and_few_of_them_are_listed():
    copies = [f"a rather long sentence about a film, {n}" for n in range(40)]
    judged = table(["a rather long sentence about a film, x"] * 2, "test")
    sides = {"train": table(copies, "train"), "validation": table([], "none"), "test": judged}
    found, rows = examine(sides, SETTINGS, POLICY)
    assert outcomes(found)["test.near"] == (1.0, "reject")
    assert rows["id"].value_counts().tolist() == [SHOWN, SHOWN]


def test_validation_warns_alone(sides):
    leaking = {**sides, "train": pd.concat([sides["train"], sides["validation"]], ignore_index=True)}
    checks, _ = examine(leaking, SETTINGS, POLICY)
    assert outcomes(checks)["validation.exact"] == (1.0, "warn")
    assert outcomes(checks)["test.exact"] == (0.0, "pass")


def test_limits_are_those_of_the_settings(sides):
    leaking, _ = plant(sides, 0.1)
    checks, _ = examine(leaking, LeakageSettings(max_exact=0.1), POLICY)
    assert outcomes(checks)["test.exact"] == (0.1, "pass")


def test_the_near_search_is_bounded_says_so_and_misses_no_exact_copy(sides):
    leaking, copied = plant(sides, 0.1)
    checks, rows = examine(leaking, LeakageSettings(max_rows=40), POLICY)
    by_name = {check.name: check for check in checks}
    assert by_name["leakage.test.near"].rows == 40
    assert "looked for among 40 of" in by_name["leakage.test.near"].note
    assert by_name["leakage.test.exact"].rows == len(sides["test"])
    assert set(rows["id"]) == copied


def test_the_order_of_the_rows_does_not_matter(sides):
    leaking, _ = plant(sides, 0.2, edit=0.05)
    shuffled = {side: frame.sample(frac=1, random_state=2) for side, frame in leaking.items()}
    checks, rows = examine(leaking, SETTINGS, POLICY)
    again, same = examine(shuffled, SETTINGS, POLICY)
    assert checks == again
    assert rows.equals(same)


def write(path, frame):
    writers = {".csv": frame.to_csv, ".jsonl": None, ".parquet": frame.to_parquet}
    match path.suffix:
        case ".tsv":
            frame.to_csv(path, sep="\t", index=False)
        case ".jsonl":
            frame.to_json(path, orient="records", lines=True, force_ascii=False)
        case suffix:
            writers[suffix](path, index=False)
    return {"name": "public", "path": str(path), "sha256": sha256(path), "column": "review", "label": "said"}


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_a_listed_set_is_searched_for_in_train(tmp_path, sides, suffix):
    texts = [*sides["train"]["text"][:3].str.upper(), "<b>a text</b> that train does not hold"]
    given = write(tmp_path / f"set{suffix}", pd.DataFrame({"review": texts, "said": ["good", "good", "good", "bad"]}))
    checks, rows = examine(sides, LeakageSettings(sets=[given]), POLICY)
    assert outcomes(checks)["sets.public.exact"] == (0.75, "reject")
    assert rows["id"].tolist() == ["public:0", "public:1", "public:2"]
    assert rows["other_id"].tolist() == ["train-0000", "train-0001", "train-0002"]
    assert rows["why"].str.contains("where its label is bad").tolist() == [False, True, False]


def test_a_listed_text_is_cleaned_like_the_lines_own_and_keyed_before(tmp_path):
    given = write(
        tmp_path / "set.csv", pd.DataFrame({"review": ["<b>Fine</b> &amp; good", None], "said": ["good", "bad"]})
    )
    frame = listed(ListedSet(**given), POLICY)
    assert frame["text"].tolist() == ["Fine & good"]
    assert frame["split_key"].tolist() == [split_key("<b>Fine</b> &amp; good", POLICY.split_salt)]


def test_a_set_without_labels_has_no_other_label(tmp_path, sides):
    given = write(tmp_path / "set.csv", pd.DataFrame({"review": sides["train"]["text"][:2]})) | {"label": None}
    checks, _ = examine(sides, LeakageSettings(sets=[given]), POLICY)
    assert {check.name: check.note for check in checks}["leakage.sets.public.exact"] == "2 rows"


def test_an_unpinned_set_is_an_error_that_prints_the_pin(tmp_path):
    given = write(tmp_path / "set.csv", pd.DataFrame({"review": ["a text"]})) | {"sha256": None, "label": None}
    pin = hashlib.sha256((tmp_path / "set.csv").read_bytes()).hexdigest()
    with pytest.raises(SettingsError, match=rf"is not pinned \(.*sets, public\). Write sha256: {pin}"):
        listed(ListedSet(**given), POLICY)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sha256": "0" * 64}, "is not the file that params.yaml pins"),
        ({"path": "nowhere.csv"}, "is missing or is no file"),
        ({"column": "body"}, "has no column 'body'"),
    ],
)
def test_a_set_that_is_not_what_it_should_be_is_an_error(tmp_path, change, message):
    given = write(tmp_path / "set.csv", pd.DataFrame({"review": ["a text"]})) | {"label": None}
    with pytest.raises(SourceError, match=message):
        listed(ListedSet(**given | change), POLICY)


def test_a_file_that_is_no_table_is_an_error(tmp_path):
    path = tmp_path / "set.parquet"
    path.write_bytes(b"no parquet at all")
    with pytest.raises(SourceError, match="cannot be read as parquet"):
        listed(ListedSet(name="bad", path=str(path), sha256=sha256(path)), POLICY)


@pytest.mark.parametrize("names", [["one", "one"], ["test"], ["validation"]])
def test_names_of_sets_differ_from_one_another_and_from_the_sides(names):
    with pytest.raises(ValidationError, match="a name of its own"):
        LeakageSettings(sets=[{"name": name, "path": "x.csv"} for name in names])
