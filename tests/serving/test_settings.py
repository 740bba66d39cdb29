import pytest

from serving.options import Options
from serving.settings import ServingSettings, load_serving
from tasks.core.errors import SettingsError


@pytest.mark.parametrize("text", [None, "", "lines: {}\n", "serving:\n"])
def test_defaults_where_nothing_is_said(workdir, text):
    if text is not None:
        (workdir / "params.yaml").write_text(text)
    assert load_serving() == ServingSettings()


def test_a_machine_that_only_serves_names_no_lines(workdir):
    (workdir / "params.yaml").write_text("serving: {port: 9, limits: {texts: 3}}\n")
    assert (load_serving().port, load_serving().limits.texts) == (9, 3)


def test_what_the_command_line_says_wins_and_is_checked(workdir):
    options = Options(ServingSettings(port=9000), lines=("a", "b"), log=False)
    assert options.having(port=0, host=None).settings.port == 0
    assert options.having(port=None).settings.port == 9000
    with pytest.raises(SettingsError, match=r"serving\.port"):
        options.having(port=99_999)


def test_a_child_serves_as_its_supervisor_was_told():
    from serving.__main__ import parser

    options = Options(ServingSettings(folder="there", port=9000), ("a", "b"), log=False, keys=False)
    given = parser().parse_args(options.arguments())
    assert (given.folder, given.host, given.port) == ("there", "127.0.0.1", 9000)
    assert (given.lines, given.log, given.keys, given.supervised) == (["a", "b"], False, False, False)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "must hold blocks of settings"),
        ("serving: 3", "must be a block of settings, got 3"),
        ("serving: [1]", "must be a block of settings"),
        ("serving: [\n", "not readable as YAML"),
        ("serving: {prot: 3}", r"serving\.prot: unknown key \(did you mean 'port'"),
        ("serving: {port: -1}", r"serving\.port"),
        ("serving: {rate: 5/second/x}", r"serving\.rate"),
    ],
)
def test_errors_are_said(workdir, text, said):
    (workdir / "params.yaml").write_text(text)
    with pytest.raises(SettingsError, match=said):
        load_serving()
