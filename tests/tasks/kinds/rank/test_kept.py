"""What is kept of answers over all items: the first ten, made of so many users at a time as memory holds."""

import json

import films
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from flows.infra import _gap
from serving.batch import predict_file
from serving.served import differs, replay
from tasks.bundle import seal
from tasks.core.errors import StageError
from tasks.core.files import read_json, write_json
from tasks.inference import Model
from tasks.kinds.rank import compare, gates
from tasks.kinds.rank.shared import history, rankings
from tasks.kinds.rank.shared.catalogue import Catalogue
from tasks.release import _write_answers, warmup

ITEMS, USERS = 40, 23
NAMES = [f"item {n}" for n in range(ITEMS)]
TEXTS = [history.write([(NAMES[n % ITEMS], 5.0), (NAMES[(3 * n + 1) % ITEMS], 2.0)]) for n in range(USERS)]
TEXTS += [history.write([(name, None) for name in NAMES[5:]]), "[]"]


@pytest.fixture
def model(tmp_path):
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((ITEMS, 3)).astype(np.float32)
    popularity = rng.standard_normal((1, ITEMS)).astype(np.float32)
    return films.model(tmp_path, Catalogue(NAMES, NAMES, vectors, vectors, popularity, np.zeros(0)))


@pytest.fixture(params=[10**9, 5 * ITEMS, 1])
def together(request, monkeypatch):
    """All users at once, five at a time, or one by one; no more are ever asked about at once."""
    monkeypatch.setattr(rankings, "HELD", request.param)
    most, asked = max(1, request.param // ITEMS), Model.predict

    def few(self, texts, cleaned=False):
        assert len(texts) <= most
        return asked(self, texts, cleaned)

    monkeypatch.setattr(Model, "predict", few)


def test_the_first_items_are_kept_with_their_probabilities_among_all(model, tmp_path, together):
    _write_answers(tmp_path / "kept.parquet", model, TEXTS)
    kept = pq.read_table(tmp_path / "kept.parquet").to_pylist()
    assert len(kept) == len(TEXTS)
    for row, text in zip(kept, TEXTS, strict=True):
        [every] = model.predict([text]).probabilities
        best = np.argsort(-every, kind="stable")[:10]
        assert row["listed"] == [NAMES[at] for at in best if every[at] > 0]
        assert row["predicted"] == row["listed"][0]
        assert row["probabilities"] == pytest.approx(every[best], rel=1e-5)
        assert len(row["embedding"]) == 3
    assert len(kept[-2]["listed"]) == 5, "all but these the user has"
    assert kept[-2]["probabilities"][5:] == [0] * 5


def test_no_user_at_all_is_no_error(model):
    assert model.kept([]).probabilities.shape == (0, 10)


def rows_of(model):
    answers = model.kept(TEXTS[:-2])
    found = {"listed": [[NAMES[at] for at in row] for row in answers.listed], "chances": list(answers.probabilities)}
    return pd.DataFrame({"text": TEXTS[:-2], "targets": [[NAMES[7], NAMES[8]]] * USERS, **found})


def test_gates_and_comparisons_say_the_same_however_few_users_are_held_at_once(model, monkeypatch):
    rows, found = rows_of(model), {}
    for held in (10**9, 5 * ITEMS, 1):
        monkeypatch.setattr(rankings, "HELD", held)
        found[held] = gates._held(model, rows), compare._asked(rows, model)
    (whole, asked), *others = found.values()
    for part, again in others:
        for name in ("same", "gap", "ndcg", "alone"):
            assert getattr(part, name) == pytest.approx(getattr(whole, name), abs=1e-5), name
        assert all((again[name] == asked[name]).all() for name in ("", "_ndcg", "_right"))
    assert (whole.same == 1).all() and whole.gap.max() < 1e-5 and len(whole.alone) == USERS


def test_a_gap_is_told_in_shares_of_the_first_probability(model):
    rows = rows_of(model)
    rows["chances"] = [chances * np.float32(1.01) for chances in rows["chances"]]
    assert gates._held(model, rows).gap == pytest.approx(0.01, rel=0.01)
    rows["listed"] = [[*listed[:9], "item 39" if "item 39" not in listed else "item 38"] for listed in rows["listed"]]
    assert gates._held(model, rows).same == pytest.approx(0.9), "an item that the variant would not list"


def test_the_warm_up_expects_lists_and_notices_other_items(model, tmp_path):
    path = tmp_path / "warmup.json"
    content = warmup([model], pd.DataFrame({"text": TEXTS}))
    assert all(len(one["expected"]["fp32"]["listed"]) <= 10 for one in content["requests"])
    write_json(path, content)
    replay(model, path)
    expected = content["requests"][0]["expected"]["fp32"]
    expected["listed"] = expected["listed"][::-1]
    write_json(path, content)
    with pytest.raises(StageError, match="is answered otherwise than at release"):
        replay(model, path)


def test_a_warm_up_of_an_older_release_names_no_items_and_is_read(model, tmp_path):
    [every] = model.predict([TEXTS[0]]).probabilities
    told = {"label": NAMES[int(every.argmax())], "probabilities": [round(float(one), 4) for one in every]}
    old = {"schema_version": 1, "tolerance": 0.2, "requests": [{"text": TEXTS[0], "expected": {"fp32": told}}]}
    write_json(tmp_path / "warmup.json", old)
    replay(model, tmp_path / "warmup.json")


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ([0.004, 0.003, 0.001], None),
        ([0.0035, 0.0034, 0.001], None),
        ([0.004, 0.001, 0.003], "probability 0.001 of b"),
        ([0.004, 0.003, 0.0099], "c, expected was a"),
    ],
)
def test_how_a_list_differs(now, said):
    expected = {"label": "a", "listed": ["a", "b"], "probabilities": [0.004, 0.003]}
    found = differs(dict(zip("abc", now, strict=True)), expected, 0.2)
    assert found is None if said is None else said in found
    assert "2 classes was expected" in differs({"a": 0.004}, expected, 0.2)


