from typing import Annotated, Literal

import pytest
from pydantic import Field, model_validator

from tasks.core.errors import SettingsError
from tasks.core.settings import PARAMS, Settings, line_params, parse, read_params


class Fast(Settings):
    kind: Literal["fast"]
    speed: int = 1


class Slow(Settings):
    kind: Literal["slow"]
    patience: int = 1
    pause: str = Field("1m", pattern="^[0-9]+[ms]$", description="a number and m or s")


class Block(Settings, block="block"):
    learning_rate: float = Field(1e-4, gt=0)
    ways: list[Annotated[Fast | Slow, Field(discriminator="kind")]] = Field(default=[])


def refused(content):
    with pytest.raises(SettingsError) as error:
        parse(Block, content, "lines.a.block")
    assert error.value.exit_code == 2
    return str(error.value)


def test_an_unknown_key_names_the_nearest_valid_one():
    assert "lines.a.block.learning_rat: unknown key (did you mean 'learning_rate'?)" in refused({"learning_rat": 1})


def test_an_unknown_key_inside_a_union_names_the_keys_of_its_member():
    message = refused({"ways": [{"kind": "slow", "patienc": 2}]})
    assert "did you mean 'patience'" in message
    assert "speed" not in message


def test_a_word_of_another_form_is_told_what_is_meant():
    message = refused({"ways": [{"kind": "slow", "pause": "soon"}]})
    assert "pause: must match ^[0-9]+[ms]$ (a number and m or s); given was 'soon'" in message


def test_all_errors_are_said_at_once():
    message = refused({"learning_rate": -1, "x": 2, "ways": [{"kind": "other"}]})
    assert message.count("lines.a.block") == 3
    assert "given was -1" in message


class Apart(Settings):
    first: int = 1
    second: int = 2
    names: dict[str, int] = Field(default={})

    @model_validator(mode="after")
    def _differ(self) -> "Apart":
        if self.first == self.second:
            raise ValueError("first and second are the same")
        return self


@pytest.mark.parametrize(
    ("content", "where", "end"),
    [
        ({"first": 2}, "block", "block: first and second are the same; given was {'first': 2}."),
        ({"first": 2}, str(PARAMS), "params.yaml: first and second are the same."),
        ({"first": 2, "names": {f"name{n}": n for n in range(20)}}, "block", "block: first and second are the same."),
        ({"first": "x" * 99}, str(PARAMS), f"unable to parse string as an integer; given was '{'x' * 76}...."),
    ],
)
def test_a_file_or_a_long_block_is_not_repeated(content, where, end):
    with pytest.raises(SettingsError) as error:
        parse(Apart, content, where)
    assert str(error.value).endswith(end)


def test_settings_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        Block().learning_rate = 2


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "missing"), ("a: [", "YAML"), ("x: 1", "no line"), ("lines: {}", "no line"), ("lines: [1]", "no line")],
)
def test_params_that_are_missing_or_broken(workdir, content, said):
    if content is not None:
        (workdir / "params.yaml").write_text(content)
    with pytest.raises(SettingsError, match=said):
        read_params()


def test_params_in_another_encoding(workdir):
    (workdir / "params.yaml").write_bytes("lines: {a: {text: é}}".encode("latin-1"))
    with pytest.raises(SettingsError, match="YAML"):
        read_params()


def test_an_unknown_line_names_the_nearest():
    with pytest.raises(SettingsError, match="did you mean 'sentiment'"):
        line_params({"lines": {"sentiment": {}}}, "sentimnt")
