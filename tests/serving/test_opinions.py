"""The route of a product that watches opinion: whom texts name, how they speak, what of it is not said."""

import numpy as np
import pytest
import yaml
from services import Line, StandIn, application
from starlette.testclient import TestClient

from serving.errors import QueueFull
from serving.line import Reply
from serving.metrics import Metrics
from serving.security import Keys
from tasks.core.settings import parse
from tasks.dialogue.settings import AnswerSettings
from tasks.opinion.settings import OpinionSettings
from tasks.team import hash_key, new_key

PATH = "/v1/products/finance/opinions"
MOODS, TOPICS = ["positive", "neutral", "negative"], ["earn", "trade"]
WARNING, PRAISE = "Nokia's profit warning: FRAUD", "Acme and $NOK delight"
RELEASE = {"mood": "0123456789ab", "about": "0123456789ab"}


def product(**changes):
    content = {
        "sentiment": "mood", "topic": "about", "title": "News",
        "feeds": [{"name": "wire", "kind": "file", "path": "wire.csv", "columns": {"text": "headline"}}],
        "entities": {"Nokia": {"tickers": ["NOK"]}, "Acme": {}},
        "rules": {"risk_words": {"words": ["fraud", "profit warning"]}},
    }  # fmt: skip
    return parse(OpinionSettings, {**content, **changes}, "products.finance")


class Told(Line):
    """A line that gives texts with a colon the last of its labels, and others the first."""

    def __init__(self, name, classes, inside=None):
        super().__init__(name)
        self.labels, self.inside = classes, inside

    def reply(self, texts):
        ends = [-1 if ":" in text else 0 for text in texts]
        rows = np.full((len(texts), len(self.labels)), 0.2 / (len(self.labels) - 1), np.float32)
        rows[np.arange(len(texts)), ends] = 0.8
        about = (self.labels, "0123456789ab", "v0.1.0", "int8", "champion")
        return Reply([self.labels[at] for at in ends], rows, *about, self.inside and [self.inside[at] for at in ends])


@pytest.fixture
def hub():
    found = StandIn()
    found.known = {"mood": Told("mood", MOODS, inside=[True, False]), "about": Told("about", TOPICS)}
    return found


def client(hub, settings=None, keys=None, **more):
    app = application(hub, keys, products={"finance": settings or product()}, **more)
    return TestClient(app, base_url="http://localhost")


def test_each_text_gets_what_a_look_would_say_of_it(hub):
    metrics = Metrics()
    given = {"texts": [WARNING, PRAISE]}
    answer = client(hub, metrics=metrics).post(PATH, json=given, headers={"X-Request-ID": "q-1"})
    assert answer.status_code == 200
    assert answer.json() == {
        "request_id": "q-1",
        "product": "finance",
        "opinions": [
            {
                "entities": ["Nokia"],
                "sentiment": {"label": "negative", "probability": 0.8, "in_scope": False, "score": -0.7},
                "topic": {"label": "trade", "probability": 0.8, "in_scope": None},
                "risk_words": ["fraud", "profit warning"],
            },
            {
                "entities": ["Acme", "Nokia"],
                "sentiment": {"label": "positive", "probability": 0.8, "in_scope": True, "score": 0.7},
                "topic": {"label": "earn", "probability": 0.8, "in_scope": None},
                "risk_words": [],
            },
        ],
        "releases": RELEASE,
    }
    assert [line.asked[0][1]["request_id"] for line in hub.known.values()] == ["q-1", "q-1"]
    assert metrics.product_opinions.labels("finance", "negative")._value.get() == 1


def test_personal_data_is_masked_by_the_product_before_a_line_logs_it(hub):
    settings = product(text={"national_id": "mask", "email": "mask"})
    text = "<b>Nokia</b> hired 11010519491231002X, write to ann@example.org"
    found = client(hub, settings).post(PATH, json={"texts": [text]})
    assert found.json()["opinions"][0]["entities"] == ["Nokia"]
    for line in hub.known.values():
        assert line.asked[0][0] == ["Nokia hired [ID], write to [EMAIL]"]
    assert "ann@" not in found.text


@pytest.mark.parametrize("gone", ["mood", "about"])
@pytest.mark.parametrize("how", ["no release", "no line"])
def test_a_line_without_a_release_says_nothing_and_the_other_does(hub, gone, how):
    if how == "no line":
        del hub.known[gone]
    else:
        hub.known[gone].champion = None
    metrics = Metrics()
    found = client(hub, metrics=metrics).post(PATH, json={"texts": [WARNING]}).json()
    (one,) = found["opinions"]
    assert (one["sentiment"] is None, one["topic"] is None) == (gone == "mood", gone == "about")
    assert found["releases"] == {name: release for name, release in RELEASE.items() if name != gone}
    assert one["entities"] == ["Nokia"]
    label = "" if gone == "mood" else "negative"
    assert metrics.product_opinions.labels("finance", label)._value.get() == 1


