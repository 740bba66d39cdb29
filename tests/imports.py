"""What a stage really imports, read off the code: the measure for dvc.yaml's deps and versions/*.txt."""

import functools
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import grimp
import yaml

ROOT = Path(__file__).parent.parent
KINDS = ["classify", "retrieve", "rank"]
PLUMBING = {
    "pydantic", "pydantic-core", "pyyaml", "tqdm", "filelock", "tenacity", "httpx", "huggingface-hub", "fsspec",
    "psutil",
}  # fmt: skip
"""Packages that read settings, show progress, lock, fetch or watch processes: no output depends on their version."""
RUNTIME = {"onnxruntime-gpu": "onnxruntime"}
UNSEEN = {
    "train": ["transformers", "tokenizers", "safetensors", "tensorboard"],
    "evaluate": ["transformers", "tokenizers", "safetensors"],
    "export": ["transformers", "onnxscript"],
    "label": ["pyarrow"],
}
"""Packages that a stage uses through another package, without an import of its own."""


@functools.cache
def graph():
    """The import graph of the project with its third-party packages; imports for type checkers left out."""
    return grimp.build_graph(
        "flows", "tasks", "serving", include_external_packages=True, exclude_type_checking_imports=True
    )


def stages():
    """The stages of dvc.yaml in their order."""
    return list(yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"])


def reached(stage):
    """Every module that a stage and its files of any kind import, directly or not."""
    found = set()
    for root in [f"tasks.{stage}", *(module for kind in KINDS for module in kind_modules(stage, kind))]:
        found |= {root} | graph().find_upstream_modules(root)
    return found


def kind_modules(stage, kind):
    """The kind's modules that dvc.yaml names for a stage; they are loaded by name, which no import shows."""
    deps = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"][stage]["do"]["deps"]
    files = [dep.replace("${item.kind}", kind) for dep in deps if "${item.kind}" in dep]
    return [file.removesuffix(".py").replace("/", ".") for file in files]


def own_files(stage):
    """The project's files among them: tasks/core and a kind's shared/ as one folder, packages as their __init__."""
    files = set()
    for module in reached(stage):
        path = ROOT / Path(*module.split("."))
        if not module.startswith(("tasks", "flows", "serving")):
            continue
        if module == "tasks" or module.startswith("tasks.core"):
            files.add("tasks/core")
        elif shared := re.match(r"(tasks/kinds/\w+/shared)\b", path.relative_to(ROOT).as_posix()):
            files.add(shared[1])
        elif path.is_dir():
            files.add(f"{path.relative_to(ROOT).as_posix()}/__init__.py")
        else:
            files.add(f"{path.relative_to(ROOT).as_posix()}.py")
    return files


def packages(stage):
    """The third-party packages among them by their names on the index."""
    distributions = packages_distributions()
    roots = (
        {module.split(".")[0] for module in reached(stage)} - {"tasks", "flows", "serving"} - sys.stdlib_module_names
    )
    names = {name for root in roots for name in distributions.get(root, [])} | set(UNSEEN.get(stage, []))
    return sorted({RUNTIME.get(name.lower(), name.lower()).replace("_", "-") for name in names} - PLUMBING)
