"""The route of a product that answers: what it says, when people are to answer, who may ask."""

from dataclasses import replace

import numpy as np
import pytest
import yaml
from services import Kept, Line, StandIn, application
from starlette.testclient import TestClient

from serving.errors import NotReady, QueueFull
from serving.line import Reply
from serving.log.record import Feedback
from serving.metrics import Metrics
from serving.security import Keys
from serving.settings import load_products
from tasks.core.errors import SettingsError
from tasks.core.settings import parse
from tasks.dialogue.settings import AnswerSettings
from tasks.team import hash_key, new_key

ANSWERS = ["By card.", "In a week.", "Never."]
PATH = "/v1/products/support/answer"
QUESTION = {"text": "How do I pay?"}
FINANCE = {
    "sentiment": "mood",
    "feeds": [{"name": "wire", "kind": "file", "path": "wire.csv", "columns": {"text": "headline"}}],
    "entities": {"Nokia": {}},
}


def product(**changes):
    content = {"kind": "answer", "title": "Help", "answers": "faq", "intents": "intent", "confidence": 0.6,
               "top": 2, "hand_over_intents": ["complaint"]}  # fmt: skip
    return parse(AnswerSettings, {**content, **changes}, "products.support")


class Known(Line):
    """A line that gives every text the same answer."""

    def __init__(self, name, classes, scores, inside=None):
        super().__init__(name)
        self.labels = self.truths = classes
        self.said = (classes, scores, inside)

    def reply(self, texts):
        classes, scores, inside = self.said
        rows = np.array([scores] * len(texts), dtype=np.float32)
        label = classes[int(np.argmax(scores))]
        about = (classes, "0123456789ab", "v0.1.0", "int8", "champion")
        return Reply([label] * len(texts), rows, *about, [inside] * len(texts))


@pytest.fixture
def hub():
    found = StandIn()
    found.known = {
        "faq": Known("faq", ANSWERS, [0.7, 0.1, 0.2]),
        "intent": Known("intent", ["pay", "complaint"], [0.9, 0.1], inside=True),
    }
    return found


def client(hub, settings=None, keys=None, **more):
    app = application(hub, keys, products={"support": settings or product()}, **more)
    return TestClient(app, base_url="http://localhost")


def test_what_is_sure_is_answered(hub):
    metrics = Metrics()
    answer = client(hub, metrics=metrics).post(PATH, json=QUESTION, headers={"X-Request-ID": "q-1"})
    assert answer.status_code == 200
    assert answer.json() == {
        "request_id": "q-1",
        "product": "support",
        "answers": [{"answer": "By card.", "score": 0.7}, {"answer": "Never.", "score": 0.2}],
        "hand_over": False,
        "why": None,
        "intent": "pay",
        "feedback": {"line": "faq", "request_id": "q-1"},
        "releases": {"faq": "0123456789ab", "intent": "0123456789ab"},
    }
    asked = [hub.known[name].asked[0] for name in ("faq", "intent")]
    assert [(texts, about["request_id"]) for texts, about, _ in asked] == [([QUESTION["text"]], "q-1")] * 2
    assert metrics.product_answers.labels("support", "")._value.get() == 1


def test_the_best_answer_takes_feedback_by_the_line_it_names(hub):
    kept = Kept()
    here = client(hub, recorder=kept)
    found = here.post(PATH, json=QUESTION).json()
    about = found["feedback"]
    sent = {"request_id": about["request_id"], "labels": [found["answers"][0]["answer"]]}
    assert here.post(f"/v1/lines/{about['line']}/feedback", json=sent).status_code == 202
    (given,) = kept.given
    assert isinstance(given, Feedback) and (given.line, given.label) == ("faq", "By card.")


@pytest.mark.parametrize(
    ("settings", "change", "why"),
    [
        ({"confidence": 0.71}, {}, "unsure"),
        ({"confidence": 0.7}, {}, None),
        ({}, {"scores": [0.1, 0.9]}, "intent"),
        ({}, {"scores": [0.1, 0.9], "inside": False}, "out_of_scope"),
        ({"intents": None, "hand_over_intents": []}, {"scores": [0.1, 0.9]}, None),
    ],
)
def test_when_people_are_to_answer(hub, settings, change, why):
    if change:
        hub.known["intent"] = Known("intent", ["pay", "complaint"], change["scores"], change.get("inside", True))
    found = client(hub, product(**settings)).post(PATH, json=QUESTION).json()
    assert (found["why"], found["hand_over"]) == (why, why is not None)
    assert found["answers"][0]["answer"] == "By card.", "people see what the service would have said"


@pytest.mark.parametrize("gone", ["faq", "intent"])
@pytest.mark.parametrize("how", ["no release", "no line"])
def test_without_a_release_people_are_to_answer(hub, gone, how):
    if how == "no line":
        del hub.known[gone]
    else:
        hub.known[gone].champion = None
    found = client(hub).post(PATH, json=QUESTION).json()
    assert (found["why"], found["hand_over"]) == ("no_release", True)
    assert list(found["releases"]) == [name for name in ("faq", "intent") if name != gone]
    assert found["answers"] == [] if gone == "faq" else found["answers"]


