"""Changes of a YAML file as text, so that every comment and every line that is not meant stays as it is."""

import textwrap
from typing import Any

import yaml

from tasks.core.errors import SettingsError

Step = str | int | tuple[str, str]
"""A key of a mapping, a place in a list, or (key, value) for the list's entry that has this value there."""


def append(text: str, path: tuple[Step, ...], addition: str) -> str:
    """The text with `addition` (written from column 0) as last part of the block mapping or list at `path`.

    Raises SettingsError where nothing, or a mapping or list in one line, stands there.
    """
    node = find(text, path)
    if not isinstance(node, yaml.CollectionNode) or node.flow_style or not node.value:
        raise SettingsError(f"{_told(path)} is no block with an entry a line, so that nothing can be added to it.")
    end = _line_end(text, _last(node).end_mark.index)
    block = textwrap.indent(addition.rstrip("\n"), " " * node.start_mark.column) + "\n"
    before = text[:end] if text[:end].endswith("\n") else text[:end] + "\n"
    return before + block + text[end:]


def block_of(text: str, path: tuple[Step, ...]) -> str:
    """The block at `path` as text with its comments, from column 0. Raises SettingsError where none stands there."""
    node = find(text, path)
    if not isinstance(node, yaml.MappingNode) or node.flow_style:
        raise SettingsError(f"{_told(path)} is no block with a key a line.")
    start = text.rfind("\n", 0, node.start_mark.index) + 1
    return textwrap.dedent(text[start : _line_end(text, _last(node).end_mark.index)])


def replace(text: str, path: tuple[Step, ...], value: str) -> str:
    """The text with the scalar at `path` replaced. Raises SettingsError where none stands there."""
    node = find(text, path)
    if not isinstance(node, yaml.ScalarNode):
        raise SettingsError(f"{_told(path)} is no single value.")
    return text[: node.start_mark.index] + scalar(value) + text[node.end_mark.index :]


def scalar(value: Any) -> str:
    """A value in one line of YAML."""
    dumped: str = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, sort_keys=False, width=10**6)
    return dumped.removesuffix("\n").removesuffix("\n...")


def find(text: str, path: tuple[Step, ...]) -> yaml.Node:
    """The node at `path`. Raises SettingsError where there is none, or the text is no YAML."""
    try:
        node = yaml.compose(text, yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise SettingsError(f"It is not readable as YAML: {error}") from None
    for step in path:
        node = _below(node, step)
        if node is None:
            raise SettingsError(f"{_told(path)} is missing.")
    if node is None:
        raise SettingsError("It is empty.")
    return node


def _below(node: yaml.Node | None, step: Step) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode) and isinstance(step, str):
        return next((value for key, value in node.value if key.value == step), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int):
        return node.value[step] if step < len(node.value) else None
    if isinstance(node, yaml.SequenceNode) and isinstance(step, tuple):
        return next((one for one in node.value if getattr(_below(one, step[0]), "value", None) == step[1]), None)
    return None


def _last(node: yaml.Node) -> yaml.Node:
    """The leaf that ends a block: the mark of a block itself stands behind the comments of what follows."""
    while isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    return node


def _line_end(text: str, index: int) -> int:
    """Where the line of the last sign before `index` ends, and the indented comments that follow it."""
    end = text.find("\n", len(text[:index].rstrip())) + 1 or len(text)
    while (line := text[end:].partition("\n")[0]).startswith(" ") and line.strip().startswith("#"):
        end = min(end + len(line) + 1, len(text))
    return end


def _told(path: tuple[Step, ...]) -> str:
    return ".".join(step[1] if isinstance(step, tuple) else str(step) for step in path) or "the whole"
