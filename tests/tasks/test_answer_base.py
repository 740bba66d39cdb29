"""What changes leave of a base: against a plain replay, and in words."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.answer_base import Change, Changes, Entry, text_id

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


def test_a_text_that_is_forgotten_leaves_no_trace_and_brings_nothing_back():
    secret, made = "of Anna", text_id("of Anna")
    changes = changed(
        {"added": [entry("2", "c", secret), entry(made, "c", secret), entry("6", "b")]},
        {"withdrawn": [made, "1"]},
        {"added": [entry("7", "b", secret)]},
    )
    left, gone = changes.without({secret}, {"6"})
    assert gone == 4
    assert (left.version, left.standing(IDS, LABELS)) == (3, ([2, 3], []))
    assert secret not in left.model_dump_json() and made not in left.model_dump_json()
    assert left.without({secret}, {"6"}) == (left, 0)


def test_what_took_the_place_of_a_forgotten_text_stays():
    changes = changed({"added": [entry("2", "c", "of Anna")]}, {"added": [entry("2", "b")]})
    assert changes.without({"of Anna"}, set())[0].standing(IDS, LABELS) == ([0, 2, 3], [entry("2", "b")])


OPERATION = st.one_of(
    st.builds(
        lambda name, label: {"added": [entry(name, label)]}, st.sampled_from([*IDS, "5"]), st.sampled_from("abcd")
    ),
    st.builds(lambda name: {"withdrawn": [name]}, st.sampled_from([*IDS, "5", *"abcd"])),
)


@settings(deadline=None)
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
