import json
import struct
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from services import StandIn, application
from starlette.testclient import TestClient

from serving.problems import Refused
from serving.tensors import Infer, read, write

MODEL = "/v2/models/sentiment"


@pytest.fixture
def hub():
    return StandIn()


@pytest.fixture
def client(hub):
    return TestClient(application(hub, limits={"texts": 8}), base_url="http://localhost")


def packed(*texts):
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)


def asked(data=None, beside=None, shape=None, **more):
    """A request's body and the length of its JSON."""
    tensor = {"name": "text", "datatype": "BYTES", "shape": shape or [len(data or [0])]}
    tensor |= {"data": data} if beside is None else {"parameters": {"binary_data_size": len(beside)}}
    content = json.dumps({"inputs": [tensor], **more}).encode()
    return content + (beside or b""), str(len(content))


def test_health_is_live_before_it_is_ready(client, hub):
    hub.is_ready = False
    hub.line("sentiment").champion = None
    paths = ["/v2/health/live", "/v2/health/ready", f"{MODEL}/ready", MODEL]
    assert [client.get(path).status_code for path in paths] == [200, 503, 503, 503]
    assert "no release yet" in client.get(MODEL).json()["error"]


def test_a_line_is_described_as_a_model(client):
    assert client.get("/v2").json()["extensions"] == ["binary_tensor_data"]
    assert client.get(MODEL).json() == {
        "name": "sentiment",
        "versions": ["0123456789ab"],
        "platform": "onnx_onnxv1",
        "inputs": [{"name": "text", "datatype": "BYTES", "shape": [-1]}],
        "outputs": [
            {"name": "label", "datatype": "BYTES", "shape": [-1]},
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, 2]},
        ],
        "parameters": {"labels": ["negative", "positive"]},
    }


def test_json_in_and_out(client):
    body, _ = asked(["good", "very good"], id="seven")
    answer = client.post(f"{MODEL}/infer", content=body)
    assert answer.headers["x-request-id"] == "seven"
    content = answer.json()
    assert (content["id"], content["model_name"], content["model_version"]) == ("seven", "sentiment", "0123456789ab")
    assert content["outputs"][0] == {
        "name": "label", "datatype": "BYTES", "shape": [2], "data": ["positive", "positive"],
    }  # fmt: skip
    assert content["outputs"][1]["shape"] == [2, 2]
    assert content["outputs"][1]["data"] == pytest.approx([0.48, 0.52, 0.455, 0.545])


@pytest.mark.parametrize("shape", [[2], [2, 1]])
def test_bytes_in_and_out(client, shape):
    outputs = [{"name": "probabilities", "parameters": {"binary_data": True}}, {"name": "label"}]
    body, length = asked(beside=packed(b"good", "sehr schön".encode()), shape=shape, outputs=outputs)
    answer = client.post(f"{MODEL}/infer", content=body, headers={"Inference-Header-Content-Length": length})
    size = int(answer.headers["inference-header-content-length"])
    content = json.loads(answer.content[:size])
    assert [output["name"] for output in content["outputs"]] == ["probabilities", "label"]
    assert content["outputs"][0]["parameters"] == {"binary_data_size": 16}
    assert np.frombuffer(answer.content[size:], "<f4").tolist() == pytest.approx([0.48, 0.52, 0.45, 0.55])
    assert content["outputs"][1]["data"] == ["positive", "positive"]


def test_what_is_out_of_scope_is_an_output_of_a_release_that_tells_it(client, hub):
    served = hub.line("sentiment")
    body, _ = asked(["good", "my coat"], outputs=[{"name": "in_scope"}])
    answer = client.post(f"{MODEL}/infer", content=body)
    assert (answer.status_code, "gives label, probabilities" in answer.json()["error"]) == (422, True)
    served.then = lambda texts: replace(served.reply(texts), in_scope=[True, False])
    expected = {"name": "in_scope", "datatype": "BOOL", "shape": [2], "data": [True, False]}
    assert client.post(f"{MODEL}/infer", content=body).json()["outputs"] == [expected]
    assert client.post(f"{MODEL}/infer", content=asked(["good", "my coat"])[0]).json()["outputs"][2] == expected
    body, _ = asked(["good", "my coat"], outputs=[{"name": "in_scope", "parameters": {"binary_data": True}}])
    assert client.post(f"{MODEL}/infer", content=body).content.endswith(b"\1\0")
    served.then = lambda texts: replace(served.reply(texts), in_scope=[None] * len(texts))
    assert len(client.post(f"{MODEL}/infer", content=asked(["good"])[0]).json()["outputs"]) == 2
    served.champion = type("Release", (), {"release": "0123456789ab", "version": None, "tells_scope": True})
    assert client.get(MODEL).json()["outputs"][2] == {"name": "in_scope", "datatype": "BOOL", "shape": [-1]}


