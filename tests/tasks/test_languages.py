"""Language detection: offline, by script where the script says it."""

import pytest

from tasks.languages import detect

pytestmark = pytest.mark.disable_socket  # the model comes in the package


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("The film was great and the cast is lovely.", "en"),
        ("Der Film war großartig, und die Schauspieler sind wunderbar.", "de"),
        ("Le film était magnifique et les acteurs sont excellents.", "fr"),
        ("这部电影非常好看。", "zh"),
        ("应时浮华之作，商业气浓，医学水准有限。", "zh"),
        ("这家店の东西真的很不错，下次还会再来买", "zh"),
        ("この映画はとても面白かったです。", "ja"),
        ("이 영화는 정말 재미있었어요.", "ko"),
        ("Фильм был замечательный, актёры играли прекрасно.", "ru"),
        ("12:30 - 5/10 !!! 😀", "und"),
        ("", "und"),
    ],
)
def test_languages(text, code):
    assert detect([text])[0].code == code


def test_certainty_is_a_share_and_line_ends_do_not_matter():
    (found,) = detect(["one line\nanother line\r\nof plain English text"])
    assert found.code == "en"
    assert 0.5 < found.certainty <= 1
