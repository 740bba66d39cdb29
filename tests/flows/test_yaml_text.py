"""Changes of YAML as text: what is meant changes, every other sign stays."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.yaml_text import append, block_of, replace
from tasks.core.errors import SettingsError

TEXT = """\
# head
lines:
  one:
    a: 1  # why
    many: [1, 2]
    # of the last key
    told: >-
      words over
      two lines

# of what follows
next: {x: 1}
deployments:
  - name: first
    schedules:
      - {slug: one}  # at night
  - name: second
    schedules: []
"""


def test_a_block_is_added_behind_the_last_one_and_before_comments_of_what_follows():
    made = append(TEXT, ("lines",), "two:\n  b: 2  # new")
    assert made.replace("  two:\n    b: 2  # new\n", "") == TEXT
    assert made.index("two lines") < made.index("  two:") < made.index("# of what follows")
    assert yaml.safe_load(made)["lines"]["two"] == {"b": 2}


def test_an_entry_is_added_to_the_list_of_a_named_entry():
    made = append(TEXT, ("deployments", ("name", "first"), "schedules"), "- {slug: two}")
    assert yaml.safe_load(made)["deployments"][0]["schedules"] == [{"slug": "one"}, {"slug": "two"}]
    assert "- {slug: one}  # at night\n      - {slug: two}\n  - name: second" in made


@pytest.mark.parametrize("path", [("next",), ("deployments", 1, "schedules"), ("lines", "one", "a")])
def test_what_is_no_block_takes_nothing(path):
    with pytest.raises(SettingsError, match="no block"):
        append(TEXT, path, "y: 2")


@pytest.mark.parametrize(
    "path", [("lins",), ("deployments", 7), ("deployments", ("name", "third")), ("next", "x", "y")]
)
def test_what_is_not_there_is_said(path):
    with pytest.raises(SettingsError, match="is missing"):
        append(TEXT, path, "y: 2")


def test_a_block_comes_with_its_comments_and_a_value_is_replaced_where_it_stands():
    block = block_of(TEXT, ("lines", "one"))
    assert block.startswith("a: 1  # why\n")
    assert block.endswith("two lines\n")
    assert "# of the last key" in block
    assert replace(TEXT, ("next", "x"), "a: b").replace("'a: b'", "1") == TEXT


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(min_size=1, max_size=5), inner)),
    max_leaves=8,
)


@settings(deadline=None)  # other tests may run beside it
@given(
    st.dictionaries(st.text(st.characters(codec="ascii"), min_size=1, max_size=5), VALUES, min_size=1, max_size=4),
    st.sampled_from(["", "# end\n", "\n  # of the block\n# of none\n"]),
)
def test_whatever_stands_there_the_rest_says_what_it_said(content, behind):
    given = yaml.safe_dump({"lines": content}, allow_unicode=True) + behind
    made = append(given, ("lines",), "a new one:\n  b: 2")
    assert yaml.safe_load(made)["lines"] == {**yaml.safe_load(given)["lines"], "a new one": {"b": 2}}
