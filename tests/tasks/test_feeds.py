"""Rows of a feed that are left out, for they are to be forgotten or dropped: counted, and no end of the reading."""

from typing import ClassVar, Literal

import pyarrow.parquet as pq
import pytest

from tasks import feeds, inbox
from tasks.core.line import Line
from tasks.forgotten import Subject, take_out
from tasks.sources.base import FeedSettings, Portion
from tasks.sources.records import table
from tasks.sync import alone, sync
from tasks.text import TextSettings, split_key

LINE, TEXT = Line("made"), TextSettings(email="drop")
SALT = TEXT.split_salt


class KilledError(BaseException):
    pass


class Made(FeedSettings):
    """Pages of texts; an empty one kills the sync, once."""

    kind: Literal["made"] = "made"
    newest_first: bool = False
    pages: ClassVar[list[list[str]]] = []
    read: ClassVar[list[int]] = []

    @property
    def ends_at_known(self):
        return self.newest_first

    def address(self):
        return "made"

    def has_news(self, last):
        return True

    def population(self, last):
        return last.end and sum(map(len, self.pages[: last.end]))

    def feed(self, last, place):
        for number in range(place or (0 if self.newest_first else last.end or 0), len(self.pages)):
            if not self.pages[number]:
                self.pages[number] = ["after the kill"]
                raise KilledError
            self.read.append(number)
            found, types = table({"text": self.pages[number]}, "made")
            yield Portion(found, types, number + 1, number + 1)


def source(*pages, **block):
    Made.pages[:], Made.read[:] = map(list, pages), []
    return [Made(name="s", columns={"text": "text"}, **block)]


def texts():
    return [text for batch in inbox.batches(LINE) for text in pq.read_table(batch)["text"].to_pylist()]


def by_text(text):
    return Subject(frozenset([text]), frozenset([split_key(text, SALT)]))


def test_what_is_left_out_is_counted_through_a_kill(workdir):
    take_out(LINE, by_text("secret"), SALT)
    made = source(["one", "secret", "mail ab@cd.ef"], ["<b>two</b>", "gh@cd.ef"], [], ["Secret", "one"])
    with pytest.raises(KilledError):
        sync(LINE, made, TEXT)
    (path,) = sync(LINE, made, TEXT)
    assert texts() == ["one", "two", "after the kill", "one"]
    assert Made.read == [0, 1, 2, 3]
    told = inbox.provenance(path)
    assert (told["rows"], told["duplicates"], told["dropped"]) == (4, 0, {"email": 2})
    assert told["changed"] == {"email": 2, "html": 1}
    assert told["mark"] == {"end": 4, "types": {"text": "text"}, "population": 8}
    assert inbox.row_keys(path)[-1].endswith("-1")


def test_what_is_to_be_forgotten_meanwhile_does_not_come_from_what_lay_aside(workdir):
    made = source(["one", "secret"], [])
    with pytest.raises(KilledError):
        sync(LINE, made, TEXT)
    take_out(LINE, by_text("secret"), SALT)
    sync(LINE, made, TEXT)
    assert texts() == ["one", "after the kill"]


def test_what_lies_aside_of_this_line_is_thrown_away(workdir):
    made = source(["secret"], [])
    with pytest.raises(KilledError):
        sync(LINE, made, TEXT)
    other = feeds.FOLDER / "made_too-s"
    other.mkdir()
    with alone(LINE):
        assert feeds.discard(LINE)
        assert not feeds.discard(LINE)
    assert [path for path in feeds.FOLDER.iterdir() if path.is_dir()] == [other]


def test_newest_first_a_page_without_a_row_to_take_does_not_hide_those_behind_it(workdir):
    take_out(LINE, by_text("secret"), SALT)
    sync(LINE, source(["one"], newest_first=True), TEXT)
    made = source(["ab@cd.ef"], ["secret"], ["two"], ["one", "ij@cd.ef"], ["zero"], newest_first=True)
    sync(LINE, made, TEXT)
    assert sorted(texts()) == ["one", "two"]
    assert Made.read == [0, 1, 2, 3]


def test_after_a_batch_lost_a_row_reading_goes_on_where_it_ended(workdir):
    pages = [["one", "secret"], ["two"], ["three"]]
    for known in (1, 2):
        sync(LINE, source(*pages[:known]), TEXT)
    take_out(LINE, by_text("secret"), SALT)
    (path,) = sync(LINE, source(*pages), TEXT)
    assert Made.read == [2]
    assert inbox.provenance(path)["mark"]["population"] == 4
    assert sorted(texts()) == ["one", "three", "two"]
