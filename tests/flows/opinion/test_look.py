"""A look of a product: headlines are kept once, what happened is told once, with what was said."""

import logging
from datetime import timedelta
from pathlib import Path

import api as apis
import pytest
from commands import tidegate
from newswire import NOW, write_params

from flows import alert_desk, alerts
from flows.opinion.look import look
from flows.settings import load
from tasks.core.errors import SettingsError, TidegateError
from tasks.forgotten import Subject
from tasks.opinion.forget import erase
from tasks.opinion.store import Store, opened

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def read(what):
    with opened() as engine, engine.connect() as connection:
        return what(Store(connection, "finance"))


def test_headlines_of_entities_are_kept_once_and_the_index_follows(wire):
    wire.say(NOW - HOUR, "Acme")
    wire.say(NOW - HOUR, "Acme", bad=True)
    wire.say(NOW - HOUR, "nobody")
    wire.say(NOW - HOUR, "ACM and Zenith")
    first = look("finance", NOW)
    assert (first.counts.read, first.counts.kept, first.counts.named_nobody) == (4, 3, 1)
    assert look("finance", NOW).counts.read == 0
    (entry,) = read(lambda store: store.index("Acme", "", 0))
    assert entry["headlines"] == 3
    assert -1 <= entry["low"] < entry["value"] < entry["high"] <= 1
    wire.say(NOW, "Acme", bad=True)
    assert look("finance", NOW + HOUR).counts.kept == 1
    (later,) = read(lambda store: store.index("Acme", "", 0))
    assert later["value"] < entry["value"]


def test_a_planted_event_is_told_once_with_its_headlines_and_ends(wire):
    wire.usual("Acme")
    wire.usual("Zenith")
    calm = look("finance", NOW - 2 * DAY)
    assert calm.raised == []
    assert calm.exit_code == 0
    said = {wire.say(NOW - n * HOUR / 8, "Acme", bad=True) for n in range(14)}
    done = look("finance", NOW)
    assert done.exit_code == 3
    assert {alert.title.partition(":")[0] for alert in done.raised} == {"Acme"}
    titles = {alert.title for alert in done.raised}
    assert "Acme: opinion turns worse" in titles
    drop = next(alert for alert in done.raised if "turns worse" in alert.title)
    assert "fell to" in drop.reason
    assert all("dull awful cold" in headline for headline in drop.headlines)
    cause = next(one for one in read(Store.causes) if one.rule == "index_drop")
    assert set(cause.headlines) <= said
    assert "dull awful cold" in alert_desk.show("finance", past=False)
    assert look("finance", NOW + HOUR).raised == []
    for n in range(4):
        wire.say(NOW + n * HOUR / 4, "Acme", bad=True)
    more = look("finance", NOW + 2 * HOUR).raised
    assert not {alert.title for alert in more} & titles  # the same cause goes on
    assert len([one for one in alerts.open_alerts("finance") if one.title == drop.title]) == 1
    over = look("finance", NOW + 9 * DAY)
    assert over.open == 0
    assert alerts.open_alerts("finance") == []
    assert "Nothing more of it" in alerts.alerts("finance")[0].why_resolved


def test_old_history_raises_nothing_at_the_first_look(wire):
    wire.usual("Acme")
    for n in range(14):
        wire.say(NOW - 10 * DAY - n * HOUR / 8, "Acme", bad=True)
    assert look("finance", NOW).raised == []


def test_texts_are_masked_languages_and_times_are_minded(wire, caplog):
    write_params(languages=["en"])
    wire.say(NOW - HOUR, "", text="Acme is great, write to ann@example.org or call +44 20 7946 0958")
    wire.say(NOW - HOUR, "", text="宏达公司今天宣布利润下降，投资者感到担忧")
    wire.say(NOW + 9 * DAY, "Acme")
    wire.say(None, "Acme")
    wire.say(NOW - HOUR, "", text=" ")
    done = look("finance", NOW)
    assert (done.counts.other_language, done.counts.future, done.counts.without_text) == (1, 1, 1)
    assert "1 in another language; 1 dated in the future" in str(done)
    kept = read(lambda store: store.of_day("Acme", 0, 10**18, None, 10))
    assert {row["time"] for row in kept} <= {int(one.timestamp()) * 10**6 for one in (NOW, NOW - HOUR)}
    assert not [row for row in kept if "ann@" in row["text"] or "7946" in row["text"]]


