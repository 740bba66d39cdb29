"""`tidegate line add`: all that a new line needs, validated first and written then; files that are there are kept."""

from pathlib import Path
from string import Template
from typing import Any

import yaml
from pydantic import ValidationError

from flows import deployments
from flows.line_template import Wanted, filled
from flows.settings import LineSettings
from flows.yaml_text import append, block_of, replace, scalar
from tasks.core.errors import SettingsError
from tasks.core.files import write_text
from tasks.core.line import Line
from tasks.core.settings import PARAMS, explain, read_params
from tasks.report import TEMPLATES

DVC = Path("dvc.yaml")
ASLEEP = {"active": False}  # a schedule that nobody asked for starts nothing


def add(wanted: Wanted) -> list[Path]:
    """Write a line into params.yaml, dvc.yaml and prefect.yaml, and its data/<line>/*.yaml; returns what was written.

    Raises SettingsError that says all that is wrong with it; then nothing is written.
    """
    line = Line(wanted.name, wanted.kind)
    params = read_params()
    if line.name in params["lines"]:
        raise SettingsError(f"The line {line.name} is in {PARAMS} already. Edit its block there, or give another name.")
    block = _from_file(wanted) if wanted.block else filled(wanted)
    files = {PARAMS: _appended(PARAMS, ("lines",), f"\n{line.name}:\n" + _indented(block))}
    settings = _validated(files[PARAMS], params, line.name)
    files[DVC] = _appended(DVC, ("artifacts",), _artifact(line, settings))
    files |= _scheduled(line.name)
    files |= {path: text for path, text in _beside(line, settings).items() if not path.exists()}
    for path in sorted(files, key=lambda path: path == PARAMS):  # last of all: a line is there when all of it is
        write_text(path, files[path])
    return list(files)


def _from_file(wanted: Wanted) -> str:
    assert wanted.block is not None  # noqa: S101 - for the type checker
    if given := wanted.of_template:
        raise SettingsError(f"{', '.join(given)}: `--block` brings all of that itself. Leave one of the two out.")
    try:
        text = wanted.block.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{wanted.block} cannot be read: {error}") from None
    try:
        content = yaml.safe_load(text)
        nested = isinstance(content, dict) and isinstance(content.get("lines"), dict)
        block = block_of(text, ("lines", wanted.name) if nested else (wanted.name,))
        if wanted.source:
            block = replace(block, ("sources", 0, "path"), wanted.source)
    except (yaml.YAMLError, SettingsError) as error:
        raise SettingsError(f"{wanted.block} gives no block for the line {wanted.name}: {error}") from None
    return block


def _validated(text: str, before: dict[str, Any], name: str) -> LineSettings:
    """The settings of the line as params.yaml would hold it, where all else says what it said before."""
    after = yaml.safe_load(text)
    block = after["lines"].pop(name, None)
    if after != before:
        raise SettingsError(f"The block of {name} does not stand for itself. Write it into {PARAMS} by hand.")
    try:
        return LineSettings.model_validate(block)
    except ValidationError as error:
        problems = explain(error, LineSettings, f"lines.{name}")
    raise SettingsError(f"The line {name} was not added:\n" + "\n".join(f"- {problem}" for problem in problems))


def _artifact(line: Line, settings: LineSettings) -> str:
    about = f"{settings.release.title or line.name}, an ONNX release with its evidence"
    return f"{line.name}:\n  path: {line.folder}/release/bundle\n  type: model\n  desc: {scalar(about)}\n"


def _scheduled(name: str) -> dict[Path, str]:
    """prefect.yaml with the schedules that `tidegate up` asks for, asleep; nothing where there is no such file."""
    path = deployments.FILE
    if not path.exists():
        return {}
    text = path.read_text(encoding="utf-8")
    known = {one["name"]: one for one in deployments.load()}
    for deployment in deployments.PER_LINE:
        first = next(iter(known.get(deployment, {}).get("schedules") or [{}]))
        entry = {**first, "slug": name, "parameters": {"line": name}, **ASLEEP}
        text = _appended(path, ("deployments", ("name", deployment), "schedules"), f"- {scalar(entry)}", text)
    return {path: text}


def _beside(line: Line, settings: LineSettings) -> dict[Path, str]:
    suite, labelling = (
        Template((TEMPLATES / name).read_text(encoding="utf-8"))
        for name in ("line_expectations.yaml", "line_labelling.md")
    )
    more = TEMPLATES / f"expectations_{settings.kind}.yaml"
    kinds_own = Template(more.read_text(encoding="utf-8")).substitute() if more.exists() else ""
    about = "# Behaviour tests of the trained model; data/sentiment/behaviour.yaml shows how to write one.\n[]\n"
    return {
        line.folder / "expectations.yaml": suite.safe_substitute(line=line.name) + kinds_own,
        line.folder / "behaviour.yaml": about,
        line.folder / "labelling" / "README.md": labelling.safe_substitute(
            label=next(iter(settings.label.labels), "a label")
        ),
    }


def _appended(path: Path, place: tuple[Any, ...], addition: str, text: str | None = None) -> str:
    try:
        return append(path.read_text(encoding="utf-8") if text is None else text, place, addition)
    except (FileNotFoundError, SettingsError) as error:
        raise SettingsError(f"{path} cannot take a new line: {error}") from None


def _indented(block: str) -> str:
    return "".join(f"  {line}" if line.strip() else line for line in block.splitlines(keepends=True))
