from pathlib import Path

import pandas as pd
import pytest
import yaml
from conftest import ROOT

from tasks import behaviour, cases, report
from tasks.core.errors import SettingsError

LABELS = ["negative", "positive"]
FINE = {"name": "plain", "kind": "minimum", "expect": "positive", "templates": ["a {good} film"]}
MOVED = {"name": "moved", "kind": "invariance", "templates": ["a {good} film"], "perturb": ["typos"]}
LEXICONS = {"good": ["great", "lovely"]}


def load(content, tmp_path):
    path = tmp_path / "behaviour.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return behaviour.load(path, LABELS)


def refused(content, tmp_path):
    with pytest.raises(SettingsError) as error:
        load(content, tmp_path)
    assert error.value.exit_code == 2
    return str(error.value)


def with_test(test):
    return {"lexicons": LEXICONS, "tests": [test]}


def test_a_slot_of_the_test_stands_before_one_of_the_file(tmp_path):
    suite = load(with_test({**FINE, "slots": {"good": ["fine"]}}), tmp_path)
    assert suite.values(suite.tests[0]) == {"good": ("fine",)}


@pytest.mark.parametrize("empty", ["[]", "{}", "tests: []"])
def test_a_file_may_be_without_tests(empty, tmp_path):
    assert load(empty, tmp_path).tests == ()


@pytest.mark.parametrize(
    ("test", "message"),
    [
        ({**FINE, "expct": "positive"}, "unknown key (did you mean 'expect'?)"),
        ({**FINE, "kind": "minimal"}, "'minimum'"),
        ({**FINE, "expect": "postive"}, "expect is 'postive'; the line's labels are negative, positive"),
        ({**FINE, "templates": ["a {god} film"]}, "no slot 'god' (did you mean 'good'?)"),
        ({**FINE, "templates": ["a {} film"]}, "no slot ''"),
        ({**FINE, "templates": ["a {good.__class__} film"]}, "no slot 'good.__class__'"),
        ({**FINE, "templates": ["a {good film"]}, "is no template (expected '}' before end of string)"),
        ({**FINE, "templates": ["a {good!r} film"]}, "a slot is a name alone"),
        (
            {**FINE, "templates": ["{a}{b}{c}{d}{e}{f}{g}{h}{i}"], "slots": {c: ["x"] for c in "abcdefghi"}},
            "has 9 slots",
        ),
        ({**FINE, "templates": [True]}, "should be a valid string; given was True"),
        ({**FINE, "name": "kinds"}, "the name is taken"),
        ({**FINE, "name": "a.b"}, "must match"),
        ({**MOVED, "perturb": ["typo"]}, "'typos', 'casing' or 'punctuation'"),
        ({**MOVED, "perturb": []}, "needs one of perturb, swap, pairs and append; it has none"),
        ({**MOVED, "append": ["So."]}, "it has perturb and append"),
        ({**MOVED, "test_rows": 3}, "`templates` or a number of `test_rows`, and not both"),
        ({**MOVED, "perturb": [], "swap": "good", "templates": None, "test_rows": 3}, "test rows have none"),
        ({**MOVED, "perturb": [], "swap": "good", "templates": ["a film"]}, "has no {good}, which is what changes"),
        ({**MOVED, "perturb": [], "swap": "good", "slots": {"good": ["x"]}}, "needs two values or more"),
        ({**MOVED, "perturb": [], "append": ["in {place}"]}, "no slot 'place'"),
        ({**MOVED, "kind": "direction", "label": "good", "moves": "up"}, "label is 'good'; the line's labels"),
        ({**MOVED, "kind": "direction", "label": "positive", "moves": "sideways"}, "'up' or 'down'"),
    ],
)
def test_an_error_names_its_place_and_what_is_allowed(test, message, tmp_path):
    said = refused(with_test(test), tmp_path)
    assert "behaviour.yaml" in said
    assert message in said


def test_all_errors_are_said_at_once(tmp_path):
    tests = [FINE, {**FINE, "expect": "no"}, {**FINE, "name": "other", "templates": ["{x}", "{y}"]}]
    said = refused({"lexicons": LEXICONS, "tests": tests}, tmp_path).splitlines()
    assert len(said) == 4
    assert "the name is taken" in said[0]


@pytest.mark.parametrize(("text", "message"), [("a: [", "not readable as YAML"), ("3", "given was 3")])
def test_a_file_that_holds_no_tests_is_refused(text, message, tmp_path):
    assert message in refused(text, tmp_path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(SettingsError, match=r"is missing.*\[\] for none"):
        behaviour.load(tmp_path / "none.yaml")


def test_braces_can_be_written():
    assert behaviour.slots("{{a}} {b} {b} {c}") == ["b", "c"]


def test_the_tests_of_every_line_are_valid_and_those_of_sentiment_are_many():
    files = sorted(Path(ROOT, "data").glob("*/behaviour.yaml"))
    suites = {file.parent.name: behaviour.load(file) for file in files}
    sentiment = suites["sentiment"]
    templates = {template for test in sentiment.tests for template in getattr(test, "templates", None) or ()}
    assert len(templates) >= 60
    assert {test.kind for test in sentiment.tests} == {"minimum", "invariance", "direction", "fairness"}
    drawn = cases.expand(sentiment, {}, most=50, seed=0)
    assert len({(case.test, case.number) for case in drawn}) > 1000  # and some 1,000 of the line's own rows
    assert not [case.text for case in drawn if "{" in case.text or "  " in case.text]


def failing(**columns):
    row = {"test": "t", "kind": "minimum", "case": 0, "text": "x", "original": None, "passed": False, "before": None}
    return {**row, "expected": "positive", "predicted": "negative", "after": 0.4, **columns}


def frame(*rows):
    return pd.DataFrame(rows).astype({"before": "float64", "passed": bool})


def test_the_worst_examples_come_first():
    rows = [failing(text="near", after=0.49), failing(text="far", after=0.01), failing(text="fine", passed=True)]
    moved = [failing(test="m", text=f"{n}", original="o", before=0.9, after=n / 10) for n in range(9)]
    found = behaviour.worst_examples(frame(*rows, *moved, rows[0]), most=3)
    assert [row["text"] for row in found["t"]] == ["far", "near"]
    assert [row["text"] for row in found["m"]] == ["0", "1", "2"]
    assert behaviour.worst_examples(frame(*rows[2:])) == {}


def test_the_page_shows_failing_examples_escaped():
    rows = frame(failing(text="<b>bad</b>"), failing(test="who", text="a new", original="an old", before=0.9))
    counted = {"cases": 9, "failed": 1, "fail_rate": 1 / 9, "fail_rate_low": 0.02, "fail_rate_high": 0.435}
    flips = {name.replace("failed", "flipped").replace("fail_", "flip_"): value for name, value in counted.items()}
    metrics = {"behaviour": {"t": {"kind": "minimum", **counted}, "kinds": {}}, "fairness": {"who": flips}}
    page = report.render("behaviour.html.j2", behaviour=behaviour.overview(metrics, rows))
    assert "&lt;b&gt;bad&lt;/b&gt;" in page
    assert "<b>bad" not in page
    assert page.count("<details>") == 2
    assert "11.1%" in page
    assert "2.0 to 43.5%" in page
    assert report.render("behaviour.html.j2", behaviour=[]).strip() == ""


def test_an_empty_file_is_no_list_of_nothing(tmp_path):
    (tmp_path / "behaviour.yaml").write_text("# all gone\n")
    with pytest.raises(SettingsError, match=r"behaviour.yaml is empty. .*\[\] for none"):
        behaviour.load(tmp_path / "behaviour.yaml")
