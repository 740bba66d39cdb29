"""Records of the spool: what goes in comes out, and what is not to be kept never gets there."""

import dataclasses
import hmac

import numpy as np
import orjson
import pytest
from answers import NOON, answered, labelled
from hypothesis import given
from hypothesis import strategies as st

from serving.log import projection
from serving.log.descriptors import SCRIPTS, describe
from serving.log.rows import Encoder, content, decoded, microseconds, when
from serving.log.settings import KEY, URL, LogSettings, load_log
from tasks.core.errors import SettingsError

SECRET = "s" * 40


@given(st.lists(st.text(max_size=30), min_size=1, max_size=5), st.integers(2, 5))
def test_answers_come_back_as_rows(texts, classes):
    given_ = answered("r1", texts, classes=classes, time=NOON)
    rows, none = decoded(Encoder(LogSettings()).answers(given_))
    assert none == []
    assert [row["text"] for row in rows] == [text.replace("\0", "?") for text in texts]
    assert [row["position"] for row in rows] == list(range(len(texts)))
    assert [row["label"] for row in rows] == list(given_.labels)
    assert [row["characters"] for row in rows] == [len(text) for text in texts]
    for row, probabilities in zip(rows, given_.probabilities, strict=True):
        assert np.array_equal(np.frombuffer(row["probabilities"], "<f4"), probabilities)
        assert row["confidence"] == pytest.approx(probabilities.max())


def test_what_was_in_scope_comes_back_also_from_a_record_of_before():
    told = dataclasses.replace(answered(texts=["a", "b"]), in_scope=[True, False])
    payload = Encoder(LogSettings()).answers(told)
    assert [row["in_scope"] for row in decoded(payload)[0]] == [True, False]
    before = orjson.loads(payload)
    del before["in_scope"]
    assert [row["in_scope"] for row in decoded(orjson.dumps(before))[0]] == [None, None]


def test_lists_come_back_as_json_and_a_record_of_before_has_none():
    told = dataclasses.replace(answered(texts=["a", "b"]), listed=[['"é', "2"], []])
    payload = Encoder(LogSettings()).answers(told)
    assert [row["listed"] for row in decoded(payload)[0]] == ['["\\"é","2"]', "[]"]
    before = orjson.loads(payload)
    del before["listed"]
    assert [row["listed"] for row in decoded(orjson.dumps(before))[0]] == [None, None]


def test_labels_come_back_as_rows():
    none, (row,) = decoded(Encoder(LogSettings()).feedback(labelled("r1", 3, "good", time=NOON)))
    assert none == []
    assert row == {
        "time": microseconds(NOON), "request_id": "r1", "position": 3, "line": "sentiment", "label": "good",
        "source": "shop",
    }  # fmt: skip
    assert when(row["time"]) == NOON


def test_half_a_surrogate_and_a_nul_become_what_every_database_takes():
    rows, _ = decoded(Encoder(LogSettings()).answers(answered("r\0", ["a\ud800b", "c\0d", "\U0001f600"])))
    assert [row["text"] for row in rows] == ["a?b", "c?d", "\U0001f600"]
    assert rows[0]["request_id"] == "r?"


def test_the_text_or_its_hmac_or_nothing(monkeypatch):
    for mode in ("masked", "off"):
        (row,), _ = decoded(Encoder(LogSettings(text=mode)).answers(answered()))
        assert row["text"] == ("the film was great" if mode == "masked" else None)
        assert (row["content"] is None) == (mode == "off")  # without a key its hash could be guessed from
    monkeypatch.setenv(KEY, SECRET)
    for mode in ("hmac", "off"):
        payload = Encoder(LogSettings(text=mode)).answers(answered())
        (row,), _ = decoded(payload)
        assert b"great" not in payload
        assert row["content"].hex() == content("The  film was great ", SECRET)
        if mode == "hmac":
            assert row["text"] == hmac.new(SECRET.encode(), b"the film was great", "sha256").hexdigest()


