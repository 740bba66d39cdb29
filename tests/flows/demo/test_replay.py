"""Real texts to replay: the rows kept back, and the other origins of the default archive."""

import pandas as pd
import pytest

from flows.demo import replay
from flows.demo.replay import Row
from flows.demo.timeline import Timeline
from flows.settings import load
from tasks.core.errors import SettingsError, StageError
from tasks.core.files import write_parquet
from tasks.core.line import Line
from tasks.split import RESERVE


def test_the_rows_kept_back_are_played(workdir):
    line = Line("sentiment")
    with pytest.raises(StageError, match=r"Give lines\.sentiment.split\.reserve a share"):
        replay.held_out(line)
    path = line.file("split", f"{RESERVE}.parquet")
    path.parent.mkdir(parents=True)
    write_parquet(path, pd.DataFrame({"text": ["Fine."], "label": ["positive"]}))
    assert replay.held_out(line) == [Row("Fine.", "positive", "film")]


def test_only_a_line_of_that_archive_can_be_played():
    settings = load(["sentiment"])["sentiment"]
    other = settings.model_copy(update={"sources": [one for one in settings.sources if one.kind == "log"]})
    with pytest.raises(SettingsError, match="movieReviewSnippets can be played"):
        replay.rated("tweets", other)


def test_what_is_told_is_no_markup(capsys):
    from rich.console import Console

    timeline = Timeline(Console(width=200))
    timeline.say("day", "[bold]loud[/bold]", rows=3)
    timeline.claim("held", False)
    timeline.show()
    said = capsys.readouterr().out
    assert said.count("[bold]loud[/bold]") == 2 and "no" in said
    assert timeline.content()["events"][0]["rows"] == 3 and timeline.content()["claims"] == {"held": False}
