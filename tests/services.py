"""The service for tests: a stand-in for the hub, and real processes on loopback."""

import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import Future
from contextlib import contextmanager

import httpx
import numpy as np

from serving.app import create_app
from serving.deployment import Pointer, ServingFolder
from serving.errors import UnknownLine
from serving.line import Reply
from serving.metrics import Metrics
from serving.security import Keys
from serving.settings import ServingSettings

LABELS = ["negative", "positive"]
PATIENCE = 60.0  # seconds; the machine may be busy


class Release:
    """What routes ask of a champion."""

    release, version, variant, provider = "0123456789ab", "v0.1.0", "int8", "cpu"
    tells_scope = False


class Line:
    """A line whose answer is `positive` at a probability that depends on the text's length; or whatever `then` does."""

    labels, kind, champion = LABELS, "classify", Release()
    truths = (*LABELS, "oos")

    @staticmethod
    def readable(text):
        return True

    def __init__(self, name="sentiment"):
        self.name = name
        self.asked = []
        self.then = self.reply

    def submit(self, texts, **about):
        future = Future()
        self.asked.append((list(texts), about, future))
        result = self.then(texts)
        if isinstance(result, Exception):
            raise result
        if result is not None:
            future.set_result(result)
        return future

    def reply(self, texts):
        high = np.array([0.5 + min(len(text), 99) / 200 for text in texts], dtype=np.float32)
        both = np.stack([1 - high, high], axis=1)
        return Reply(["positive"] * len(texts), both, LABELS, "0123456789ab", "v0.1.0", "int8", "champion")

    def describe(self):
        return {"line": self.name, "labels": LABELS}


class StandIn:
    """A hub without models."""

    def __init__(self, *names):
        self.known = {name: Line(name) for name in names or ("sentiment",)}
        self.is_ready = True

    def ready(self):
        return self.is_ready

    def lines(self):
        return sorted(self.known)

    def line(self, name):
        if name not in self.known:
            raise UnknownLine(name, self.known)
        return self.known[name]


class Kept:
    """A recorder that remembers feedback."""

    def __init__(self):
        self.given = []

    def answered(self, answers):
        raise AssertionError("the hub records answers")

    def feedback(self, given):
        self.given.append(given)


def application(hub=None, keys=None, recorder=None, metrics=None, products=None, **settings):
    """The application around a stand-in, in this process."""
    settings = ServingSettings.model_validate(settings)
    hub, recorder, keys = hub or StandIn(), recorder or Kept(), keys or Keys(None)
    return create_app(hub, settings, metrics or Metrics(), recorder, keys, bundled=products)


def deploy(bundle, folder, line="sentiment", **pointer):
    """Put a release into a serving folder and point to it; its id."""
    target = ServingFolder(str(folder))
    release = target.put(line, bundle)
    target.point(Pointer(**{"line": line, "release": release, "variant": "fp32", **pointer}))
    return release


def until(condition, seconds=PATIENCE):
    """Wait until a condition holds; its value."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s")


class Running:
    """A service in a process of its own."""

    def __init__(self, process, written):
        self.process, self.written = process, written

    @property
    def log(self):
        return self.written.read_text()

    def address(self):
        def listening():
            assert self.process.poll() is None, self.log
            return re.search(r"listening on (http://\S+)", self.log)

        return until(listening)[1]

    def end(self, which=signal.SIGTERM, seconds=PATIENCE):
        self.process.send_signal(which)
        return self.process.wait(seconds)


@contextmanager
def service(work, *arguments, ready=True):
    """`python -m serving` in the folder `work`, on a port that the system chose; ended with the block."""
    written = work / "service.log"
    command = [sys.executable, "-m", "serving", "--port", "0", "--no-log", *map(str, arguments)]
    with written.open("w") as stream:
        process = subprocess.Popen(
            command, cwd=work, stdout=stream, stderr=subprocess.STDOUT, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
    running = Running(process, written)
    try:
        running.url = running.address()
        if ready:
            until(lambda: httpx.get(f"{running.url}/v2/health/ready", timeout=PATIENCE).status_code == 200)
        yield running
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
