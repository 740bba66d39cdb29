import asyncio
import gzip
import json
import logging
import zlib
from dataclasses import replace

import pytest
from services import Kept, StandIn, application
from starlette.testclient import TestClient

from serving.errors import Expired, NotReady, QueueFull
from serving.metrics import Metrics

PREDICT = "/v1/lines/sentiment/predict"
MARK = "xyzzy"
"""Stands in every faulty request; no answer may repeat it."""


@pytest.fixture
def hub():
    return StandIn()


@pytest.fixture
def kept():
    return Kept()


@pytest.fixture
def client(hub, kept):
    return local(application(hub, recorder=kept, limits={"texts": 8, "characters": 100, "body_bytes": 20_000}))


def local(app):
    return TestClient(app, base_url="http://localhost")


def post(client, content, path=PREDICT, **headers):
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return client.post(path, content=body, headers={"Content-Type": "application/json", **headers})


def test_predictions_come_per_text_with_release_and_request_id(client, hub):
    answer = post(client, {"texts": ["good", "very good"]}, **{"X-Request-ID": "order-7"})
    assert answer.status_code == 200
    assert answer.headers["x-request-id"] == "order-7"
    assert answer.json() == {
        "request_id": "order-7",
        "line": "sentiment",
        "release": "0123456789ab",
        "version": "v0.1.0",
        "variant": "int8",
        "role": "champion",
        "predictions": [
            {"label": "positive", "probabilities": {"negative": 0.48, "positive": 0.52}},
            {"label": "positive", "probabilities": {"negative": 0.455, "positive": 0.545}},
        ],
    }
    texts, about, _ = hub.line("sentiment").asked[0]
    assert texts == ["good", "very good"]
    assert (about["request_id"], about["source"], about["key"]) == ("order-7", "anonymous", None)


def test_what_is_out_of_scope_is_told_beside_the_best_guess(client, hub):
    served = hub.line("sentiment")
    served.then = lambda texts: replace(served.reply(texts), in_scope=[True, False])
    found = post(client, {"texts": ["good", "where is my coat"]}).json()["predictions"]
    assert [(one["label"], one["in_scope"]) for one in found] == [("positive", True), ("positive", False)]
    told = client.get("/openapi.json").json()["components"]["schemas"]["Prediction"]
    assert "in_scope" in told["properties"] and "in_scope" not in told["required"]


def test_a_caller_may_ask_for_the_first_labels_alone(client):
    for top, expected in ((1, [("positive", 0.52)]), (9, [("positive", 0.52), ("negative", 0.48)])):
        (found,) = post(client, {"texts": ["good"], "top": top}).json()["predictions"]
        assert list(found["probabilities"].items()) == expected
    assert post(client, {"texts": ["good"], "top": 0}).status_code == 422


@pytest.mark.parametrize("given", ["", "a b", "x" * 101, "ä", "-x", "a\tb"])
def test_a_malformed_request_id_is_replaced(client, given):
    answer = post(client, {"texts": ["good"]}, **{"X-Request-ID": given.encode()})
    assert answer.status_code == 200
    assert len(answer.headers["x-request-id"]) == 32


@pytest.mark.parametrize("text", ["\0", "a\0b", "😀👩‍👩‍👧", "\u202eمرحبا", "שלום", "\ufeff", "x" * 100, "这部电影"])
def test_odd_texts_are_answered(client, text):
    assert post(client, {"texts": [text]}).status_code == 200


FAULTY = {
    "no JSON": b"{xyzzy",
    "nothing": b"",
    "no object": b'["xyzzy"]',
    "no texts": b'{"deadline_ms": 1}',
    "none": b'{"texts": []}',
    "empty": b'{"texts": ["xyzzy", ""]}',
    "blank": b'{"texts": [" \\n"]}',
    "number": b'{"texts": [1]}',
    "null": b'{"texts": [null]}',
    "text for list": b'{"texts": "xyzzy"}',
    "another key": b'{"texts": ["a"], "other": "xyzzy"}',
    "a key twice": b'{"texts": ["xyzzy"], "texts": ["b"]}',
    "NaN": b'{"texts": ["xyzzy"], "deadline_ms": NaN}',
    "deadline as text": b'{"texts": ["xyzzy"], "deadline_ms": "5"}',
    "deadline of nothing": b'{"texts": ["xyzzy"], "deadline_ms": 0}',
    "deadline too far": b'{"texts": ["xyzzy"], "deadline_ms": 60001}',
    "deadline beyond floats": b'{"texts": ["xyzzy"], "deadline_ms": %s}' % (b"9" * 400),
    "number too long": b'{"texts": ["xyzzy"], "deadline_ms": %s}' % (b"9" * 5000),
    "half a pair": b'{"texts": ["xyzzy \\ud800"]}',
    "half a pair in a key": b'{"\\udc00xyzzy": ["a"]}',
    "bytes of half a pair": b'{"texts": ["xyzzy \xed\xa0\x80"]}',
    "Latin-1": b'{"texts": ["xyzzy \xe9"]}',
    "UTF-16": '{"texts": ["xyzzy"]}'.encode("utf-16"),
    "nested": b'{"texts": ' + b"[" * 8000,
    "too many": json.dumps({"texts": ["xyzzy"] * 9}).encode(),
    "too long": json.dumps({"texts": ["xyzzy" * 21]}).encode(),
}


