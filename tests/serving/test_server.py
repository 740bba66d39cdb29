import json
import signal
import socket
import subprocess
import sys
import threading
import time
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
import yaml
from services import PATIENCE, deploy, service, until

from tasks.core.files import read_json
from tasks.inference import Model
from tasks.team import hash_key, new_key

PREDICT = "/v1/lines/sentiment/predict"


@pytest.fixture(scope="module")
def bundle(released):
    return released / "data/sentiment/release/bundle"


@pytest.fixture(scope="module")
def work(bundle, tmp_path_factory):
    """A folder with a serving folder, and a service that does not wait long for slow callers."""
    folder = tmp_path_factory.mktemp("work")
    deploy(bundle, folder / "serving")
    slow = {"head_seconds": 0.5, "body_seconds": 0.5}
    settings = {"folder": "serving", "poll_seconds": 0.1, "stop_seconds": 10, "limits": slow}
    (folder / "params.yaml").write_text(yaml.safe_dump({"lines": {"sentiment": {}}, "serving": settings}))
    return folder


@pytest.fixture(scope="module")
def running(work):
    with service(work) as found:
        yield found


@pytest.fixture
def client(running):
    with httpx.Client(base_url=running.url, timeout=PATIENCE, trust_env=False) as found:
        yield found


@pytest.fixture
def connection(running):
    """A bare connection to the service."""
    address = urlsplit(running.url)
    with socket.create_connection((address.hostname, address.port), timeout=PATIENCE) as found:
        yield found


def everything(connection):
    """What comes until the other side closes."""
    found = b""
    while part := connection.recv(65536):
        found += part
    return found


def test_it_answers_as_the_release_does(client, bundle):
    requests = read_json(bundle / "warmup.json")["requests"]
    texts = [request["text"] for request in requests]
    found = client.post(PREDICT, json={"texts": texts}).json()["predictions"]
    expected = Model.load(bundle, "fp32").predict(texts)
    assert [one["label"] for one in found] == expected.labels.tolist()
    given = np.array([list(one["probabilities"].values()) for one in found])
    assert np.abs(given - expected.probabilities).max() < 1e-4


def test_it_says_at_the_start_what_it_took_and_what_it_serves(running):
    assert "imported in" in running.log
    assert "MB" in running.log
    assert "(fp32, cpu)" in running.log


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("packed", [None, "gzip", "deflate"])
@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_tritonclient_gets_the_right_answer(running, bundle, binary, packed, shape):
    from tritonclient import http as triton

    texts = ["a warm film", "dull and cold \0 😀", "مرحبا " * 50]
    given = triton.InferInput("text", list(shape), "BYTES")
    given.set_data_from_numpy(np.array([t.encode() for t in texts], dtype=object).reshape(shape), binary_data=binary)
    outputs = [triton.InferRequestedOutput(name, binary_data=binary) for name in ("label", "probabilities")]
    asked = triton.InferenceServerClient(urlsplit(running.url).netloc)
    try:
        assert asked.is_server_live()
        assert asked.is_server_ready()
        assert asked.is_model_ready("sentiment")
        assert asked.get_model_metadata("sentiment")["inputs"][0]["name"] == "text"
        answer = asked.infer(
            "sentiment", [given], outputs=outputs, request_id="t1", request_compression_algorithm=packed
        )  # fmt: skip
        bare = asked.infer("sentiment", [given])
        with pytest.raises(triton.InferenceServerException, match="no line 'other'"):
            asked.infer("other", [given])
    finally:
        asked.close()
    expected = Model.load(bundle, "fp32").predict(texts)
    for found in (answer, bare):
        labels = [label.decode() if isinstance(label, bytes) else label for label in found.as_numpy("label")]
        assert labels == expected.labels.tolist()
        np.testing.assert_allclose(found.as_numpy("probabilities"), expected.probabilities, atol=1e-4)
    assert answer.get_response()["id"] == "t1"


