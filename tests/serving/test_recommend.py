"""The route `recommend`: lists by a real line, what is refused, and the same line under other routes."""

import json
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import films
import numpy as np
import pytest
import releases
from services import StandIn, application
from starlette.testclient import TestClient

from serving import v1
from serving.batcher import BatchSettings
from serving.hub import _comparable
from serving.line import COUNTED, ServedLine, Serving, Trial
from serving.listing import Listing
from serving.metrics import Metrics
from serving.served import Choice, Served
from serving.traffic import Tally
from tasks.core.errors import StageError
from tasks.kinds.rank.shared import rankings
from tasks.kinds.rank.shared.lists import Wanted

PATH = "/v1/lines/films/recommend"
LIKED = [{"item": "50", "rating": 5}]


class Kept(releases.Kept):
    """A recorder that keeps answers and feedback."""

    def __init__(self):
        super().__init__()
        self.given = []

    def feedback(self, given):
        self.given.append(given)


def served(model, release="a" * 12, role="champion"):
    labels = model.signature.labels
    return Served(Choice(release, "fp32", "cpu", False), "v0.1.0", role, "cpu", "rank", labels, model)


@pytest.fixture
def model(tmp_path):
    return films.model(tmp_path)


@pytest.fixture
def kept():
    return Kept()


@pytest.fixture
def metrics():
    return Metrics()


@pytest.fixture
def line(model, kept, metrics):
    with closing(ServedLine("films", BatchSettings(workers=1), metrics, kept)) as found:
        found.switch(Serving(releases.pointer("a" * 12), served(model)))
        yield found


@pytest.fixture
def client(line, kept):
    hub = StandIn()
    hub.known["films"] = line
    limits = {"texts": 4, "characters": 6000}
    return TestClient(application(hub, recorder=kept, limits=limits), base_url="http://localhost")


def ask(client, *histories, **more):
    answer = client.post(PATH, json={"histories": histories, **more}, headers={"X-Request-ID": "r-1"})
    assert answer.status_code == 200, answer.text
    return answer.json()


def ids(found):
    return [item["item"] for item in found["items"]]


def refused(client, body, path=PATH):
    answer = client.post(path, json=body)
    return answer.status_code, answer.json()["error"]["message"]


def test_each_history_gets_a_list_with_what_speaks_for_it(client, kept):
    told = ask(client, [*LIKED, {"item": "12", "rating": 1}, {"item": "new"}, {"item": "new"}], [], top=2)
    about = {key: told[key] for key in ("request_id", "line", "release", "version", "variant", "role")}
    assert about == {
        "request_id": "r-1", "line": "films", "release": "a" * 12, "version": "v0.1.0", "variant": "fp32",
        "role": "champion",
    }  # fmt: skip
    first, nothing = told["recommendations"]
    assert [(item["item"], item["text"]) for item in first["items"]] == [("172", "The Empire"), ("181", "The Return")]
    assert first["items"][0]["why"] == [{"item": "50", "text": films.FILMS["50"][0], "share": 1.0}]
    assert 1 > first["items"][0]["score"] > first["items"][1]["score"] > 0
    assert (first["unknown"], first["popular"]) == (["new"], False)
    assert nothing["popular"] and ids(nothing) == ["50", "70"], "the most popular ones"
    assert all(item["why"] == [] for item in nothing["items"])
    (logged,) = kept.answers
    assert logged.texts == ['[["50",5],["12",1],["new",null],["new",null]]', "[]"]
    assert logged.labels == ["172", "50"]


def test_a_user_of_whom_nothing_is_known_gets_what_many_like(client):
    (found,) = ask(client, [{"item": "x"}, {"item": "y", "rating": 1}], top=3)["recommendations"]
    assert found["popular"] and found["unknown"] == ["x", "y"]
    assert ids(found) == ["50", "70", "12"]


