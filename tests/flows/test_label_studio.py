"""Exchange with Label Studio: its published format, and itself where it is installed."""

import json
from pathlib import Path

import pytest
import yaml
from toy import toy_params

from flows.label_studio import export, take
from tasks.annotation.events import Event, Item, person_id, suspect
from tasks.annotation.journal import Journal
from tasks.core.errors import SettingsError, SourceError, TidegateError
from tasks.core.line import Line
from tasks.team import load_team

LINE = Line("toy")
TEAM = """people:
- {name: Ada, email: ada@example.org, roles: [annotator]}
- {name: Eve, email: eve@example.org, roles: [adjudicator]}
"""


@pytest.fixture
def journal(workdir, tiny_encoder):
    """A line with three items in its queue and one suspect."""
    Path("params.yaml").write_text(yaml.safe_dump(toy_params("reviews.csv", tiny_encoder)))
    Path("team.yaml").write_text(TEAM)
    found = Journal.of(LINE)
    guess = {"suggested": "positive", "probability": 0.7}
    found.add([Item(id=f"i{n}", text=f"text {n} <b>", rank=n, overlap=1 + n % 2, **guess) for n in range(3)])
    found.add([suspect("made-r1", "odd", "negative", "positive", 0.9, 0)])
    return found


def annotation(number, label=None, by=None, time="2026-03-01T10:00:00.123456Z", **more):
    """An annotation as Label Studio exports it."""
    choice = {"id": "x", "from_name": "label", "to_name": "text", "type": "choices", "origin": "manual"}
    result = [{**choice, "value": {"choices": [label]}}] if label else []
    return {
        "id": number, "completed_by": by or {"id": 1, "email": "ada@example.org", "first_name": "", "last_name": ""},
        "result": result, "was_cancelled": False, "ground_truth": False, "created_at": "2026-03-01T09:00:00Z",
        "updated_at": time, "draft_created_at": None, "lead_time": 4.5, "prediction": {}, "result_count": 0,
        "unique_id": f"u{number}", "task": 1, "project": 1, "parent_prediction": None,
    } | more  # fmt: skip


def exported(*annotations, item="i0", **more):
    """A file as Label Studio writes it, of one task."""
    task = {"id": 1, "data": {"text": "text", "item": item}, "annotations": list(annotations), "predictions": []}
    Path("ls.json").write_text(json.dumps([task | more]))
    return Path("ls.json")


def written(name, *texts):
    return {"from_name": name, "to_name": "text", "type": "textarea", "value": {"text": list(texts)}}


def test_tasks_and_interface(journal):
    journal.append(Event(item="i0", person="p", kind="answer", label="negative"))
    said = export("toy", Path("out.json"))
    tasks = json.loads(Path("out.json").read_text())
    assert "3 tasks are in out.json" in said
    assert [task["data"]["item"] for task in tasks] == ["suspect-made-r1", "i1", "i2"]
    assert tasks[1] == {"data": {"text": "text 1 <b>", "item": "i1", "rank": 1, "overlap": 2}}
    interface = Path("out.xml").read_text()
    assert '<Choice value="negative" hotkey="1" />' in interface
    assert '<Choice value="positive" hotkey="2" />' in interface


def test_suggestions_only_where_they_are_asked_for(journal):
    assert "4 tasks" in export("toy", Path("out.json"), suggestions=True, everything=True)
    (prediction,) = json.loads(Path("out.json").read_text())[2]["predictions"]
    assert prediction["score"] == 0.7
    assert prediction["result"][0]["value"] == {"choices": ["positive"]}


def test_what_cannot_be_exported_is_said(journal):
    with pytest.raises(SettingsError, match=r"ends with \.json"):
        export("toy", Path("out.csv"))
    journal.append(*(Event(item=item.id, person="e", kind="decide", label="positive") for item in journal.items()))
    with pytest.raises(TidegateError, match="Nothing of toy waits"):
        export("toy", Path("out.json"))


