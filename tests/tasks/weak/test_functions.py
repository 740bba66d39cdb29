"""Labelling functions out of a folder: which ones vote, and what is said of those that fail."""

import signal
import sys
import time

import pytest

from tasks.core.errors import DataError
from tasks.weak.functions import ABSTAINS, load, masked, votes

RULES = """
import re
from re import compile as build

def good(text: str) -> str | None:
    return "pos" if "good" in text else None

def bad(text: str) -> "str | None":
    return "neg" if re.search("bad", text) else None

def _helper(text: str) -> str | None:
    return "pos"

def counts(text: str, least: int) -> str | None:
    return None

def unannotated(text):
    return "pos"
"""
TEXTS = ["a good film", "a bad film", "good and bad", "nothing"]
IDS = ["r0", "r1", "r2", "r3"]
LABELS = ["neg", "pos"]


def write(folder, **files):
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return folder


def asked(folder, seconds=5.0, leave_out=()):
    return votes(load(folder, leave_out, seconds), IDS, TEXTS, LABELS, seconds)


def test_functions_of_the_form_vote_and_no_others(tmp_path):
    functions = load(write(tmp_path, rules=RULES, more=RULES), ["more.bad"], 5)
    assert [function.name for function in functions] == ["more.good", "rules.bad", "rules.good"]
    assert not (tmp_path / "__pycache__").exists()
    assert asked(tmp_path, leave_out=["more.bad", "more.good"]).tolist() == [[-1, 1], [0, -1], [0, 1], [-1, -1]]
    assert ABSTAINS == -1


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return text[1000]", r"raises IndexError in line 3 on row r0 \('x xxxx xxxx'\)"),
        ("return 'so so'", "gives 'so so', which is no label,"),
        ("return [text]", "gives a list, which is no label,"),
        ("raise SystemExit", "raises SystemExit in line 3"),
        ("return {}[text]", "raises KeyError in line 3"),
    ],
)
def test_a_function_that_fails_is_named_with_a_masked_example(tmp_path, body, said):
    write(tmp_path, broken=f"\ndef rule(text: str) -> str | None:\n    {body}\n", rules=RULES)
    with pytest.raises(DataError, match=said) as error:
        asked(tmp_path)
    assert f"{tmp_path}/broken.py: rule" in str(error.value)
    assert "good film" not in str(error.value)


@pytest.mark.parametrize("caught", ["", "    try:\n        loop()\n    except Exception:\n        pass\n"])
def test_a_function_that_hangs_is_named_and_what_it_swallows_does_not_save_it(tmp_path, caught):
    loop = "def loop():\n    while True:\n        pass\n\ndef rule(text: str) -> str | None:\n"
    write(tmp_path, slow=loop + (caught or "    loop()\n"))
    with pytest.raises(DataError, match=r"slow\.py: rule takes longer than 0\.1 s on row r0"):
        asked(tmp_path, seconds=0.1)


def test_a_slow_function_that_moves_on_is_waited_for(tmp_path):
    write(tmp_path, slow="import time\ndef rule(text: str) -> str | None:\n    time.sleep(0.06)\n")
    assert (asked(tmp_path, seconds=0.1) == ABSTAINS).all()


def test_the_timer_of_others_goes_on(tmp_path):
    rung = []
    before = signal.signal(signal.SIGALRM, lambda *_: rung.append(True))
    kept = signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        asked(write(tmp_path, rules=RULES))
        time.sleep(0.3)
        assert rung == [True]
    finally:
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, *kept)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def rule(text: str -> str:\n", r"broken\.py is no Python: .* in line 1"),
        ("\n1 / 0\n", r"broken\.py cannot be loaded: it raises ZeroDivisionError in line 2"),
        ("while True: pass\n", r"broken\.py takes longer than 0\.1 s to be loaded"),
        ("import no_such_module\n", r"raises ModuleNotFoundError in line 1 \(No module named 'no_such_module'\)"),
        ("x = 1\n", "holds no labelling function"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_named(tmp_path, text, said):
    before = sys.dont_write_bytecode
    with pytest.raises(DataError, match=said):
        load(write(tmp_path, broken=text), [], 0.1)
    assert sys.dont_write_bytecode == before


def test_a_function_to_leave_out_that_is_none_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"leave_out names rules\.godo; .* has rules\.bad, rules\.good"):
        load(write(tmp_path, rules=RULES), ["rules.godo"], 5)


def test_a_masked_text_shows_its_form_alone():
    assert masked("Call Ann, 0171-555! 你好") == "xxxx xxx, 9999-999! xx"
    assert masked("a" * 100) == "x" * 60 + "..."
