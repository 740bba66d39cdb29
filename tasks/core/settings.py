"""params.yaml as typed, frozen settings, with every error said at once."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from tasks.core.errors import SettingsError

PARAMS = Path("params.yaml")
MOST = 80
"""Characters of a value that a message repeats."""


class Settings(BaseModel):
    """Base of a block of params.yaml: frozen, and unknown keys are errors.

    `class TrainSettings(Settings, block="train")` is the block `lines.<line>.train`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    block: ClassVar[str] = ""

    def __init_subclass__(cls, block: str = "", **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if block:
            cls.block = block


SettingsT = TypeVar("SettingsT", bound=Settings)


def read_params(path: Path = PARAMS) -> dict[str, Any]:
    """The content of params.yaml. Raises SettingsError when it is missing, no YAML or has no `lines`."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"{path} is missing in {Path.cwd()}. Run in a Tidegate project's folder.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not readable as YAML: {error}") from None
    if not isinstance(content, dict) or not isinstance(content.get("lines"), dict) or not content["lines"]:
        raise SettingsError(f"{path} names no line. It needs a block `lines:` with one block per line.")
    return content


def line_params(params: dict[str, Any], line: str) -> dict[str, Any]:
    """The block of one line. Raises SettingsError with the nearest name when there is none."""
    lines = params["lines"]
    if line not in lines:
        raise SettingsError(f"There is no line {line!r} in {PARAMS}{_nearest(line, lines)}. Lines: {', '.join(lines)}.")
    if not isinstance(lines[line], dict):
        raise SettingsError(f"lines.{line} in {PARAMS} must be a block of settings, got {lines[line]!r}.")
    block: dict[str, Any] = lines[line]
    return block


def parse(model: type[SettingsT], content: Any, where: str) -> SettingsT:
    """Validate one block. Raises SettingsError that lists every error in it, each with its place."""
    try:
        return model.model_validate({} if content is None else content)
    except ValidationError as error:
        raise SettingsError("\n".join(explain(error, model, where))) from None


def explain(error: ValidationError, model: type[BaseModel], where: str) -> list[str]:
    """One sentence per error of a block: place, what was given, what is allowed."""
    return [_sentence(detail, model, where) for detail in error.errors()]


def _sentence(detail: ErrorDetails, model: type[BaseModel], where: str) -> str:
    place = ".".join([where, *(str(part) for part in detail["loc"])])
    given = _given(detail["input"], whole_file=place == str(PARAMS))
    match detail["type"]:
        case "extra_forbidden":
            known = _fields_at(model, detail["loc"][:-1])
            return f"{place}: unknown key{_nearest(str(detail['loc'][-1]), known)}. Known keys: {', '.join(known)}."
        case "missing":
            return f"{place}: is missing."
        case "string_pattern_mismatch":
            about = _description(model, detail["loc"])
            pattern = detail.get("ctx", {}).get("pattern")
            return f"{place}: must match {pattern}{f' ({about})' if about else ''}{given}."
        case _:
            return f"{place}: {detail['msg'].removeprefix('Value error, ')}{given}."


def _given(value: Any, whole_file: bool) -> str:
    """What was given, for the end of a sentence; nothing for what is a file, or a block too long to show."""
    said = repr(value)
    if isinstance(value, dict) and (whole_file or len(said) > MOST):
        return ""
    return f"; given was {said if len(said) <= MOST else said[: MOST - 3] + '...'}"


def _description(model: Any, location: Sequence[int | str]) -> str | None:
    """What the field at `location` says of itself."""
    fields = (field for m in _models_at(model, location[:-1]) for name, field in _named(m) if name == location[-1])
    return next((field.description for field in fields if field.description), None)


def _fields_at(model: Any, location: Sequence[int | str]) -> list[str]:
    """Field names of the model that stands at `location` below `model`."""
    return sorted({name for m in _models_at(model, location) for name, _ in _named(m)})


def _models_at(model: Any, location: Sequence[int | str]) -> list[type[BaseModel]]:
    """What stands at `location` below `model`, through lists, unions and mappings."""
    models = [model]
    for part in location:
        inner = [field.annotation for m in models for name, field in _named(m) if name == part]
        tagged = [m for m in models if part == _tag(m)]
        models = tagged or [m for annotation in inner for m in _models_in(annotation)] or models
    return models


def _named(model: type[BaseModel]) -> list[tuple[str, FieldInfo]]:
    return [(field.alias or name, field) for name, field in model.model_fields.items()]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models_in(part)]


def _tag(model: type[BaseModel]) -> Any:
    """The value of `kind` that selects a member of a discriminated union."""
    field = model.model_fields.get("kind")
    return None if field is None else (getattr(field.annotation, "__args__", (None,))[0])


def _nearest(given: str, allowed: Sequence[str] | dict[str, Any]) -> str:
    near = difflib.get_close_matches(given, list(allowed), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