def test_answers_come_in_once_under_the_persons_own_id(journal):
    file = exported(annotation(1, "positive"), annotation(2, "negative", {"id": 2, "email": "eve@example.org"}))
    assert take("toy", file).startswith("2 new events of toy from 1 tasks; 0 were known.")
    assert take("toy", file).startswith("0 new events of toy from 1 tasks; 2 were known.")
    standing = Journal.of(LINE).state().standings["i0"]
    ada = standing.answers[person_id("Ada", load_team())]
    assert (ada.label, ada.seconds, ada.time.isoformat()) == ("positive", 4.5, "2026-03-01T10:00:00.123456+00:00")
    assert standing.state == "disagreed"


def test_a_changed_annotation_is_a_further_event_and_the_last_one_counts(journal):
    for minute, label in enumerate(["positive", "negative", "positive"]):
        take("toy", exported(annotation(1, label, time=f"2026-03-01T10:0{minute}:00Z")))
    take("toy", exported(annotation(1, "negative", time="2026-03-01T10:01:00Z")))  # an old export once more
    standing = Journal.of(LINE).state().standings["i0"]
    assert len(standing.events) == 3
    assert [event.label for event in standing.answers.values()] == ["positive"]


def test_skips_flags_comments_and_decisions(journal):
    flag = {"from_name": "flag", "to_name": "text", "type": "choices", "value": {"choices": ["flag"]}}
    take("toy", exported(annotation(1, was_cancelled=True)))
    take("toy", exported(annotation(2, result=[flag, written("comment", "ask ada@example.org")]), item="i1"))
    eve = {"id": 2, "email": "eve@example.org"}
    take("toy", exported(annotation(3, "positive", eve, ground_truth=True), item="suspect-made-r1"))
    take("toy", exported(annotation(4, "positive", ground_truth=True), annotation(5), item="i2"))
    found = Journal.of(LINE).state().standings
    ada = person_id("Ada", load_team())
    assert set(found["i0"].skips) == {ada} == set(found["i1"].flags)
    assert [event.comment for event in found["i1"].comments] == ["ask [EMAIL]"]
    assert found["suspect-made-r1"].decision.label == "positive"
    assert (found["i2"].decision, set(found["i2"].answers)) == (None, {ada})  # who is no adjudicator decides nothing


def test_users_known_by_number_alone(journal):
    said = take("toy", exported(annotation(1, "positive", 7)))
    assert "knows user 7 by number alone; --person 7=EMAIL" in said
    take("toy", exported(annotation(2, "positive", 8), item="i1"), ["8=ada@example.org"])
    assert set(Journal.of(LINE).state().standings["i1"].answers) == {person_id("Ada", load_team())}
    with pytest.raises(SettingsError, match="ID=EMAIL"):
        take("toy", Path("ls.json"), ["Ada"])


def test_a_task_that_somebody_made_there_is_known_by_its_text(journal):
    from tasks.annotation.events import item_id

    journal.add([Item(id=item_id("text"), text="text")])
    said = take("toy", exported(annotation(1, "positive"), data={"text": "text"}))
    assert said.startswith("1 new")
    assert "1 annotations are of texts that are not in the queue" in take(
        "toy", exported(annotation(1, "positive"), item="x")
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is no JSON"),
        ('{"a": 1}', "the whole: Input should be a valid list"),
        ('[{"id": 1}]', "0.data: Field required"),
        (None, "There is no file"),
        ([annotation(1, "sideways")], r"does not know: 'sideways' \(1\). Allowed are negative, positive"),
        ([annotation(1, created_at="yesterday")], "0.annotations.0.created_at"),
        ([annotation(2, result=2 * annotation(1, "positive")["result"])], "annotation 2: 2 labels"),
    ],
)  # fmt: skip
def test_what_is_no_export_is_said_and_nothing_is_kept(journal, content, said):
    if isinstance(content, list):
        exported(*content)
    elif content is not None:
        Path("ls.json").write_text(content)
    with pytest.raises(SourceError, match=said):
        take("toy", Path("ls.json"))
    assert not Journal.of(LINE).events()
