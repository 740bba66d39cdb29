"""dvc.yaml against the code: a dependency that is not stated is a result that is wrong for ever."""

import re

import pytest
import yaml
from imports import KINDS, ROOT, graph, own_files, packages, stages

from flows.settings import LineSettings
from tasks.core.settings import Settings, read_params

DAG = yaml.safe_load((ROOT / "dvc.yaml").read_text())


def entry(stage):
    return DAG["stages"][stage]["do"]


@pytest.mark.parametrize("stage", stages())
def test_deps_name_the_modules_that_a_stage_imports(stage):
    """One list of deps for all kinds: what one kind alone needs stands there for all."""
    deps = [dep for dep in entry(stage)["deps"] if dep.startswith("tasks/")]
    stated = {dep.replace("${item.kind}", kind) for dep in deps for kind in KINDS}
    assert {dep for dep in stated if dep.endswith((".py", "/core", "/shared"))} == own_files(stage)


@pytest.mark.parametrize("stage", stages())
def test_deps_name_the_templates_that_a_stage_renders(stage):
    source = "".join((ROOT / file).read_text() for file in own_files(stage) if file.endswith(".py"))
    used = set(re.findall(r'render\(\s*"([^"]+)"', source))
    while (
        bases := {base for name in used for base in re.findall(r'(?:extends|include) "([^"]+)"', template(name))} - used
    ):
        used |= bases
    stated = {dep.removeprefix("tasks/templates/") for dep in entry(stage)["deps"] if "templates" in dep}
    assert stated == used


def template(name):
    return (ROOT / "tasks" / "templates" / name).read_text()


@pytest.mark.parametrize("stage", stages())
def test_versions_name_the_packages_that_a_stage_imports(stage):
    file = ROOT / "versions" / f"{stage}.txt"
    assert f"versions/{stage}.txt" in entry(stage)["deps"]
    stated = [line.partition("==")[0] for line in file.read_text().splitlines()]
    assert stated == packages(stage), f"{file.name} should name: {' '.join(packages(stage))}"


@pytest.mark.parametrize("stage", stages())
def test_params_name_the_blocks_that_a_body_takes(stage):
    import importlib
    import inspect
    from typing import get_type_hints

    body = getattr(importlib.import_module(f"tasks.{stage}"), stage)
    hints = get_type_hints(body).values()
    blocks = {hint.block for hint in hints if inspect.isclass(hint) and issubclass(hint, Settings)}
    stated = {param.removeprefix("lines.${key}.") for param in entry(stage)["params"]}
    assert blocks <= stated
    assert ("kind" in stated) == any("${item.kind}" in dep for dep in entry(stage)["deps"])
    if stage != "release":  # whose manifest records the settings of every stage
        assert stated - {"kind"} == blocks


def test_stages_read_only_files_that_earlier_stages_write():
    written = {f"data/${{key}}/{name}" for name in ("inbox", "expectations.yaml", "behaviour.yaml", "labelling")}
    for stage in stages():
        read = {dep for dep in entry(stage)["deps"] if dep.startswith("data/")}
        assert read <= written
        outs = [*entry(stage)["outs"], *entry(stage).get("metrics", []), *entry(stage).get("plots", [])]
        written |= {out if isinstance(out, str) else next(iter(out)) for out in outs}
        assert all(out.startswith(f"data/${{key}}/{stage}/") for out in written - read if f"/{stage}/" in out)


def test_static_entries_cover_every_line():
    lines = read_params(ROOT / "params.yaml")["lines"]
    assert {name: entry["path"] for name, entry in DAG["artifacts"].items()} == {
        name: f"data/{name}/release/bundle" for name in lines
    }


def test_every_block_of_a_line_belongs_to_a_stage_or_is_known():
    fields = {field.alias or name for name, field in LineSettings.model_fields.items()}
    beside = {"kind", "text", "sources", "annotate", "compare", "promote", "monitor", "loop", "keep_releases"}
    assert fields - set(stages()) == beside


def test_the_import_graph_holds_no_circle_through_the_stages():
    assert not [stage for stage in stages() if f"tasks.{stage}" in graph().find_upstream_modules(f"tasks.{stage}")]


@pytest.mark.parametrize("stage", ["inbox", *stages()])
def test_git_ignores_what_a_stage_writes_but_not_its_pin(stage):
    import subprocess

    def ignored(path):
        return subprocess.run(["git", "check-ignore", "-q", path], cwd=ROOT, check=False).returncode == 0

    assert ignored(f"data/any/{stage}/rows.parquet")
    assert not ignored(f"data/any/{stage}.dvc")
