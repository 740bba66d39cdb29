import os
import re
import signal
import threading
import time

import httpx
import pytest
import yaml
from services import PATIENCE, deploy, service, until

PREDICT = "/v1/lines/sentiment/predict"


@pytest.fixture
def work(released, tmp_path):
    deploy(released / "data/sentiment/release/bundle", tmp_path / "serving")
    settings = {"folder": "serving", "poll_seconds": 0.1, "stop_seconds": 10}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"lines": {"sentiment": {}}, "serving": settings}))
    return tmp_path


def child(running):
    """The process that answers now, by what it says of itself."""
    found = re.findall(r"process (\d+)", running.log)
    return int(found[-1])


def takeovers(running):
    return len(re.findall(r"takes over", running.log))


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def load(url, stop, answers):
    """Ask over one connection for as long as it lasts, without a second try for anything."""
    with httpx.Client(base_url=url, timeout=PATIENCE, trust_env=False) as client:
        while not stop.is_set():
            try:
                answers.append(client.post(PREDICT, json={"texts": ["a warm film"]}).status_code)
            except httpx.HTTPError as error:
                answers.append(repr(error))


@pytest.mark.long
def test_restarts_under_load_fail_no_request(work):
    with service(work, "--supervised") as running:
        stop, answers = threading.Event(), []
        threads = [threading.Thread(target=load, args=(running.url, stop, answers)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for restart in range(1, 5):
            before = len(answers)
            running.process.send_signal(signal.SIGHUP)
            until(lambda restart=restart: takeovers(running) == restart)
            until(lambda before=before: len(answers) > before + 50)
        time.sleep(1.5)  # the last of the old ones ends under load as well
        stop.set()
        for thread in threads:
            thread.join(PATIENCE)
        assert set(answers) == {200}
        assert running.end() == 0


@pytest.mark.long
def test_a_dead_child_is_replaced_and_one_that_is_not_ready_is_not_taken(work):
    with service(work, "--supervised") as running:
        first = child(running)
        os.kill(first, signal.SIGKILL)
        assert httpx.get(f"{running.url}/v2/health/ready", timeout=PATIENCE).status_code == 200
        second = until(lambda: child(running) != first and child(running))
        assert f"process {first} ended with -9" in running.log

        pointer = work / "serving/sentiment/current.json"
        good = pointer.read_text()
        pointer.write_text("{}")
        running.process.send_signal(signal.SIGHUP)
        until(lambda: "did not become ready" in running.log)
        pointer.write_text(good)
        assert httpx.post(f"{running.url}{PREDICT}", json={"texts": ["a"]}, timeout=PATIENCE).status_code == 200
        assert alive(second)

        running.end(signal.SIGKILL)
        until(lambda: not alive(second))