def test_a_version_is_a_release_or_its_number(client):
    body, _ = asked(["good"])
    for version, status in {"0123456789ab": 200, "v0.1.0": 200, "v0.2.0": 404}.items():
        path = f"{MODEL}/versions/{version}"
        assert client.post(f"{path}/infer", content=body).status_code == status
        assert client.get(path).status_code == client.get(f"{path}/ready").status_code == status


def test_an_answer_by_another_version_is_not_passed_off_as_the_one_asked_for(client, hub):
    line = hub.line("sentiment")
    champion = line.reply

    def switched(texts):
        line.champion = type("Release", (), {"release": "ba9876543210", "version": "v0.2.0"})
        return champion(texts)

    line.then = switched
    line.champion = type("Release", (), {"release": "ffffffffffff", "version": "v0.3.0"})
    body, _ = asked(["good"])
    answer = client.post(f"{MODEL}/versions/ffffffffffff/infer", content=body)
    assert (answer.status_code, "0123456789ab" in answer.json()["error"]) == (404, True)


def test_a_timeout_in_microseconds_is_the_deadline(client, hub):
    hub.line("sentiment").then = lambda texts: None
    body, _ = asked(["good"], parameters={"timeout": 20_000})
    assert client.post(f"{MODEL}/infer", content=body).status_code == 504


WRONG = {
    "no JSON": (b"{", None),
    "a list": (b"[]", None),
    "no input": (b'{"inputs": []}', None),
    "another input": (asked(["a"])[0].replace(b'"text"', b'"words"'), None),
    "another type": (asked(["a"])[0].replace(b"BYTES", b"INT32"), None),
    "a number": asked([1]),
    "too many": asked(["a"] * 9),
    "empty": asked([""]),
    "another shape": asked(["a"], shape=[2]),
    "three dimensions": asked(["a"], shape=[1, 1, 1]),
    "a shape below nothing": asked(["a"], shape=[-1, -1]),
    "another output": asked(["a"], outputs=[{"name": "logits"}]),
    "cut off": asked(beside=packed(b"good")[:-1]),
    "cut in its length": asked(beside=b"\1\0"),
    "too large a length": asked(beside=b"\xff\xff\xff\xffgood"),
    "no UTF-8": asked(beside=packed(b"\xff")),
    "length beyond the body": (asked(["a"])[0], "99999"),
    "length of digits without end": (asked(["a"])[0], "9" * 5000),
    "length below nothing": (asked(["a"])[0], "-1"),
    "length of no number": (asked(["a"])[0], "x"),
    "bytes that nobody announced": (asked(["a"])[0] + b"more", asked(["a"])[1]),
}


@pytest.mark.parametrize(("body", "length"), WRONG.values(), ids=WRONG)
def test_wrong_requests_get_an_error_in_the_protocols_shape(client, hub, body, length):
    headers = {} if length is None else {"Inference-Header-Content-Length": length}
    answer = client.post(f"{MODEL}/infer", content=body, headers=headers)
    assert answer.status_code == 422
    assert set(answer.json()) == {"error"}
    assert not hub.line("sentiment").asked


def test_what_is_not_there_is_an_error_in_the_protocols_shape(client):
    for path in ("/v2/models/other", "/v2/models/other/ready", "/v2/nothing", f"{MODEL}/config"):
        answer = client.get(path)
        assert (answer.status_code, set(answer.json())) == (404, {"error"})


@given(st.binary(max_size=200), st.one_of(st.none(), st.integers(0, 250).map(str), st.text(max_size=5)))
def test_any_bytes_are_read_or_refused(body, length):
    try:
        read(body, length)
    except Refused as refused:
        assert refused.status == 422


@given(st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"])), min_size=1, max_size=5))
def test_texts_come_back_as_they_went(texts):
    body, length = asked(beside=packed(*(text.encode() for text in texts)), shape=[len(texts)])
    assert read(body, length)[1] == texts
    body, length = asked(texts)
    assert read(body, None)[1] == texts


def test_tensors_are_written_one_behind_the_other():
    wanted = Infer.model_validate(
        {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1]}], "parameters": {"binary_data_output": True}}
    )
    body, size = write(wanted, {"model_name": "m"}, ["négative"], np.array([[0.25, 0.75]], dtype=np.float32))
    sizes = [output["parameters"]["binary_data_size"] for output in json.loads(body[:size])["outputs"]]
    assert sizes == [4 + 9, 8]
    assert body[size:] == packed("négative".encode()) + np.array([0.25, 0.75], "<f4").tobytes()
