import shutil
from dataclasses import replace

import made
import pandas as pd
import pytest

from tasks.bundle import release_id
from tasks.compare import compare, kept
from tasks.comparison import CompareSettings
from tasks.core.errors import DataError, SettingsError
from tasks.core.files import read_json, read_parquet, write_json, write_parquet
from tasks.rivals import Release, refuse, unseen

SETTINGS = CompareSettings(draws=200, variants=("fp32",))


def sealed(folder, **changes):
    """The bundle with its manifest made anew."""
    made.resealed(folder, **changes)
    return folder


def opened(folder, settings=SETTINGS):
    return Release.open(folder, settings)


@pytest.fixture
def other(bundle, tmp_path):
    """A second release like the first."""
    folder = shutil.copytree(bundle, tmp_path / "other")
    (folder / "MODEL_CARD.md").write_text("another")
    return sealed(folder)


def turned(folder):
    """A release that always says the opposite: the labels of its outputs are exchanged."""
    return sealed(folder, turned=True, labels=made.LABELS[::-1])


def test_a_challenger_against_one_that_says_the_opposite(bundle, other, tmp_path):
    found = compare(opened(bundle), opened(turned(other)), SETTINGS, tmp_path / "out")
    assert (found.outcome, found.accepted, found.objections) == ("better", True, [])
    assert found.deciding.challenger == pytest.approx(0.9, abs=0.02)
    assert found.deciding.difference == pytest.approx(0.8, abs=0.03)
    assert found.counts.both == found.counts.neither == 0
    assert found.counts.challenger + found.counts.champion == found.rows == found.test_rows == 120
    assert found.mcnemar_p < 1e-10
    assert [difference.outcome for difference in found.differences] == ["better", "better"]
    assert {part.by for part in found.slices} == {"source", "length", "label"}
    back = compare(opened(other), opened(bundle), SETTINGS, tmp_path / "back")
    assert (back.outcome, back.accepted) == ("worse", False)
    assert back.objections == ["Over all rows the challenger is worse."]
    assert back.deciding.difference == -found.deciding.difference


def test_what_is_written(bundle, other, tmp_path):
    out = tmp_path / "out"
    found = compare(opened(bundle), opened(turned(other)), SETTINGS, out)
    rows = read_parquet(out / "rows.parquet")
    assert list(rows.columns) == [
        "id", "source", "label", "challenger", "challenger_confidence", "champion", "champion_confidence",
    ]  # fmt: skip
    assert len(rows) == found.rows
    assert (rows["challenger"] == rows["label"]).sum() == found.counts.challenger
    assert (rows["challenger"] != rows["champion"]).all()
    first = (out / "comparison.json").read_bytes()
    compare(opened(bundle), opened(other), SETTINGS, tmp_path / "again")
    assert (tmp_path / "again/comparison.json").read_bytes() == first
    assert (tmp_path / "again/compare.html").read_bytes() == (out / "compare.html").read_bytes()


def test_a_release_against_itself(bundle, tmp_path):
    release = opened(bundle)
    found = compare(release, release, SETTINGS, tmp_path / "out")
    assert (found.outcome, found.accepted, found.mcnemar_p) == ("not worse", True, 1)
    assert all((d.difference, d.low, d.high) == (0, 0, 0) for d in found.differences)
    assert "same release" in found.sentence
    assert f"are the same release, {release.id}." in found.warnings[0]


def test_rows_that_a_model_has_seen_are_left_out_and_counted(bundle, other, tmp_path):
    keys = read_parquet(other / "split_keys.parquet")
    test = keys.index[keys["side"] == "test"]
    keys.loc[test[:7], "side"] = "train"
    keys.loc[test[7:10], "side"] = "validation"
    write_parquet(other / "split_keys.parquet", keys)
    found = compare(opened(bundle), opened(sealed(other)), SETTINGS, tmp_path / "out")
    assert found.excluded == {
        "challenger train": 0, "challenger validation": 0, "champion train": 7, "champion validation": 3,
    }  # fmt: skip
    assert (found.test_rows, found.rows) == (120, 110)
    left = read_parquet(tmp_path / "out/rows.parquet")["id"]
    assert left.tolist() == [f"test{n}" for n in range(10, 120)]


def test_no_row_left_is_an_error(bundle, other):
    keys = read_parquet(other / "split_keys.parquet").assign(side="train")
    write_parquet(other / "split_keys.parquet", keys)
    release = opened(bundle)
    with pytest.raises(DataError, match=r"All 120 test rows .* were seen"):
        unseen(release.test(), release, opened(sealed(other)))


def test_keys_and_rows_that_do_not_go_together_are_an_error(bundle):
    write_parquet(bundle / "split_keys.parquet", read_parquet(bundle / "split_keys.parquet").iloc[:-1])
    with pytest.raises(DataError, match="120 test rows and 119 keys"):
        opened(sealed(bundle)).test()


def test_test_rows_have_the_keys_of_the_split(released, bundle):
    rows = opened(bundle).test()
    split = read_parquet(released / "data/sentiment/split/test.parquet")
    pd.testing.assert_frame_equal(rows, split[list(rows.columns)])


