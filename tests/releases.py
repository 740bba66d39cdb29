"""Releases for tests of the service: copies of the tiny one that say other things, a folder, a recorder in memory."""

import shutil
import time

import made
import numpy as np

from serving.deployment import Beside, Pointer, ServingFolder
from tasks.core.files import read_json, write_json

LINE = "sentiment"
PATIENCE = 60.0  # seconds after which a test is given up


def flipped(bundle, target):
    """A copy of a bundle whose graphs answer with the other label; returns its folder."""
    import onnx
    from onnx import TensorProto, helper

    shutil.copytree(bundle, target)
    for variant in ("fp32", "int8"):
        model = onnx.load(target / f"{variant}.onnx")
        node = next(n for n in model.graph.node if "probabilities" in n.output)
        node.output[list(node.output).index("probabilities")] = "before"
        one = helper.make_tensor("one_less", TensorProto.FLOAT, [], [1.0])
        model.graph.initializer.append(one)
        model.graph.node.append(helper.make_node("Sub", ["one_less", "before"], ["probabilities"]))
        onnx.save(model, target / f"{variant}.onnx")
    warmup = read_json(target / "warmup.json")
    for request in warmup["requests"]:
        for expected in request["expected"].values():
            expected["probabilities"] = [round(1 - p, 4) for p in expected["probabilities"]]
            expected["label"] = made.LABELS[int(np.argmax(expected["probabilities"]))]
    write_json(target / "warmup.json", warmup)
    made.resealed(target)
    return target


def pointer(release, variant="fp32", **more):
    return Pointer(line=LINE, release=release, variant=variant, **more)


def beside(release, share=1.0, **more):
    return Beside(release=release, variant="fp32", share=share, **more)


class Kept:
    """A recorder that keeps what it is told."""

    def __init__(self):
        self.answers = []

    def answered(self, answers):
        self.answers.append(answers)

    def feedback(self, given):
        raise AssertionError("the hub sends no feedback")

    def of(self, role):
        return [answers for answers in self.answers if answers.role == role]


def put(folder, *bundles):
    """A serving folder that holds these bundles, and their ids."""
    serving = ServingFolder(str(folder))
    return serving, [serving.put(LINE, bundle) for bundle in bundles]


def wait_until(true, seconds=PATIENCE):
    """What `true` returns, as soon as that is true."""
    ends = time.monotonic() + seconds
    while not (found := true()) and time.monotonic() < ends:
        time.sleep(0.005)
    return found