@pytest.mark.parametrize("body", FAULTY.values(), ids=FAULTY)
def test_faulty_content_is_refused_in_one_shape_and_not_repeated(client, hub, body, caplog):
    answer = post(client, body)
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert {"code", "message", "request_id"} <= set(error) <= {"code", "message", "request_id", "details"}
    assert MARK not in answer.text
    assert MARK not in caplog.text
    assert "Traceback" not in answer.text
    assert not hub.line("sentiment").asked


def test_faults_name_the_place_and_what_is_allowed(client):
    answer = post(client, {"texts": ["a", "", "b" * 101]})
    assert answer.json()["error"]["details"] == [
        {"where": "texts.1", "message": "is empty: there is nothing to label"},
        {"where": "texts.2", "message": "has 101 characters; at most 100 are allowed"},
    ]
    assert "9 were given; at most 8" in post(client, {"texts": ["a"] * 9}).json()["error"]["message"]


@pytest.mark.parametrize(
    "path",
    ["/v1/lines/other/predict", "/v1/lines/../predict", "/v1/lines/..%2f..%2fetc%2fpasswd/predict", "/v3",
     "/v1/lines/%00/predict", "/v1/lines/sentiment%2f..%2fother/predict", "/v1/lines//predict",
     "/v1/lines/%F0%9F%98%80/predict"],
)  # fmt: skip
def test_there_is_nothing_but_the_lines(client, path):
    answer = post(client, {"texts": ["a"]}, path)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] in ("unknown_line", "not_found")


def test_other_methods_and_contents_are_refused(client):
    assert client.get(PREDICT).status_code == 405
    assert post(client, {"texts": ["a"]}, **{"Content-Type": "text/plain"}).status_code == 415
    assert post(client, {"texts": ["a"]}, **{"Content-Encoding": "br"}).status_code == 415


@pytest.mark.parametrize(
    ("error", "status", "header"),
    [(QueueFull(9, 2.3), 429, "3"), (NotReady("No release yet."), 503, "1"), (Expired(), 504, None)],
)
def test_what_the_hub_refuses_says_when_to_come_again(client, hub, error, status, header):
    hub.line("sentiment").then = lambda texts: error
    answer = post(client, {"texts": ["a"]})
    assert (answer.status_code, answer.headers.get("retry-after")) == (status, header)
    assert answer.json()["error"]["message"] == str(error)


def test_past_its_deadline_a_request_is_answered_and_given_up(client, hub):
    hub.line("sentiment").then = lambda texts: None
    answer = post(client, {"texts": ["a"], "deadline_ms": 30})
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "expired")
    assert hub.line("sentiment").asked[0][2].cancelled()


