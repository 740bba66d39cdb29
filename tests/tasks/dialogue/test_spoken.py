"""Lines are kept where that changes no word, and nothing unmasked is kept for their sake."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.dialogue.spoken import MOST_LINES, one_line, plain
from tasks.text import TextSettings, clean

PIECES = [
    *(
        "\n",
        "\r\n",
        "\r",
        "\n\n\n",
        "\u2028",
        "\x0b",
        "\x1c",
        " ",
        "\t",
        "<b>",
        "</b>",
        "<br>",
        "&lt;",
        "&amp;",
        "é",
        "Ã³",
    ),
    *("hello", "jane@", "example.org", "4111 1111", "1111 1111", "020 7946", "0958", "Mr.", "My name is", "Ann Lee"),
]
STRICT = TextSettings(person="mask", national_id="mask", boilerplate=("sent from my phone",))


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=5)), max_size=20).map("".join))
def test_a_model_reads_what_it_always_read(text):
    for policy in (TextSettings(), STRICT):
        kept = plain(text, policy)
        assert one_line(kept) == clean(text, policy)
        assert "\n\n\n" not in kept and kept == kept.strip()
        assert plain(kept, policy) == kept


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Hello,\r\n\r\n\r\n  my order  is late.\nBye", "Hello,\n\nmy order is late.\nBye"),
        ("\n\nOne line\n", "One line"),
        ("I am\njane@example.org", "I am\n[EMAIL]"),
        ("card 4111 1111\n1111 1111, thanks\nbye", "card [CARD], thanks bye"),
        ("a <b\n>bold</b> word", "a bold word"),
        ("\n".join("x" * (MOST_LINES + 1)), " ".join("x" * (MOST_LINES + 1))),
        (" \n ", ""),
    ],
)
def test_lines_are_kept_where_no_mask_reaches_over_them(text, kept):
    assert plain(text, TextSettings()) == kept


def test_many_lines_take_no_long_time():
    started = time.perf_counter()
    plain("\n".join(["é <b>x</b> 020 7946 0958 a@b.example"] * MOST_LINES), STRICT)
    assert time.perf_counter() - started < 2