def test_the_service_is_held_against_a_list_by_its_first_items_alone():
    expected = {"label": "a", "listed": ["a", "b"], "probabilities": [0.004, 0.003]}
    assert _gap({"a": 0.004, "b": 0.002}, expected, "abc") == pytest.approx(0.25)
    assert _gap({"a": 0.004, "c": 0.0029}, expected, "abc") == pytest.approx(0.025), "b has 0.0029 at most"
    older = {"label": "a", "probabilities": [0.5, 0.3, 0.2]}
    assert _gap({"a": 0.5, "b": 0.3}, older, "abc") == 0
    assert _gap({"a": 0.4, "b": 0.1}, older, "abc") == pytest.approx(0.2)


@pytest.fixture
def bundle(model, tmp_path):
    content = {"line": "films", "kind": "rank", "labels": NAMES, "admissible": ["fp32"], "inputs": {}, "params": {}}
    films.tokenizer(tmp_path)
    seal(tmp_path, {**content, "verdicts": {}})
    return tmp_path


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_file_gets_lists_instead_of_a_column_for_each_item(bundle, model, tmp_path_factory, kind, together):
    source = tmp_path_factory.mktemp("files") / f"in.{kind}"
    frame = pd.DataFrame({"text": [*TEXTS[:4], None, TEXTS[-2], *[None] * 4]})
    write = {"csv": lambda: frame.to_csv(source, index=False), "parquet": lambda: frame.to_parquet(source),
             "jsonl": lambda: frame.to_json(source, orient="records", lines=True)}  # fmt: skip
    write[kind]()
    output = source.with_name(f"out.{kind}")
    summary = predict_file(bundle, source, output, chunk_rows=3)
    assert (summary.rows, summary.without_text) == (10, 5), "among them a chunk without any"
    read = {"csv": pd.read_csv, "parquet": pd.read_parquet, "jsonl": lambda path: pd.read_json(path, lines=True)}
    found = read[kind](output)
    assert list(found.columns) == ["text", "label", "confidence", "listed", "probabilities"]
    assert found.loc[4, ["label", "confidence", "listed", "probabilities"]].isna().all()
    for row, text in ((0, TEXTS[0]), (5, TEXTS[-2])):
        told = found.loc[row]
        listed, chances = (json.loads(told[c]) if kind == "csv" else list(told[c]) for c in ("listed", "probabilities"))
        [every] = model.predict([text]).probabilities
        assert listed[0] == told["label"] == NAMES[int(every.argmax())]
        assert len(listed) == len(chances) == min(10, np.count_nonzero(every))
        assert chances == pytest.approx([every[NAMES.index(item)] for item in listed], rel=1e-5)
        assert told["confidence"] == pytest.approx(chances[0], abs=1e-6)


def test_parts_of_an_earlier_program_are_thrown_away(bundle, tmp_path_factory, monkeypatch):
    """They held a probability for each item."""
    folder = tmp_path_factory.mktemp("files")
    pd.DataFrame({"text": TEXTS[:2]}).to_parquet(folder / "in.parquet")
    monkeypatch.setattr("serving.batch._assemble", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        predict_file(bundle, folder / "in.parquet", folder / "out.parquet")
    monkeypatch.undo()
    state = folder / ".out.parquet.parts/job.json"
    older = {key: value for key, value in read_json(state).items() if key != "kept"}
    write_json(state, older)
    np.save(state.with_name("000000.npy"), np.full((2, ITEMS), 1 / ITEMS, np.float32))
    assert predict_file(bundle, folder / "in.parquet", folder / "out.parquet").reused == 0