def test_so_many_answers_as_are_asked_for(hub):
    assert len(client(hub).post(PATH, json={**QUESTION, "top": 3}).json()["answers"]) == 3
    assert len(client(hub).post(PATH, json={**QUESTION, "top": 9}).json()["answers"]) == 3


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"text": ""}, "text: is empty"),
        ({"text": " \n"}, "text: is empty"),
        ({"text": "x" * 101}, "at most 100"),
        ({"text": 7}, "text"),
        ({}, "text"),
        ({"text": "a", "top": 0}, "top"),
        ({"text": "a", "more": 1}, "more"),
        ({"text": "a", "deadline_ms": 10**9}, "deadline_ms"),
    ],
)
def test_a_bad_question_is_refused_with_its_place(hub, body, said):
    answer = client(hub, limits={"characters": 100}).post(PATH, json=body)
    assert answer.status_code == 422
    assert said in answer.json()["error"]["message"]
    assert not hub.known["faq"].asked


def test_what_is_too_large_unknown_or_too_much_is_refused(hub):
    here = client(hub, limits={"body_bytes": 20_000})
    assert here.post(PATH, json={"text": "x" * 2**20}).status_code == 413
    unknown = here.post("/v1/products/suport/answer", json=QUESTION)
    assert unknown.status_code == 404
    assert "no product 'suport' here. Products: support" in unknown.json()["error"]["message"]
    hub.known["intent"].then = lambda texts: QueueFull(9, 2.0)
    full = here.post(PATH, json=QUESTION)
    assert (full.status_code, full.headers["retry-after"]) == (429, "2")
    assert hub.known["faq"].asked[0][2].done(), "what was asked besides is not waited for"
    hub.known["intent"].then = lambda texts: NotReady("about to stop")
    assert here.post(PATH, json=QUESTION).status_code == 503
    hub.known["intent"].then = lambda texts: None
    assert here.post(PATH, json={**QUESTION, "deadline_ms": 1}).status_code == 504


def test_a_caller_needs_all_lines_and_a_request_counts_once(hub, workdir):
    keys = {name: new_key() for name in ("both", "one", "slow")}
    lines = {"both": ["faq", "intent"], "one": ["faq"], "slow": None}
    entries = [{"name": name, "key": hash_key(key), "lines": lines[name]} for name, key in keys.items()]
    entries[2]["rate"] = "2/hour"
    (workdir / "team.yaml").write_text(yaml.safe_dump({"applications": entries}))
    here = client(hub, keys=Keys())
    ask = lambda name: here.post(PATH, json=QUESTION, headers={"X-API-Key": keys[name]})  # noqa: E731
    assert here.post(PATH, json=QUESTION).status_code == 401
    assert ask("both").status_code == 200
    assert ask("one").status_code == 403 and "other lines" in ask("one").json()["error"]["message"]
    assert [ask("slow").status_code for _ in range(3)] == [200, 200, 429]
    shown = [here.get("/v1/products", headers={"X-API-Key": keys[name]}).json()["products"] for name in ("both", "one")]
    assert shown == [
        [{"product": "support", "kind": "answer", "title": "Help", "lines": ["faq", "intent"]}],
        [],
    ]


def test_the_route_is_described(hub):
    schema = client(hub).get("/openapi.json").json()
    assert schema["paths"]["/v1/products/{product}/answer"]["post"]["summary"].startswith("Answer a question")
    assert set(schema["components"]["schemas"]["Answer"]["required"]) >= {"answers", "hand_over", "feedback"}


def test_a_release_that_knows_no_scope_hands_nothing_over_for_it(hub):
    line = hub.known["intent"]
    line.then = lambda texts: replace(line.reply(texts), in_scope=None)
    assert client(hub).post(PATH, json=QUESTION).json()["why"] is None


def test_the_service_reads_products_and_none_of_a_kind_it_does_not_know(workdir):
    content = {"support": {"kind": "answer", "answers": "faq"}, "finance": FINANCE, "other": {"kind": ["new"]}}
    (workdir / "params.yaml").write_text(yaml.safe_dump({"products": content}))
    assert sorted(load_products()) == ["finance", "support"]
    assert load_products()["finance"].kind == "opinion", "the kind of a product that names none"
    (workdir / "params.yaml").write_text(
        "products:\n  a: {kind: answer, answers: faq, confidance: 1}\n  b: {kind: answer}\n  c: {sentiment: x}\n"
    )
    with pytest.raises(
        SettingsError, match=r"(?s)did you mean 'confidence'.*products\.b\.answers: is missing.*products\.c\.feeds"
    ):
        load_products()
    (workdir / "params.yaml").write_text("products: []\n")
    assert load_products() == {}