@pytest.mark.parametrize(
    ("texts", "status"),
    [(["a"] * 100_000, 422), (["a" * 2**20], 422), (["a" * 10_000_000], 413), ([], 422), (["\0\0"], 200),
     (["😀" * 5_000], 200), (["\u202e" + "שלום " * 1_000], 200), (["a " * 5_000] * 256, 200)],
    ids=["100,000 texts", "a megabyte", "10 MB", "none", "NUL", "emoji", "right to left", "all that is allowed"],
)  # fmt: skip
def test_heavy_and_odd_requests_leave_it_well(client, texts, status):
    answer = client.post(PREDICT, json={"texts": texts, "deadline_ms": 60_000})
    assert answer.status_code == status
    assert client.post(PREDICT, json={"texts": ["a warm film"]}).status_code == 200


def test_a_head_that_does_not_come_ends_the_connection(connection):
    connection.sendall(b"POST /v1/lines HTTP/1.1\r\nHost: localhost\r\nX-Slow")
    assert everything(connection) == b""


def test_a_connection_that_says_nothing_is_ended(connection):
    assert everything(connection) == b""


def test_dripping_bytes_behind_an_answer_do_not_hold_a_connection(connection):
    connection.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
    found = b""
    while not found.endswith(b'{"live":true}'):
        found += connection.recv(65536)
    connection.sendall(b"\r\n")
    assert everything(connection) == b""


def test_a_body_that_does_not_come_is_told_so(connection):
    connection.sendall(
        b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{"
        % PREDICT.encode()
    )
    answer = everything(connection)
    assert b" 408 " in answer
    assert b"too_slow" in answer


@pytest.mark.parametrize("head", [b"X-Large: " + b"x" * 2_000_000, b"X: y\r\n" * 400_000])
def test_a_large_head_is_refused(connection, head):
    try:
        connection.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n" + head)
        answer = everything(connection)
    except (ConnectionResetError, BrokenPipeError):
        return  # it did not listen to the end
    assert b" 431 " in answer


def test_nonsense_is_answered_and_parted_with(connection):
    connection.sendall(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
    assert b" 400 " in everything(connection)


def test_a_caller_who_hangs_up_does_no_harm(running, client):
    address = urlsplit(running.url)
    body = json.dumps({"texts": ["a " * 5_000] * 50}).encode()
    for _ in range(5):
        with socket.create_connection((address.hostname, address.port), timeout=PATIENCE) as bare:
            head = f"POST {PREDICT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            bare.sendall(head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert client.post(PREDICT, json={"texts": ["a warm film"], "deadline_ms": 60_000}).status_code == 200


def test_the_log_has_no_text_of_a_caller(running, client):
    client.post(PREDICT, json={"texts": ["a secret plan", ""]})
    client.post(PREDICT, json={"texts": ["a secret plan"]})
    client.get("/v1/lines/secret-line")
    assert "secret" not in running.log
    assert "Traceback" not in running.log


def load(url, stop, answers):
    """Ask over one connection after another until told to stop; what came, and what did not."""
    with httpx.Client(base_url=url, timeout=PATIENCE, trust_env=False) as client:
        while not stop.is_set():
            try:
                answers.append(client.post(PREDICT, json={"texts": ["a warm film"] * 3}).status_code)
            except httpx.ConnectError:
                return  # nobody listens any more
            except httpx.HTTPError as error:
                answers.append(repr(error))


def test_told_to_end_in_mid_load_it_loses_nothing(work):
    with service(work) as running:
        stop, answers = threading.Event(), []
        threads = [threading.Thread(target=load, args=(running.url, stop, answers)) for _ in range(6)]
        for thread in threads:
            thread.start()
        until(lambda: len(answers) > 50)
        assert running.end() == 0
        stop.set()
        for thread in threads:
            thread.join(PATIENCE)
        assert set(answers) == {200}
        assert "ending: " in running.log


def test_told_to_end_while_it_loads_it_ends_well(work):
    for _ in range(3):
        with service(work, ready=False) as running:
            assert running.end() == 0
            assert "ended" in running.log


def test_a_second_signal_hurries(work):
    with service(work) as running:
        address = urlsplit(running.url)
        with socket.create_connection((address.hostname, address.port), timeout=PATIENCE) as idle:
            idle.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
            idle.recv(65536)
            running.process.send_signal(signal.SIGINT)
            until(lambda: "ending: " in running.log)
            assert running.end(signal.SIGTERM) == 0


def test_it_lives_before_it_is_ready_and_takes_a_release_up(bundle, tmp_path):
    settings = {"poll_seconds": 0.1}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"lines": {"sentiment": {}}, "serving": settings}))
    with service(tmp_path, "--folder", "serving", ready=False) as running:
        with httpx.Client(base_url=running.url, timeout=PATIENCE, trust_env=False) as client:
            assert client.get("/v2/health/live").status_code == 200
            assert client.get("/v2/health/ready").status_code == 503
            assert client.post(PREDICT, json={"texts": ["a"]}).status_code == 404
            deploy(bundle, tmp_path / "serving")
            until(lambda: client.get("/v2/health/ready").status_code == 200)
            assert client.post(PREDICT, json={"texts": ["a"]}).status_code == 200
        assert running.end() == 0