def test_new_sources_must_be_better(bundle, other, tmp_path):
    rows = read_parquet(other / "reference/rows.parquet").assign(source="reviews")
    write_parquet(other / "reference/rows.parquet", rows)
    found = compare(opened(bundle), opened(sealed(other)), SETTINGS, tmp_path / "out")
    assert [(part.name, part.found.rows) for part in found.sources] == [("old", 80), ("new", 40)]
    assert not found.accepted
    assert any("40 rows of new sources it must be better and is undecided" in said for said in found.objections)
    won = compare(opened(bundle), opened(turned(other)), SETTINGS, tmp_path / "won")
    assert won.accepted
    assert {part.found.outcome for part in won.sources} == {"better"}


def test_a_source_that_no_compared_row_comes_from_is_named(bundle, other, tmp_path):
    path = other / "evidence/ingest_provenance.json"
    write_json(path, {**read_json(path), "sources": {"items": 5}})  # they judge nothing, now as then
    rows = read_parquet(other / "reference/rows.parquet")
    rows.loc[rows.index[:5], "source"] = "tweets"
    write_parquet(other / "reference/rows.parquet", rows)
    found = compare(opened(bundle), opened(sealed(other)), SETTINGS, tmp_path / "out")
    assert found.warnings == [
        "No row of tweets, by which the champion was judged, is among those compared.",
    ]


def test_looks_at_one_test_set_are_counted(bundle, other, tmp_path):
    settings = SETTINGS.model_copy(update={"max_proposals": 2})
    challenger, champion = opened(bundle), opened(other)
    first = compare(challenger, champion, settings, tmp_path / "1")
    assert (first.proposals, first.warnings) == (1, [])
    earlier = {first.test_set: {"a", "b", challenger.id}, "another": {"c"}}
    second = compare(challenger, champion, settings, tmp_path / "2", earlier)
    assert second.proposals == 3
    assert second.warnings[0].startswith("3 challengers have been compared on this test set, more than 2")


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("manifest.json", {"kind": "rank"}, "task kinds are classify and rank"),
        (
            "manifest.json",
            {"labels": ["negative", "neutral", "positive"]},
            "only the first: none; only the second: neutral",
        ),
        ("text_policy.json", "salt", "different values of text.split_salt"),
    ],
)
def test_releases_that_cannot_be_compared_are_refused(bundle, other, name, change, message):
    if change == "salt":
        content = read_json(other / name)
        write_json(other / name, {**content, "settings": {**content["settings"], "split_salt": "pepper"}})
        change = {}
    with pytest.raises(SettingsError, match=message) as refused:
        refuse(opened(bundle), opened(sealed(other, **change)))
    assert refused.value.exit_code == 2
    assert "pepper" not in str(refused.value)


def test_labels_in_another_order_are_no_obstacle(bundle, other):
    refuse(opened(bundle), opened(turned(other)))


def test_the_variant_is_the_first_of_params_that_a_release_has(bundle):
    assert opened(bundle, CompareSettings()).variant == "int8"
    assert opened(bundle, SETTINGS).variant == "fp32"
    sealed(bundle, admissible=["fp32"])
    assert opened(bundle, CompareSettings()).variant == "fp32"
    with pytest.raises(SettingsError, match="no variant int8; it has fp32"):
        opened(bundle, CompareSettings(variants=("int8",)))


def test_a_kept_comparison_is_that_of_the_same_releases_settings_and_code(bundle, other, tmp_path):
    out, challenger, champion = tmp_path / "out", opened(bundle), opened(other)
    assert kept(out, challenger, champion, SETTINGS) is None
    found = compare(challenger, champion, SETTINGS, out)
    assert kept(out, challenger, champion, SETTINGS) == found
    assert kept(out, challenger, champion, SETTINGS.model_copy(update={"margin": 0.03})) is None
    assert kept(out, replace(challenger, variant="int8"), champion, SETTINGS) is None
    assert kept(out, champion, challenger, SETTINGS) is None
    write_json(out / "comparison.json", {**read_json(out / "comparison.json"), "code": "of yesterday"})
    assert kept(out, challenger, champion, SETTINGS) is None
    (out / "comparison.json").write_text("{")
    assert kept(out, challenger, champion, SETTINGS) is None


def test_the_page_shows_markup_of_the_data_as_text(bundle, other, tmp_path):
    evil = "<script>alert(1)</script>"
    rows = read_parquet(bundle / "reference/rows.parquet")
    rows["text"] = evil + " " + rows["text"]
    rows["source"] = evil
    write_parquet(bundle / "reference/rows.parquet", rows)
    compare(opened(sealed(bundle)), opened(turned(other)), SETTINGS, tmp_path / "out")
    html = (tmp_path / "out/compare.html").read_text()
    assert "<script" not in html
    assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 20
    assert release_id(bundle) in html
    assert html.count("data:image/png;base64,") == 1
    assert "http" not in html.replace("http-equiv", "")
