"""What an attempt learns from, and what it says where there is nothing new."""

import os
from pathlib import Path

import pytest
import yaml
from tasting import events, taste_params
from toy import make_repository, toy_params, write_reviews

from flows import news, world
from flows.dag import Dag
from flows.settings import LineSettings, load
from tasks.core.errors import SourceError
from tasks.core.line import Line

ENCODER = {"kind": "folder", "path": "encoder", "sha256": "0" * 64}
LOG = {"name": "live", "kind": "log", "line": "toy", "min_new": 70}


def settings(params, *more):
    block = params(ENCODER)["lines"]["toy"]
    block["sources"] += more
    return LineSettings.model_validate(block)


def reviews(encoder):
    return toy_params("/elsewhere/reviews.csv", encoder)


@pytest.mark.parametrize(
    ("kind", "params", "more", "said"),
    [
        ("classify", reviews, [], "A source of kind log would bring what people said of its answers."),
        ("classify", reviews, [LOG], "It takes 70 new labels: `tidegate wanted toy` exports the rows"),
        ("rank", taste_params, [], "learns from new events and items: bring them by its sources. Of questions.csv the"),
    ],
)
def test_what_would_bring_news_is_said_as_the_kind_learns(kind, params, more, said):
    found = news.wanted(Line("toy", kind), settings(params, *more))
    assert said in found
    assert kind == "classify" or "label" not in found


def test_a_file_that_is_not_committed_is_named(workdir):
    with pytest.raises(SourceError, match=r"questions\.csv is not in the last commit"):
        news.require_committed(settings(taste_params))
    events().to_csv("questions.csv", index=False)
    news.require_committed(settings(taste_params))
    news.require_committed(settings(reviews))


def test_a_file_checked_out_anew_is_no_news(checkout):
    write_reviews(Path("reviews.csv"), rows=20)
    Path("params.yaml").write_text(yaml.safe_dump(toy_params("reviews.csv", ENCODER)))
    make_repository(checkout)
    line, known = Line("toy"), load()["toy"]
    assert news.taken_in(line, known)
    os.utime("reviews.csv", (1, 1))
    assert world.has_news(line, known)
    assert not news.taken_in(line, known)
    write_reviews(Path("reviews.csv"), rows=30, seed=1)
    assert news.taken_in(line, known)
    assert Dag().matches(line.inbox.with_name("inbox.dvc"))