def test_times_give_the_order_and_the_place_in_the_request_where_there_are_none(client, kept):
    old, new = "2024-01-01T00:00:00Z", "2024-01-02T00:00:00+08:00"
    for events in ([("70", new), ("50", old)], [("70", 1704124800), ("50", 1704067200)], [("50", None), ("70", None)]):
        ask(client, [{"item": item, **({"at": at} if at else {})} for item, at in events])
    assert [logged.texts for logged in kept.answers] == [['[["50",null],["70",null]]']] * 3


def test_what_was_seen_is_left_out_unless_it_is_asked_for(client):
    everything = [{"item": item} for item in films.FILMS]
    (found,) = ask(client, LIKED, top=100)["recommendations"]
    assert set(ids(found)) == set(films.FILMS) - {"50"}
    (found,) = ask(client, LIKED, top=100, exclude_seen=False)["recommendations"]
    assert ids(found)[0] == "50" and len(ids(found)) == len(films.FILMS)
    (found,) = ask(client, everything)["recommendations"]
    assert found == {"items": [], "unknown": [], "popular": False}


def test_a_varied_list_mixes_the_sorts(client):
    sorts = []
    for diversity in (0, 0.9):
        (found,) = ask(client, [*LIKED, {"item": "12"}], top=3, diversity=diversity)["recommendations"]
        sorts.append([films.FILMS[item][1] for item in ids(found)])
    assert len(set(sorts[0])) == 2
    assert len(set(sorts[1])) == 3


def when(**ahead):
    return (datetime.now(UTC) + timedelta(**ahead)).isoformat()


FAULTY = [
    ({"histories": []}, "histories"),
    ({}, "histories"),
    ({"histories": [[]] * 5}, "5 were given; at most 4"),
    ({"histories": [{}]}, "histories.0"),
    ({"histories": [[{"rating": 5}]]}, "histories.0.0.item: Field required"),
    ({"histories": [[{"item": ""}]]}, "histories.0.0.item"),
    ({"histories": [LIKED, [{"item": " \t"}]]}, "histories.1.0.item: is blank"),
    ({"histories": [[{"item": 50}]]}, "histories.0.0.item: Input should be a valid string"),
    ({"histories": [[{"item": "x" * 201}]]}, "at most 200 characters"),
    ({"histories": [[{"item": "a", "rating": "5"}]]}, "histories.0.0.rating: Input should be a valid number"),
    ({"histories": [[{"item": "a", "rating": True}]]}, "histories.0.0.rating"),
    ({"histories": [[{"item": "a", "rating": 10**400}]]}, "histories.0.0.rating"),
    ({"histories": [[{"item": "a", "more": 1}]]}, "histories.0.0.more"),
    ({"histories": [[{"item": "a", "at": "yesterday"}]]}, "histories.0.0.at"),
    ({"histories": [[{"item": "a", "at": "2024-01-01T00:00:00"}]]}, "histories.0.0.at: Input should have timezone"),
    ({"histories": [[{"item": "a", "at": when(hours=1)}]]}, "histories.0.0.at: lies in the future"),
    ({"histories": [[{"item": "a", "at": 10**30}]]}, "histories.0.0.at"),
    ({"histories": [[*LIKED, {"item": "a", "at": when(days=-1)}]]}, "1 of 2 events say when"),
    ({"histories": [[{"item": "a" * 150}] * 40]}, "40 events have 6,401 characters as a text; at most 6,000"),
    ({"histories": [LIKED], "top": 0}, "top"),
    ({"histories": [LIKED], "top": 101}, "top"),
    ({"histories": [LIKED], "diversity": 1.1}, "diversity"),
    ({"histories": [LIKED], "exclude_seen": "no"}, "exclude_seen"),
    ({"histories": [LIKED], "deadline_ms": 10**9}, "deadline_ms"),
]


@pytest.mark.parametrize(("body", "said"), FAULTY, ids=[said for _, said in FAULTY])
def test_what_is_no_history_is_refused_with_its_place(client, kept, body, said):
    status, message = refused(client, body)
    assert status == 422
    assert said in message
    assert not kept.answers


