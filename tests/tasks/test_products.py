"""Products of several kinds in params.yaml: told apart, checked against the lines, errors with the nearest name."""

import pytest
import yaml
from toy import toy_params

from flows.settings import load, product, products
from tasks.core.errors import SettingsError
from tasks.dialogue.settings import AnswerSettings
from tasks.opinion.settings import OpinionSettings

FEED = {"name": "wire", "kind": "file", "path": "wire.csv", "columns": {"text": "headline"}}
NEWS = {"sentiment": "mood", "feeds": [FEED], "entities": {"Acme": {}}}


@pytest.fixture
def write(workdir):
    """Write params.yaml with the lines `mood` (classify) and `faq` (retrieve), and these products."""
    block = toy_params("reviews.csv", {"kind": "folder", "path": "encoder", "sha256": "0" * 64})["lines"]["toy"]
    lines = {"mood": block, "faq": {**block, "kind": "retrieve", "label": {"by": "column"}}}

    def written(**given):
        (workdir / "params.yaml").write_text(yaml.safe_dump({"lines": lines, "products": given}))

    return written


def test_a_product_that_names_no_kind_watches_opinion(write):
    write(news=NEWS, help={"kind": "answer", "answers": "faq"})
    found = products()
    assert isinstance(found["news"], OpinionSettings) and isinstance(found["help"], AnswerSettings)
    assert load()
    assert product("help", AnswerSettings).confidence == 0.5
    with pytest.raises(SettingsError, match=r"no product 'help' of this kind.*Products: news"):
        product("help", OpinionSettings)
    write(help={"kind": "answer", "answers": "faq"})
    with pytest.raises(SettingsError, match=r"docs/finance\.md says how"):
        product("help", OpinionSettings)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"answers": "fqa"}, "products.help names fqa; lines are faq, mood"),
        ({"answers": "mood"}, "needs a line of kind retrieve, but mood is of kind classify"),
        ({"intents": "faq"}, "needs a line of kind classify, but faq is of kind retrieve"),
        ({"intents": "mood", "hand_over_intents": ["angry"]}, "angry is no label of mood"),
        ({"hand_over_intents": ["angry"]}, "intents names none"),
        ({"confidance": 0.4}, "unknown key (did you mean 'confidence'?)"),
        ({"confidence": 2}, "confidence"),
        ({"top": 0}, "top"),
        ({"kind": "anser"}, "kind must be one of opinion, answer"),
    ],
)
def test_a_product_that_answers_is_checked_against_the_lines(write, changes, said):
    write(help={"kind": "answer", "answers": "faq", **changes})
    with pytest.raises(SettingsError) as error:
        load()
    assert said in str(error.value)


def test_intents_that_the_line_has_are_taken(write):
    write(help={"kind": "answer", "answers": "faq", "intents": "mood", "hand_over_intents": ["negative"]})
    assert load()
    write(news={**NEWS, "sentiment": "faq"})
    with pytest.raises(SettingsError, match="needs a line of kind classify"):
        load()
    write(faq={"kind": "answer", "answers": "faq"})
    with pytest.raises(SettingsError, match="has the name of a line"):
        load()
