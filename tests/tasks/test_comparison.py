import pytest

from tasks.comparison import CompareSettings, Difference, Part, objections, rounded, sentence
from tasks.core.errors import SettingsError
from tasks.core.settings import parse


def found(outcome="better", difference=0.012, low=0.003, high=0.021, rows=2136, metric="accuracy", needed=None):
    return Difference(
        metric=metric, rows=rows, challenger=0.8 + difference, champion=0.8, difference=difference,
        low=low, high=high, outcome=outcome, rows_needed=needed,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("difference", "words"),
    [
        (
            found(),
            "The challenger gets 1.2 points more right (0.3 to 2.1) on 2,136 rows that neither model has seen: better.",
        ),
        (
            found("worse", -0.05, -0.07, -0.03),
            "The challenger gets 5.0 points less right (3.0 to 7.0) on 2,136 rows that neither model has seen: worse.",
        ),
        (
            found("undecided", -0.004, -0.024, 0.016, needed=2_411),
            "The challenger gets 0.4 points less right (from 2.4 points less to 1.6 more) on 2,136 rows that neither "
            "model has seen: undecided; some 2,500 rows would decide.",
        ),
        (
            found("undecided", -0.02, -0.04, 0.0),
            "The challenger gets 2.0 points less right (0.0 to 4.0) on 2,136 rows that neither model has seen: "
            "undecided; it lies too near the margin for more rows to decide.",
        ),
        (
            found("not worse", 0.0001, -0.006, 0.006),
            "The challenger gets as many right (from 0.6 points less to 0.6 more) on 2,136 rows that neither model has "
            "seen: not worse.",
        ),
        (
            found("not worse", -0.004, -0.011, 0.003, metric="f1_macro"),
            "The challenger has a macro F1 0.4 points lower (from 1.1 points lower to 0.3 higher) on 2,136 rows that "
            "neither model has seen: not worse.",
        ),
        (
            found("better", 0.02, 0.01, 0.03, metric="ndcg_at_10"),
            "The challenger has an NDCG@10 2.0 points higher (1.0 to 3.0) on 2,136 rows that neither model has seen: "
            "better.",
        ),
    ],
)
def test_a_sentence_for_a_manager(difference, words):
    assert sentence(difference) == words


def test_the_same_release_is_said_to_be_the_same():
    assert "are the same release" in sentence(found("not worse", 0, 0, 0), same=True)


@pytest.mark.parametrize(
    ("overall", "old", "new", "said"),
    [
        ("better", None, None, []),
        ("not worse", None, None, []),
        ("worse", None, None, ["Over all rows the challenger is worse."]),
        ("undecided", None, None, ["Over all rows the challenger is undecided."]),
        ("better", "not worse", "better", []),
        ("better", "better", "better", []),
        ("better", "not worse", "not worse", ["On 2,136 rows of new sources it must be better and is not worse."]),
        ("better", "undecided", "better", ["On 2,136 rows of old sources it must be not worse and is undecided"]),
        ("better", "worse", "better", ["On 2,136 rows of old sources it must be not worse and is worse."]),
        ("better", None, "undecided", ["On 2,136 rows of new sources it must be better and is undecided"]),
    ],
)
def test_the_policy_for_old_and_new_sources(overall, old, new, said):
    parts = [Part(by="sources", name=n, found=found(o)) for n, o in (("old", old), ("new", new)) if o]
    against = objections(found(overall), parts, CompareSettings())
    assert len(against) == len(said)
    assert all(sentence.startswith(start) for sentence, start in zip(against, said, strict=True))


def test_params_can_ask_less_of_new_sources_and_more_of_old_ones():
    parts = [Part(by="sources", name=name, found=found("not worse")) for name in ("old", "new")]
    assert objections(found(), parts, CompareSettings(new_sources="not worse")) == []
    assert len(objections(found(), parts, CompareSettings(new_sources="not worse", old_sources="better"))) == 1


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"metrics": ["accuracy", "speed"]}, "metrics can be accuracy, f1_macro, .*there is no speed"),
        ({"metrics": ["f1_macro"]}, "decide_by must be one of metrics, which are f1_macro"),
        ({"metrics": []}, "which are none"),
        ({"margine": 0.1}, "did you mean 'margin'"),
        ({"variants": ["int4"]}, "compare.variants.0"),
    ],
)
def test_settings_that_do_not_fit_are_explained(block, message):
    with pytest.raises(SettingsError, match=message):
        parse(CompareSettings, block, "lines.a.compare")


def test_numbers_are_cut_to_what_means_something():
    assert rounded({"a": [1 / 3, 1, "x", None, True]}) == {"a": [0.333333, 1, "x", None, True]}