def test_a_feed_that_fails_is_told_and_the_others_are_taken(wire):
    made = apis.Api()
    made.faults["always"] = apis.page_of_html
    wire.say(NOW - HOUR, "Acme")
    feeds = [{"name": "web", "kind": "rss", "url": made.url},
             {"name": "wire", "kind": "file", "path": "wire.csv",
              "columns": {"id": "n", "text": "headline", "created_at": "at"}}]  # fmt: skip
    write_params(feeds=feeds)
    done = look("finance", NOW)
    made.close()
    assert done.exit_code == 1
    assert done.counts.kept == 1
    assert "feed web:" in str(done)
    assert "a web page instead of a feed" in str(done)


def test_a_killed_look_goes_on_and_keeps_nothing_twice(wire, monkeypatch):
    class KilledError(BaseException):
        pass

    def kill(*_):
        raise KilledError

    wire.usual("Acme", days=20)
    with monkeypatch.context() as patch:
        patch.setattr("flows.opinion.look.judge", kill)
        with pytest.raises(KilledError):
            look("finance", NOW)
    with monkeypatch.context() as patch:
        patch.setattr(Store, "done", kill)
        wire.say(NOW, "Acme")
        with pytest.raises(KilledError):
            look("finance", NOW)
    done = look("finance", NOW)
    assert done.counts.kept == 1
    assert sum(one["headlines"] for one in read(lambda store: store.index("Acme", "", 0))) == wire.rows


def test_the_index_of_long_ago_stays_and_is_what_a_draw_of_all_gives(wire):
    wire.usual("Acme", days=250)
    look("finance", NOW)
    whole = read(lambda store: store.index("Acme", "", 0))
    assert (len(whole), sum(row["headlines"] for row in whole)) == (251, wire.rows)
    wire.say(NOW + HOUR, "Acme")
    look("finance", NOW + 30 * DAY)
    later = read(lambda store: store.index("Acme", "", 0))
    assert len(later) == 281
    assert later[:140] == whole[:140], "before the days that are drawn anew nothing changes"
    for row, now in zip(whole[140:-1], later[140:], strict=False):
        assert now["headlines"] == row["headlines"]
        assert now["value"] == pytest.approx(row["value"], abs=0.01)


def test_what_comes_late_or_is_forgotten_draws_the_index_of_its_time_anew(wire):
    wire.usual("Acme", days=250)
    look("finance", NOW)
    count = lambda: sum(row["headlines"] for row in read(lambda store: store.index("Acme", "", 0)))  # noqa: E731
    wire.say(NOW - 200 * DAY, "Acme", bad=True)
    wire.say(NOW - 300 * DAY, "Acme")
    look("finance", NOW + HOUR)
    assert count() == wire.rows
    with opened() as engine:
        gone = erase(engine, "finance", Subject(ids=frozenset(["wire-7"])))
    assert len(gone.ids) == 1
    look("finance", NOW + 2 * HOUR)
    assert count() == wire.rows - 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"index": {}}, None),
        ({"index": {"values": {"negative": -1, "neutral": 0}}}, "no worth of positive"),
        ({"index": {"negative": "neutral", "values": {"negative": -1, "neutral": 0, "positive": 1}}}, "must be one of"),
        ({"sentiment": "mood"}, "products.finance names mood; lines are sentiment"),
    ],
)
def test_settings_that_do_not_fit_the_lines_are_told(wire, changes, message):
    wire.say(NOW, "Acme")
    write_params(**changes)
    if message is None:
        assert look("finance", NOW).counts.kept == 1
        return
    with pytest.raises(SettingsError, match=message):
        look("finance", NOW)


def test_without_a_release_or_a_product_it_is_said(wire):
    wire.say(NOW, "Acme")
    Path(".tidegate/releases").rename(".tidegate/gone")
    with pytest.raises(TidegateError, match="`tidegate run sentiment` makes a release"):
        look("finance", NOW)
    with pytest.raises(SettingsError, match=r"no product 'finanse'.*Products: finance"):
        look("finanse", NOW)
    assert load()


def test_the_command(wire):
    wire.say(None, "Acme")
    done = tidegate("opinion", "finance")
    assert done.returncode == 0, done.stdout
    assert "1 new headlines, 1 kept" in done.stdout
    logging.getLogger("tidegate").handlers.clear()