def test_ratings_beyond_all_numbers_are_refused(client):
    for number in (b"1e999", b"9" * 5000, b"NaN"):
        body = b'{"histories": [[{"item": "a", "rating": %s}]]}' % number
        assert client.post(PATH, content=body, headers={"Content-Type": "application/json"}).status_code == 422


def test_a_clock_that_is_a_little_ahead_is_no_fault(client):
    ask(client, [{"item": "50", "at": when(seconds=20)}])


def test_lines_of_other_kinds_recommend_nothing(client):
    status, message = refused(client, {"histories": [LIKED]}, "/v1/lines/sentiment/recommend")
    assert status == 404
    assert "of kind classify" in message and "/v1/lines/sentiment/predict" in message
    assert refused(client, {"histories": [LIKED]}, "/v1/lines/none/recommend")[0] == 404


NO_HISTORIES = [
    "a film", "{}", "[[50,5]]", '[["50","5"]]', '[["50",NaN]]', '[["\\ud800",5]]', f"[[{'9' * 5000},5]]", "[" * 5000,
    "7",
]  # fmt: skip


@pytest.mark.parametrize("text", NO_HISTORIES, ids=[text[:10] for text in NO_HISTORIES])
def test_the_other_routes_read_histories_as_texts_and_nothing_else(client, kept, text):
    status, message = refused(client, {"texts": ['[["50",5]]', text]}, "/v1/lines/films/predict")
    assert (status, "texts.1" in message, PATH in message) == (422, True, True)
    assert text[:20] not in message.replace('such as [["50",5],["172",null]]', "")
    tensor = {"name": "text", "shape": [1], "datatype": "BYTES", "data": [text]}
    asked = client.post("/v2/models/films/infer", json={"inputs": [tensor]})
    assert asked.status_code == 422 and len(asked.json()["error"]) > 20
    assert not kept.answers


def test_a_history_as_text_is_answered_by_the_other_routes(client, kept):
    found = client.post("/v1/lines/films/predict", json={"texts": ['[ ["50", 5.0] ]', "[]"], "top": 1}).json()
    assert [one["label"] for one in found["predictions"]] == ["172", "50"]
    assert kept.answers[0].texts == ['[["50",5]]', "[]"]


def test_the_top_is_that_of_probabilities_however_small():
    first = v1._of(["a", "b", "c"], 2)(np.array([1e-8, 3e-8, 2e-8], np.float32))
    assert [*first] == ["b", "c"], "not of what six decimals leave of them"


def test_feedback_takes_the_item_that_the_user_took(client, kept):
    ask(client, LIKED)
    path = "/v1/lines/films/feedback"
    assert client.post(path, json={"request_id": "r-1", "position": 0, "label": "172"}).status_code == 202
    assert (kept.given[0].line, kept.given[0].label) == ("films", "172")
    status, message = refused(client, {"request_id": "r-1", "position": 0, "label": "none"}, path)
    assert status == 422 and "is no label of this line" in message


def test_of_many_labels_a_few_are_named(client, line, model):
    labels = [str(n) for n in range(5000)]
    line.switch(replace(line.now, champion=replace(line.champion, labels=labels)))
    _, message = refused(client, {"request_id": "r-1", "labels": ["x"]}, "/v1/lines/films/feedback")
    assert "allowed are 0, 1, 2" in message and "and 4,990 more" in message and len(message) < 200


def test_a_canary_makes_the_lists_of_its_callers_with_its_own_items(client, line, tmp_path):
    every = films.items()
    fewer = replace(
        every, ids=every.ids[1:], texts=every.texts[1:], inward=every.inward[1:], outward=every.outward[1:],
        popularity=every.popularity[:, 1:],
    )  # fmt: skip
    (tmp_path / "other").mkdir()
    other = served(films.model(tmp_path / "other", fewer), "b" * 12, "canary")
    _comparable(other, line.champion)
    with pytest.raises(StageError):
        _comparable(replace(other, kind="classify"), line.champion)
    rule = releases.beside("b" * 12)
    line.switch(replace(line.now, canary=Trial(other, rule, Tally(rule))))
    told = ask(client, LIKED)
    assert (told["release"], told["role"]) == ("b" * 12, "canary")
    (found,) = told["recommendations"]
    assert found["unknown"] == ["50"] and found["popular"] and "50" not in ids(found)


