"""`tidegate label-report` as a user gives it."""

from pathlib import Path

import pytest
import toy
import yaml
from commands import tidegate
from conftest import labeled

from flows.label_report import report
from tasks.annotation.events import Event, Item, person_id
from tasks.annotation.journal import Journal
from tasks.core.errors import DataError
from tasks.core.files import write_json, write_parquet
from tasks.core.line import Line
from tasks.rows import LABELED, RAW
from tasks.team import load_team

LINE = Line("toy")
TEAM = {"people": [{"name": "Ada <b>", "email": "Ada@example.org", "roles": ["annotator"], "capacity_per_week": 3}]}


@pytest.fixture
def project(checkout, tiny_encoder):
    """A line `toy` whose queue Ada and somebody else answered."""
    toy.make_toy(checkout, tiny_encoder, checkout / "reviews.csv")
    Path("team.yaml").write_text(yaml.safe_dump(TEAM))
    journal, ada = Journal.of(LINE), person_id("Ada <b>", load_team())
    journal.add([Item(id=f"q{n}", text=f"the film was odd {n}", overlap=2) for n in range(20)])
    journal.append(
        *(
            Event(item=f"q{n}", person=who, kind="answer", label=label, seconds=5)
            for n in range(20)
            for who, label in ((ada, "positive"), ("5" * 12, "negative" if n % 3 else "positive"))
        )
    )
    return checkout


def test_the_queue_is_reported_with_names(project):
    said = report("toy", suspects=False)
    assert said.startswith("40 votes of 2 people on 20 texts")
    html = Path(".tidegate/reports/toy-labels.html").read_text()
    assert "Ada &lt;b&gt;" in html
    assert "555555555555" in html
    assert "Not asked for." in html
    assert "the film was odd" in html


def test_a_renamed_annotator_stays_one_person(project):
    renamed = {"people": [TEAM["people"][0] | {"name": "Ada King", "email": "ada@example.org"}]}
    Path("team.yaml").write_text(yaml.safe_dump(renamed))
    journal = Journal.of(LINE)
    journal.add([Item(id="new", text="one more")])
    event = Event(item="new", person=person_id("Ada King", load_team()), kind="answer", label="negative")
    journal.append(event)
    assert "41 votes of 2 people" in report("toy", suspects=False)
    html = Path(".tidegate/reports/toy-labels.html").read_text()
    assert "Ada King" in html
    assert "Ada &lt;b&gt;" not in html


def test_rows_of_other_sources_count_and_suspects_are_shown(project):
    frame = labeled(60)
    write_parquet(LINE.file("label", "labeled.parquet"), frame[LABELED.names], LABELED)
    write_json(LINE.file("label", "labels.json"), ["negative", "positive"])
    frame["votes"] = [[{"who": "x", "label": "positive"}, {"who": "y", "label": "positive"}]] * 60
    frame = frame.assign(ratings=None, label=None)
    write_parquet(LINE.file("ingest", "rows.parquet"), frame[RAW.names], RAW)
    done = tidegate("label-report", "toy", "--html", "page.html")
    assert done.returncode == 0, done.stdout
    assert "160 votes of 4 people on 80 texts" in done.stdout
    assert "<h2>Suspects</h2>" in Path("page.html").read_text()


def test_nobody_has_labelled_anything(checkout, tiny_encoder):
    toy.make_toy(checkout, tiny_encoder, checkout / "reviews.csv")
    with pytest.raises(DataError, match=r"toy has no votes.*tidegate annotate toy"):
        report("toy")