def test_without_any_release_nothing_is_said(hub):
    hub.known = {}
    answer = client(hub).post(PATH, json={"texts": [WARNING]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "not_ready")
    assert "mood, about" in answer.json()["error"]["message"]


def test_what_the_product_has_not_is_not_said(hub):
    settings = product(topic=None, rules={}, index={"values": {"negative": -1, "positive": 1}})
    (one,) = client(hub, settings).post(PATH, json={"texts": [WARNING]}).json()["opinions"]
    assert (one["topic"], one["risk_words"], one["sentiment"]["score"]) == (None, [], None)
    assert not hub.known["about"].asked


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"texts": []}, "texts"),
        ({"texts": ["a", " "]}, "texts.1: is empty"),
        ({"texts": ["x" * 101]}, "at most 100"),
        ({"texts": ["a"] * 4}, "at most 3 are allowed"),
        ({"texts": "a"}, "texts"),
        ({"text": "a"}, "texts"),
        ({"texts": ["a"], "more": 1}, "more"),
        ({"texts": ["a"], "deadline_ms": 10**9}, "deadline_ms"),
    ],
)
def test_a_bad_request_is_refused_with_its_place(hub, body, said):
    answer = client(hub, limits={"characters": 100, "texts": 3}).post(PATH, json=body)
    assert answer.status_code == 422
    assert said in answer.json()["error"]["message"]
    assert not hub.known["mood"].asked


def test_what_is_too_much_too_late_or_of_another_kind_is_refused(hub):
    support = parse(AnswerSettings, {"kind": "answer", "answers": "faq"}, "products.support")
    app = application(hub, products={"finance": product(), "support": support})
    here = TestClient(app, base_url="http://localhost")
    for path in ("/v1/products/support/opinions", "/v1/products/suport/opinions"):
        unknown = here.post(path, json={"texts": [WARNING]})
        assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "unknown_product")
        assert "Products: finance." in unknown.json()["error"]["message"]
    assert (
        "Products: support." in here.post("/v1/products/finance/answer", json={"text": "a"}).json()["error"]["message"]
    )
    hub.known["about"].then = lambda texts: QueueFull(9, 2.0)
    full = here.post(PATH, json={"texts": [WARNING]})
    assert (full.status_code, full.headers["retry-after"]) == (429, "2")
    assert hub.known["mood"].asked[0][2].done(), "what was asked besides is not waited for"
    hub.known["about"].then = lambda texts: None
    assert here.post(PATH, json={"texts": [WARNING], "deadline_ms": 1}).status_code == 504


def test_a_caller_needs_all_lines_and_a_request_counts_once(hub, workdir):
    keys = {name: new_key() for name in ("both", "one", "slow")}
    lines = {"both": ["mood", "about"], "one": ["mood"], "slow": None}
    entries = [{"name": name, "key": hash_key(key), "lines": lines[name]} for name, key in keys.items()]
    entries[2]["rate"] = "2/hour"
    (workdir / "team.yaml").write_text(yaml.safe_dump({"applications": entries}))
    here = client(hub, keys=Keys())
    ask = lambda name: here.post(PATH, json={"texts": [WARNING]}, headers={"X-API-Key": keys[name]})  # noqa: E731
    assert here.post(PATH, json={"texts": [WARNING]}).status_code == 401
    assert [ask(name).status_code for name in ("both", "one")] == [200, 403]
    assert [ask("slow").status_code for _ in range(3)] == [200, 200, 429]
    shown = [here.get("/v1/products", headers={"X-API-Key": keys[name]}).json()["products"] for name in ("both", "one")]
    assert shown == [[{"product": "finance", "kind": "opinion", "title": "News", "lines": ["mood", "about"]}], []]


def test_the_route_is_described(hub):
    schema = client(hub).get("/openapi.json").json()
    route = schema["paths"]["/v1/products/{product}/opinions"]["post"]
    assert {"401", "404", "422", "429", "503", "504"} <= set(route["responses"])
    assert set(schema["components"]["schemas"]["Opinion"]["required"]) == {
        "entities", "sentiment", "topic", "risk_words",
    }  # fmt: skip
