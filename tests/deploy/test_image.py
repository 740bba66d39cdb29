"""The service starts with the packages of deploy/requirements.txt alone."""

import os
import subprocess
import sys
import time
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import httpx
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from serving.deployment import Pointer, ServingFolder

ROOT = Path(__file__).parents[2]
RUNTIMES = ["onnxruntime", "onnxruntime-gpu"]  # the image has one of them
START_SECONDS = 60
ABSENT = """
import runpy, sys
absent = set(sys.argv[1].split(","))
class Absent:
    def find_spec(self, name, path=None, target=None):
        if path is None and name in absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
"""
ALONE = f"""{ABSENT}
sys.argv = ["serving", *sys.argv[2:]]
runpy.run_module("serving", run_name="__main__")
"""
POLICY = f"""{ABSENT}
from tasks.text import TextSettings, clean
settings = TextSettings(national_id="mask", person="mask", boilerplate=("Sent from my phone",))
assert clean("DNI 90688551B of Mr. Smith. Sent from my phone", settings) == "DNI [ID] of Mr. [PERSON]."
"""


def requirements():
    lines = (ROOT / "deploy/requirements.txt").read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def closure(wanted):
    """Names of the distributions that pip would install for requirements."""
    found, waiting = set(), list(wanted)
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if (name, *requirement.extras) in found:
            continue
        found.add((name, *requirement.extras))
        for text in distribution(name).requires or ():
            below = Requirement(text)
            extras = requirement.extras or {""}
            if below.marker is None or any(below.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(below)
    return {name for name, *_ in found} | set(RUNTIMES)


def absent():
    """What can be imported here and not in the image."""
    present = {*closure(requirements()), "tidegate"}
    modules = packages_distributions().items()
    found = ["flows", *(top for top, names in modules if not present & set(map(canonicalize_name, names)))]
    assert {"torch", "transformers", "prefect", "dvc", "pandas"} <= set(found)
    return found


def test_image_has_what_any_text_policy_imports():
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", POLICY, ",".join(absent())], env=environment, check=True, timeout=60)


def test_image_has_what_the_service_imports(bundle, tmp_path):
    folder = ServingFolder(str(tmp_path / "serving"))
    release = folder.put("sentiment", bundle)
    folder.point(Pointer(line="sentiment", release=release, variant="fp32"))
    command = [sys.executable, "-c", ALONE, ",".join(absent()), "--folder", folder.url, "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            first = process.stdout.readline()
            assert first.startswith("listening on "), process.stderr.read()
            assert ready(first.removeprefix("listening on ").strip())
        finally:
            process.terminate()
            process.communicate(timeout=60)
    assert process.returncode == 0


def ready(url):
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if httpx.get(f"{url}/v2/health/ready", timeout=5).is_success:
            return True
        time.sleep(0.1)
    return False


def test_every_requirement_is_one_of_the_project():
    import tomllib

    content = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    allowed = [*content["dependencies"], *content["optional-dependencies"]["postgres"]]
    assert {r.name for r in requirements()} <= {Requirement(text).name for text in allowed}