def test_a_fault_of_the_service_tells_nothing_of_itself(client, hub, caplog):
    hub.line("sentiment").then = lambda texts: 1 / len(texts[0][:0])
    with caplog.at_level(logging.INFO):
        answer = post(client, {"texts": [MARK]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal")
    assert "division" not in answer.text + caplog.text
    assert "unexpected ZeroDivisionError at" in caplog.text
    assert MARK not in caplog.text


def test_a_caller_who_hangs_up_is_given_up(hub):
    hub.line("sentiment").then = lambda texts: None
    metrics = Metrics()
    app = application(hub, metrics=metrics)
    messages = [{"type": "http.request", "body": b'{"texts": ["a"]}', "more_body": False}, {"type": "http.disconnect"}]

    async def receive():
        await asyncio.sleep(0)
        return messages.pop(0)

    async def send(message):
        raise AssertionError("nobody listens")

    scope = {
        "type": "http", "method": "POST", "path": PREDICT, "raw_path": PREDICT.encode(), "query_string": b"",
        "headers": [(b"content-type", b"application/json"), (b"host", b"localhost")], "root_path": "",
    }  # fmt: skip
    asyncio.run(app(scope, receive, send))
    assert hub.line("sentiment").asked[0][2].cancelled()
    assert sample(metrics, "tidegate_requests_total", code="499", line="sentiment") == 1


def sample(metrics, name, **labels):
    """The sum of the samples of that name with these labels."""
    found = [s for family in metrics.registry.collect() for s in family.samples if s.name == name]
    return sum(s.value for s in found if labels.items() <= s.labels.items())


def test_metrics_count_by_line_and_route_and_never_by_what_callers_invent(hub):
    client = local(application(hub))
    post(client, {"texts": ["a"]})
    for name in ("made", "up"):
        post(client, {"texts": ["a"]}, f"/v1/lines/{name}/predict")
        client.get(f"/{name}")
    text = client.get("/metrics").text
    assert 'tidegate_requests_total{code="200",line="sentiment",route="/v1/lines/{line}/predict"} 1.0' in text
    assert 'tidegate_requests_total{code="404",line="",route="/v1/lines/{line}/predict"} 2.0' in text
    assert 'tidegate_latency_seconds_count{line="sentiment"} 1.0' in text
    assert "made" not in text


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"request_id": "r1", "labels": ["positive", "negative"]}, [(0, "positive"), (1, "negative")]),
        ({"request_id": "r1", "position": 3, "label": "negative"}, [(3, "negative")]),
        ({"request_id": "r1", "labels": ["positive", "oos"]}, [(0, "positive"), (1, "oos")]),
    ],
)
def test_feedback_reaches_the_recorder(client, kept, body, expected):
    answer = post(client, body, "/v1/lines/sentiment/feedback")
    assert (answer.status_code, answer.json()) == (202, {"request_id": "r1", "received": len(expected)})
    assert [(one.position, one.label) for one in kept.given] == expected
    assert {(one.request_id, one.line, one.source) for one in kept.given} == {("r1", "sentiment", "anonymous")}


@pytest.mark.parametrize(
    "body",
    [
        {"request_id": "r1", "labels": ["xyzzy"]},
        {"request_id": "r1", "labels": []},
        {"request_id": "r1", "labels": ["positive"], "position": 0},
        {"request_id": "r1", "labels": ["positive"] * 9},
        {"request_id": "r1", "position": -1, "label": "positive"},
        {"request_id": "r1", "position": 8, "label": "positive"},
        {"request_id": "r1", "position": True, "label": "positive"},
        {"request_id": "", "position": 0, "label": "positive"},
        {"request_id": 7, "position": 0, "label": "positive"},
        {"position": 0, "label": "positive"},
        {},
        [],
    ],
)
def test_wrong_feedback_is_refused_as_a_whole(client, kept, body):
    answer = post(client, body, "/v1/lines/sentiment/feedback")
    assert answer.status_code == 422
    assert MARK not in answer.text
    assert not kept.given


def test_a_wrong_label_is_answered_with_the_right_ones(client):
    answer = post(client, {"request_id": "r", "labels": ["negative", "great"]}, "/v1/lines/sentiment/feedback")
    assert answer.json()["error"]["message"] == (
        "labels.1: is no label of this line; allowed are negative, positive, oos"
    )  # fmt: skip


@pytest.mark.parametrize(("how", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_packed_bodies_are_inflated_within_bounds(client, how, pack):
    packed = pack(b'{"texts": ["a"]}')
    bomb = pack(b'{"texts": ["' + b"a" * 4_000_000 + b'"]}')
    assert len(bomb) < 20_000
    bodies = {packed: 200, bomb: 413, packed[:-3]: 422, packed + b"more": 422, b"not packed": 422, b"": 422}
    assert {post(client, body, **{"Content-Encoding": how}).status_code == code for body, code in bodies.items()} == {
        True
    }


def test_large_bodies_are_refused_however_they_come(client):
    large = b'{"texts": ["' + b"a" * 30_000 + b'"]}'
    assert post(client, large).status_code == 413
    pieces = client.post(PREDICT, content=iter([large[:9_000]] * 3), headers={"Content-Type": "application/json"})
    assert (pieces.status_code, pieces.headers["connection"]) == (413, "close")
    lying = post(client, b"{}", **{"Content-Length": "99999999999"})
    assert lying.status_code == 413


def test_the_pages_need_no_other_machine(client):
    page = client.get("/docs")
    assert page.status_code == 200
    assert "https://" not in page.text.replace("https://fastapi.tiangolo.com", "")
    assert client.get("/static-offline-docs/swagger-ui-bundle.js").status_code == 200
    assert client.get("/").json()["service"] == "tidegate"


def test_answers_are_not_to_be_shared_with_other_sites(client):
    answer = post(client, {"texts": ["a"]}, Origin="https://example.org")
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert client.options(PREDICT, headers={"Origin": "https://example.org"}).status_code == 405
