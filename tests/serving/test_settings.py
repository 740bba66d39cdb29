import pytest

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


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "must hold blocks of settings"),
        ("serving: 3", "must be a block of settings, got 3"),
        ("serving: [\n", "not readable as YAML"),
        ("serving: {prot: 3}", r"serving\.prot: unknown key \(did you mean 'port'"),
    ],
)
def test_errors_are_said(workdir, text, said):
    (workdir / "params.yaml").write_text(text)
    with pytest.raises(SettingsError, match=said):
        load_serving()