def start(work, *arguments):
    command = [sys.executable, "-m", "serving", "--port", "0", *arguments]
    return subprocess.run(command, cwd=work, capture_output=True, text=True, timeout=PATIENCE, check=False)


def test_it_does_not_start_where_others_reach_it_without_keys(tmp_path):
    done = start(tmp_path, "--host", "0.0.0.0")  # noqa: S104
    assert done.returncode == 2
    assert "team.yaml" in done.stderr
    assert "Traceback" not in done.stderr
    done = start(tmp_path, "--host", "0.0.0.0", "--supervised")  # noqa: S104
    assert done.returncode == 2


def test_it_does_not_start_with_wrong_settings_or_on_a_taken_port(work, tmp_path, running):
    (tmp_path / "params.yaml").write_text("lines: {a: {}}\nserving: {limits: {txts: 3}}\n")
    done = start(tmp_path)
    assert done.returncode == 2
    assert "serving.limits.txts: unknown key (did you mean 'texts'?)" in done.stderr
    done = start(work, "--port", str(urlsplit(running.url).port))
    assert done.returncode == 2
    assert "Give another port" in done.stderr


def test_keys_are_in_force_in_the_real_process(work, bundle, tmp_path):
    key = new_key()
    deploy(bundle, tmp_path / "serving")
    team = {"applications": [{"name": "shop", "key": hash_key(key)}]}
    (tmp_path / "team.yaml").write_text(yaml.safe_dump(team))
    with service(tmp_path, "--folder", "serving") as running:
        ask = {"url": f"{running.url}{PREDICT}", "json": {"texts": ["a"]}, "timeout": PATIENCE}
        assert httpx.post(**ask).status_code == 401
        assert httpx.post(**ask, headers={"X-API-Key": key}).status_code == 200
        assert httpx.post(**ask, headers={"X-API-Key": key[:-1]}).status_code == 401
        assert key not in running.log
    with service(tmp_path, "--folder", "serving", "--keyless") as running:
        ask["url"] = f"{running.url}{PREDICT}"
        assert httpx.post(**ask).status_code == 200


def test_no_heavy_library_is_in_the_process(work):
    seen = (
        "import sys, serving.server, serving.supervisor, serving.served, tasks.kinds.classify.serve, tasks.text\n"
        "print(sorted({'torch', 'transformers', 'pandas', 'pyarrow', 'scipy', 'sklearn', 'prefect', 'dvc'} "
        "& set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert done.stdout.strip() == "[]"


def test_it_ends_with_the_process_that_started_it(work):
    starter = (
        "import os, subprocess, sys, time\n"
        "reading, writing = os.pipe()\n"
        "subprocess.Popen([sys.executable, '-m', 'serving', '--port', '0', '--no-log'], pass_fds=[reading],\n"
        "    env={**os.environ, 'TIDEGATE_PARENT_PIPE': str(reading)}, stdout=open('child.log', 'w'))\n"
        "time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", starter], cwd=work)
    try:
        url = until(lambda: (work / "child.log").exists() and (work / "child.log").read_text().strip()).split()[-1]
        assert httpx.get(f"{url}/v2/health/live", timeout=PATIENCE).status_code == 200
    finally:
        process.kill()
        process.wait()
    address = urlsplit(url)

    def gone():
        with socket.socket() as probe:
            return probe.connect_ex((address.hostname, address.port)) != 0

    began = time.monotonic()
    until(gone)
    assert time.monotonic() - began < PATIENCE