def test_hmac_without_a_key_does_not_start():
    with pytest.raises(SettingsError, match=f"the environment has no {KEY}"):
        Encoder(LogSettings(text="hmac"))


def test_keys_make_other_hashes():
    assert len({content("a text", key) for key in (None, "one", "two")}) == 3
    assert content("a text", "one") == content(" A  TEXT", "one")


def test_a_password_has_no_place_in_params(monkeypatch, workdir):
    (workdir / "params.yaml").write_text("lines: {a: {}}\nserving: {log: {url: 'postgresql://me:pw@db/log'}}\n")
    with pytest.raises(SettingsError, match=f"serving.log.url: a password has no place .* {URL}"):
        load_log()
    monkeypatch.setenv(URL, "postgresql://me:pw@db/log")
    assert LogSettings().database() == "postgresql://me:pw@db/log"


def test_settings_of_params(workdir):
    assert load_log() == LogSettings()
    (workdir / "params.yaml").write_text("lines: {a: {}}\nserving: {log: {text: off, keep_days: 7}}\n")
    assert load_log() == LogSettings(text="off", keep_days=7)
    (workdir / "params.yaml").write_text("lines: {a: {}}\nserving: {log: {keep_day: 7}}\n")
    with pytest.raises(SettingsError, match="did you mean 'keep_days'"):
        load_log()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("the film was great", (18, 4, 0.0, "latin", 1.0)),
        ("", (0, 0, 0.0, "", 0.0)),
        ("  10:30!  ", (10, 1, 1.0, "", 0.0)),
        ("这部电影非常好看。", (9, 1, 0.1111, "han", 1.0)),
        ("とても良い映画です", (9, 1, 0.0, "kana", 0.6667)),
        ("영화가 좋았다", (7, 2, 0.0, "hangul", 1.0)),
        ("фильм good", (10, 2, 0.0, "cyrillic", 0.5556)),
        ("सिनेमा", (6, 1, 0.0, "indic", 1.0)),
        ("الفيلم رائع", (11, 2, 0.0, "arabic", 1.0)),
        ("great \U0001f600", (7, 2, 0.1667, "latin", 1.0)),
        ("\U00020000\U0002a6d6", (2, 1, 0.0, "han", 1.0)),
    ],
)
def test_descriptors(text, told):
    found = describe([text])
    values = (found.characters, found.words, found.non_letters, found.script, found.script_share)
    assert tuple(value[0] for value in values) == told


@given(st.lists(st.text(), max_size=6))
def test_descriptors_of_any_text(texts):
    together = describe(texts)
    assert together.words == [len(text.split()) for text in texts]
    assert all(0 <= share <= 1 for share in [*together.non_letters, *together.script_share])
    assert set(together.script) <= {*SCRIPTS, ""}
    for n, text in enumerate(texts):
        assert describe([text]).script == [together.script[n]]


def test_the_projection_is_the_same_for_ever():
    matrix = projection.matrix(384, 24)
    assert projection.name(384, 24) == "signs-0-384-24"
    assert (matrix[:2] > 0).astype(int).ravel().tolist() == PINNED
    assert np.allclose(np.abs(matrix), 24**-0.5)


PINNED = [int(bit) for bit in "000111011111111011101101001010101000001011010111"]


def test_distances_survive_the_projection():
    rng = np.random.default_rng(0)
    one, two = rng.standard_normal((2, 2000, 384)).astype(np.float32)
    before = ((one - two) ** 2).sum(axis=1)
    after = ((projection.project(one, 32) - projection.project(two, 32)).astype(np.float64) ** 2).sum(axis=1)
    ratio = after / before
    assert abs(ratio.mean() - 1) < 0.03
    assert abs(ratio.std() - (2 / 32) ** 0.5) < 0.03  # what theory says of 32 numbers


def test_a_record_is_plain_json():
    record = orjson.loads(Encoder(LogSettings()).answers(answered()))
    assert record["projected_by"] == "signs-0-32-24"
