import pytest

from serving.options import Options
from serving.settings import ServingSettings, load_serving
from tasks.core.errors import SettingsError


def test_a_machine_that_only_serves_needs_no_params(workdir):
    assert load_serving() == ServingSettings()


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


@pytest.mark.parametrize("block", ["serving: 3", "serving: [1]", "serving: {port: -1}", "serving: {rate: 5/second/x}"])
def test_a_wrong_block_is_refused(workdir, block):
    (workdir / "params.yaml").write_text(f"lines: {{a: {{}}}}\n{block}\n")
    with pytest.raises(SettingsError, match="serving"):
        load_serving()
