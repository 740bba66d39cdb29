import os
import subprocess
import sys

from conftest import ROOT

LOADED = """
from tasks.core.quiet import silence
silence()
import onnxruntime, sys
onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
"""


def test_onnxruntime_keeps_no_identity(released, tmp_path):
    """It writes one beside what it sends, unless it is told not to or sees a CI."""
    told = ("CI", "ORT_", "GITHUB_", "BUILD", "JENKINS", "TF_BUILD", "TEAMCITY", "XDG_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(told)}
    environment |= {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    graph = released / "data/sentiment/release/bundle/fp32.onnx"
    subprocess.run([sys.executable, "-c", LOADED, graph], env=environment, check=True, timeout=120)
    assert not [path for path in tmp_path.rglob("*") if "onnxruntime" in str(path)]
