"""What changes leave of a base: against a plain replay, and in words."""

from hypothesis import given
from hypothesis import strategies as st

from tasks.answer_base import Change, Changes, Entry

IDS, LABELS = ["1", "2", "3", "4"], ["a", "a", "b", "c"]


def changed(*changes):
    return Changes(line="toy", changes=tuple(Change(by="Mara", time="2026-01-01T00:00:00+00:00", **c) for c in changes))


def entry(name, label, text="t"):
    return Entry(id=name, text=text, label=label)


def test_an_entry_of_the_same_id_takes_the_place_of_the_old_one():
    places, added = changed({"added": [entry("2", "c")]}, {"added": [entry("2", "b")]}).standing(IDS, LABELS)
    assert places == [0, 2, 3]
    assert added == [entry("2", "b")]


def test_an_answer_that_is_withdrawn_goes_with_all_its_texts_and_may_come_back():
    changes = changed({"added": [entry("5", "a")]}, {"withdrawn": ["a"]})
    assert changes.standing(IDS, LABELS) == ([2, 3], [])
    again = changes.model_copy(update={"changes": (*changes.changes, *changed({"added": [entry("5", "a")]}).changes)})
    assert again.standing(IDS, LABELS) == ([2, 3], [entry("5", "a")])
    assert again.version == 3


OPERATION = st.one_of(
    st.builds(
        lambda name, label: {"added": [entry(name, label)]}, st.sampled_from([*IDS, "5"]), st.sampled_from("abcd")
    ),
    st.builds(lambda name: {"withdrawn": [name]}, st.sampled_from([*IDS, "5", *"abcd"])),
)


@given(st.lists(OPERATION, max_size=8))
def test_any_changes_are_a_replay(operations):
    expected = dict(zip(IDS, LABELS, strict=True))
    for operation in operations:
        for gone in operation.get("withdrawn", ()):
            expected = {name: label for name, label in expected.items() if gone not in (name, label)}
        expected |= {one.id: one.label for one in operation.get("added", ())}
    places, added = changed(*operations).standing(IDS, LABELS)
    left = {IDS[place]: LABELS[place] for place in places} | {one.id: one.label for one in added}
    assert left == expected
    assert len(places) + len(added) == len(expected)
