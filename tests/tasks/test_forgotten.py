"""Rows taken out of the inbox, which no later sync brings back."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tasks import inbox
from tasks.core.errors import SettingsError, SourceError
from tasks.core.line import Line
from tasks.forgotten import Subject, heed, named, path, take_out
from tasks.sources import parse_sources
from tasks.sync import sync
from tasks.text import TextSettings, split_key

LINE, TEXT = Line("made"), TextSettings()
SALT = TEXT.split_salt


def sources(name="s", file="a.csv", **columns):
    columns = columns or {"id": "id", "text": "text"}
    block = {"kind": "file", "name": name, "path": file, "columns": columns}
    return parse_sources({"sources": [block]}, "made")


def write(*rows):
    Path("a.csv").write_text("id,text\n" + "".join(f"{id},{text}\n" for id, text in rows))


def texts():
    return [text for batch in inbox.batches(LINE) for text in pq.read_table(batch)["text"].to_pylist()]


def by_text(text):
    return Subject(frozenset([text]), frozenset([split_key(text, SALT)]))


def test_by_text_whatever_its_case_and_spaces(workdir):
    write((1, "one"), (2, "My  Secret"), (3, "three"), (4, "my secret"))
    (old,) = sync(LINE, sources(), TEXT)
    taken = take_out(LINE, by_text("my secret"), SALT)
    assert (taken.rows, taken.batches) == (2, [old])
    assert taken.ids == {"s-2", "s-4"}
    assert texts() == ["one", "three"]
    (new,) = inbox.batches(LINE)
    told = inbox.provenance(new)
    assert (told["rows"], told["forgotten"]) == (2, 2)
    assert b"ecret" not in new.read_bytes()
    assert "ecret" not in path(LINE).read_text()


@pytest.mark.parametrize("given", ["2", "s-2"])
def test_by_id_an_equal_text_of_another_stays(workdir, given):
    write((1, "good"), (2, "good"), (3, "three"))
    sync(LINE, sources(), TEXT)
    assert take_out(LINE, Subject(ids=frozenset([given])), SALT).rows == 1
    assert texts() == ["good", "three"]
    write((1, "good"), (2, "good"), (3, "three"), (4, "four"))
    sync(LINE, sources(), TEXT)
    assert sorted(texts()) == ["four", "good", "three"]


def test_by_the_id_that_ingest_made(workdir):
    Path("a.csv").write_text("text\none\none\ntwo\n")
    sync(LINE, sources(text="text"), TEXT)
    key = inbox.row_keys(inbox.batches(LINE)[0])[0]
    taken = take_out(LINE, Subject(ids=frozenset([f"s-{key}"])), SALT)
    assert taken.ids == {f"s-{key}"}
    assert texts() == ["one", "two"]


def test_a_masked_text_as_it_is_stored(workdir):
    write((1, "mail a.b@example.org"), (2, "two"))
    sync(LINE, sources(), TEXT)
    assert take_out(LINE, by_text("mail [EMAIL]"), SALT).rows == 1
    write((1, "mail a.b@example.org"), (2, "two"), (3, "three"))
    sync(LINE, sources(), TEXT)
    assert sorted(texts()) == ["three", "two"]


def test_the_next_sync_brings_nothing_back(workdir):
    write((1, "one"), (2, "secret"))
    sync(LINE, sources(), TEXT)
    take_out(LINE, by_text("secret"), SALT)
    assert sync(LINE, sources(), TEXT) == []
    write((1, "one"), (2, "secret"), (5, "Secret"), (3, "three"))
    (batch,) = sync(LINE, sources(), TEXT)
    assert sorted(texts()) == ["one", "three"]
    assert "forgotten" not in inbox.provenance(batch)


def test_nor_does_a_sync_of_another_clone(workdir):
    write((1, "one"), (2, "secret"))
    sync(LINE, sources(), TEXT)
    take_out(LINE, by_text("secret"), SALT)
    for batch in inbox.batches(LINE):
        batch.unlink()
    sync(LINE, sources(), TEXT)
    assert texts() == ["one"]


def test_a_batch_of_which_nothing_is_left_goes(workdir):
    write((1, "secret"))
    sync(LINE, sources(), TEXT)
    take_out(LINE, by_text("secret"), SALT)
    assert inbox.batches(LINE) == []
    assert sync(LINE, sources(), TEXT) == []


def test_again_and_killed_before_its_end(workdir, monkeypatch):
    write((1, "one"), (2, "secret"))
    (old,) = sync(LINE, sources(), TEXT)
    real = Path.unlink

    def killed(self, **options):
        if self == old:
            raise KeyboardInterrupt
        real(self, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", killed)
        with pytest.raises(KeyboardInterrupt):
            take_out(LINE, by_text("secret"), SALT)
    assert len(inbox.batches(LINE)) == 2
    assert take_out(LINE, by_text("secret"), SALT).batches == [old]
    assert texts() == ["one"]
    assert take_out(LINE, by_text("secret"), SALT).rows == 0


def test_what_is_not_there_is_kept_out_all_the_same(workdir):
    assert take_out(LINE, by_text("secret"), SALT).rows == 0
    write((1, "one"), (2, "secret"))
    sync(LINE, sources(), TEXT)
    assert texts() == ["one"]


def test_another_salt_is_refused(workdir):
    take_out(LINE, by_text("secret"), SALT)
    write((1, "secret"))
    with pytest.raises(SourceError, match=r"written with another `text\.split_salt`"):
        sync(LINE, sources(), TextSettings(split_salt="other"))
    assert texts() == []


def write_events(*rows):
    Path("a.csv").write_text("text,who\n" + "".join(f"{text},{who}\n" for text, who in rows))


def take(policy, *rows):
    """Sync events of users under a policy; the texts that are in the inbox then."""
    write_events(*rows)
    sync(LINE, sources(text="text", group="who"), TextSettings(group=policy))
    return sorted(texts())


def of_user(*users):
    return Subject(groups=named(users, SALT))


@pytest.mark.parametrize("policy", ["keep", "hash"])
def test_by_user_now_and_whatever_comes_later(workdir, policy):
    events = [("one", "ann"), ("two", "Ann"), ("one", "bo"), ("three", "ann"), ("ann", "bo"), ("of nobody", "")]
    take(policy, *events)
    taken = take_out(LINE, of_user("ann"), SALT)
    assert taken.rows == len(taken.ids) == 2
    others = ["ann", "of nobody", "one", "two"]
    assert sorted(texts()) == others, "a text that is called as the user, and another user, stay"
    assert take(policy, *events, ("new", "ann"), ("newer", "bo")) == sorted([*others, "newer"])
    assert "ann" not in path(LINE).read_text()


def test_by_user_whatever_the_policy_was_when_the_events_came(workdir):
    take("keep", ("one", "7"), ("two", "8"))
    assert take("hash", ("one", "7"), ("two", "8"), ("three", "7"), ("four", "8")) == ["four", "one", "three", "two"]
    assert take_out(LINE, of_user("7.0"), SALT).rows == 2, "a number that a column with gaps made a float"
    assert sorted(texts()) == ["four", "two"]
    assert take("keep", ("five", "7"), ("six", "8")) == ["four", "six", "two"]


def test_events_of_a_user_that_came_from_elsewhere(workdir):
    take("hash", ("one", "ann"), ("two", "bo"))
    (batch,) = inbox.batches(LINE)
    elsewhere = batch.read_bytes()
    batch.unlink()
    assert take_out(LINE, of_user("ann"), SALT).rows == 0, "nobody here knew these events"
    batch.write_bytes(elsewhere)
    assert heed(LINE, SALT) == 1
    assert texts() == ["two"]


@pytest.mark.parametrize("name", ["", " ", "nan"])
def test_nobody_is_no_user(name):
    with pytest.raises(SettingsError, match="named by nothing"):
        named(["ann", name], SALT)