def test_the_log_keeps_the_list_that_was_given(client, kept):
    told = ask(client, LIKED, [{"item": item} for item in films.FILMS], top=3, diversity=0.9)
    (logged,) = kept.answers
    assert logged.listed == [ids(found) for found in told["recommendations"]]
    assert logged.listed[0][0] == logged.labels[0] and (logged.listed[1], logged.labels[1]) == ([], "")
    scores = [item["score"] for item in told["recommendations"][0]["items"]]
    assert logged.probabilities == pytest.approx(np.array([scores, [0, 0, 0]]), rel=1e-5)
    assert logged.probabilities.shape == (2, 3), "of the list, not of all items"


def test_the_log_keeps_the_first_items_of_an_answer_about_all_of_them(client, kept, monkeypatch):
    monkeypatch.setattr(rankings.top, "__defaults__", (3,))
    (given,) = ask(client, LIKED, top=3)["recommendations"]
    every = '[["172",5],["181",4],["12",null],["13",1],["70",2],["71",3]]'
    path = "/v1/lines/films/predict"
    told = client.post(path, json={"texts": ['[["50",5]]', every]}).json()["predictions"]
    tensor = {"name": "text", "shape": [1], "datatype": "BYTES", "data": ['[["50",5]]']}
    wire = client.post("/v2/models/films/infer", json={"inputs": [tensor]}).json()
    assert len(told[0]["probabilities"]) == wire["outputs"][1]["shape"][1] == len(films.FILMS), "the answer has all"
    _, ours, theirs = kept.answers
    assert ours.listed[0] == theirs.listed[0] == ids(given) and ours.labels[0] == "172"
    assert ours.probabilities[0] == pytest.approx([item["score"] for item in given["items"]], rel=1e-4)
    assert set(ours.listed[1]) == set(films.FILMS) - {item for item, _ in json.loads(every)}
    assert ours.probabilities.shape == (2, 3) and ours.probabilities[1, 2] == 0, "nought behind the last"


def test_only_lists_of_one_sort_are_computed_together(line, monkeypatch):
    computed = []
    real = Listing.compute
    monkeypatch.setattr(Listing, "compute", lambda self, texts: computed.append(len(texts)) or real(self, texts))
    engines = [partial(Listing, wanted=Wanted(top)) for top in (2, 2, 3)]
    with line._batcher._changed:  # all are there before the worker looks
        futures = [
            line.submit(["[]"], request_id=f"r{n}", source="s", deadline=time.monotonic() + 9, engine=engine)
            for n, engine in enumerate(engines)
        ]
    assert [len(future.result(9).lists[0]) for future in futures] == [2, 2, 3]
    assert computed == [2, 1]


def test_items_are_counted_one_by_one_only_where_they_are_few(client, line, metrics):
    counted = lambda: [one for one in metrics.labels.collect()[0].samples if one.name.endswith("_total")]  # noqa: E731
    ask(client, LIKED)
    assert [one.labels["label"] for one in counted()] == ["172"]
    line.switch(replace(line.now, champion=replace(line.champion, labels=[str(n) for n in range(COUNTED + 1)])))
    ask(client, [])
    assert [one.labels["label"] for one in counted()] == ["172"]


def test_the_route_is_described_with_an_example(client):
    schema = client.get("/openapi.json").json()
    route = schema["paths"]["/v1/lines/{line}/recommend"]["post"]
    assert route["summary"] == "Recommend items to users"
    asked = schema["components"]["schemas"]["Recommend"]["properties"]
    (example,) = asked["histories"]["examples"]
    assert ask(client, *example)
    assert json.dumps(schema["components"]["schemas"]["Event"]).count("date-time") == 1
