"""Two files that only grow."""

import multiprocessing
import threading

import pytest

from tasks.annotation.events import Event, Item, suspect
from tasks.annotation.journal import Journal
from tasks.core.line import Line


def answer(number, item="a", person="p"):
    return Event(id=f"e{number}", item=item, person=person, kind="answer", label="yes")


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "line")


def test_what_is_kept_is_read_by_another(journal):
    assert journal.add([Item(id="a", text="ü\n"), Item(id="b", text="B")]) == 2
    assert journal.append(answer(1), answer(2)) == 2
    other = Journal(journal.folder)
    assert other.items() == journal.items()
    assert other.events() == journal.events()
    assert len(other.state().standings["a"].events) == 2
    journal.append(answer(3))
    assert len(other.state().standings["a"].events) == 3
    assert other.knows("e3")


def test_nothing_is_kept_twice_or_changed(journal):
    journal.add([Item(id="a", text="A"), Item(id="a", text="other")])
    assert journal.add([Item(id="a", text="third")]) == 0
    journal.append(answer(1))
    assert Journal(journal.folder).append(answer(1, item="b")) == 0
    assert [item.text for item in journal.items()] == ["A"]
    assert [event.item for event in journal.events()] == ["a"]


def test_nobody_but_the_owner_reads_it(journal):
    journal.append(answer(1))
    assert journal.folder.stat().st_mode & 0o077 == 0
    assert Journal.of(Line("sentiment")).folder.as_posix() == ".tidegate/annotation/sentiment"


def test_a_line_that_a_kill_cut_is_said_and_the_next_one_is_whole(journal):
    journal.append(answer(1))
    path = journal.folder / "events.jsonl"
    path.write_bytes(path.read_bytes() + answer(2).model_dump_json().encode()[:30])
    other = Journal(journal.folder)
    assert [event.id for event in other.events()] == ["e1"]
    assert "line 2 is cut" in other.warnings[0]
    assert other.append(answer(3)) == 1
    assert [event.id for event in other.events()] == ["e1", "e3"]
    assert [event.id for event in Journal(journal.folder).events()] == ["e1", "e3"]
    assert "line 2 is left out" in Journal.warnings.fget(other)[0]


def test_a_line_without_its_end_is_kept_and_known(journal):
    journal.append(answer(1))
    path = journal.folder / "events.jsonl"
    path.write_bytes(path.read_bytes() + answer(2).model_dump_json().encode())
    assert Journal(journal.folder).append(answer(2)) == 0
    assert [event.id for event in Journal(journal.folder).events()] == ["e1", "e2"]


def test_a_broken_line_is_named_and_costs_nothing_else(journal, caplog):
    journal.append(answer(1), answer(2), answer(3))
    path = journal.folder / "events.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b'{"secret": "Ada"}\n\n\xff\n' + lines[1] + lines[2])
    other = Journal(journal.folder)
    assert [event.id for event in other.events()] == ["e1", "e2", "e3"]
    assert [said.split("line ")[1][:13] for said in other.warnings] == ["2 is left out", "4 is left out"]
    assert "Ada" not in caplog.text
    caplog.clear()
    other.append(answer(4))
    assert not caplog.text


def _write(folder, start):
    for number in range(start, start + 20):
        Journal(folder).append(answer(number))


def test_threads_and_processes_write_side_by_side(journal):
    spawn = multiprocessing.get_context("fork")
    makers = ((0, spawn.Process), (100, threading.Thread))
    several = [make(target=_write, args=(journal.folder, start)) for start, make in makers]
    for one in several:
        one.start()
    for one in several:
        one.join()
    assert {event.id for event in journal.events()} == {f"e{n}" for n in (*range(20), *range(100, 120))}
    assert not journal.warnings


def test_a_file_put_in_its_place_is_read_anew(journal):
    journal.append(*map(answer, range(5)))
    (journal.folder / "events.jsonl").write_bytes(answer(9).model_dump_json().encode() + b"\n")
    assert [event.id for event in journal.events()] == ["e9"]
    journal.add([Item(id="a", text="A")])
    assert [event.id for event in journal.state().standings["a"].events] == ["e9"]


def test_what_is_to_be_forgotten_leaves_no_trace(journal):
    journal.add([Item(id="a", text="secret"), Item(id="b", text="B"), suspect("film-1", "x", "no", "yes", 0.9, 0)])
    journal.append(answer(1), answer(2, item="b"), Event(item="a", person="p", kind="comment", comment="of the secret"))
    other = Journal(journal.folder)
    assert len(other.state().standings) == 3
    assert journal.forget({"secret"}, {"film-1"}) == 2
    assert journal.forget({"secret"}, {"film-1"}) == 0
    journal.append(*(answer(n, item="b") for n in range(10, 40)))  # longer than it was before
    assert b"secret" not in b"".join(path.read_bytes() for path in journal.folder.iterdir())
    for one in (journal, other, Journal(journal.folder)):
        assert list(one.state().standings) == ["b"]
        assert [event.id for event in one.events()] == ["e2", *(f"e{n}" for n in range(10, 40))]
        assert not one.warnings
