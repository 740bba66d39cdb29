"""A shadow or a canary beside the champion: what each needs, and what the pointer says."""

import pytest
from commands import tidegate

from flows import beside, deploy, promote
from tasks.core.errors import RejectedError, SettingsError
from tasks.core.line import Line

ROLES = ("shadow", "canary")


@pytest.fixture
def champion(unrecorded):
    """`good` is champion; `bad` is in the store."""
    promote.promote("sentiment", unrecorded["good"], "Anna", "first")
    return unrecorded


def pointer():
    return deploy.serving_folder().pointer("sentiment")


def test_a_shadow_needs_no_better_answers_and_leaves_the_champion_alone(champion):
    before = pointer()
    said = beside.stand("shadow", "sentiment", champion["bad"], 0.25, "Otto")
    assert said.startswith(f"Release {champion['bad']} (fp32) is shadow of sentiment, with 25% of the requests.")
    found = pointer()
    assert (found.shadow.release, found.shadow.share, found.shadow.by) == (champion["bad"], 0.25, "Otto")
    assert found.model_copy(update={"shadow": None}) == before
    assert champion["bad"] in deploy.spared(Line("sentiment"))
    assert beside.end("shadow", "sentiment", "Otto").endswith("is no longer shadow of sentiment.")
    assert pointer() == before
    assert beside.end("shadow", "sentiment", "Otto") == "sentiment has no shadow. Nothing to do."


def test_a_canary_answers_people_so_a_worse_one_is_rejected(champion):
    with pytest.raises(RejectedError, match="the challenger is worse"):
        beside.stand("canary", "sentiment", champion["bad"], 0.1, "Anna")
    assert pointer().canary is None


def test_a_canary_that_may_stand_carries_its_rules_and_a_promotion_ends_it(unrecorded):
    promote.promote("sentiment", unrecorded["bad"], "Anna", "first")
    beside.stand("canary", "sentiment", unrecorded["good"], 0.1, "Anna", beside.Limits(0.2, 3))
    found = pointer()
    assert found.release == unrecorded["bad"]
    canary = found.canary
    assert (canary.release, canary.share, canary.max_disagreement, canary.max_errors) == (
        unrecorded["good"], 0.1, 0.2, 3
    )  # fmt: skip
    promote.promote("sentiment", unrecorded["good"], "Anna", "it did well")
    assert (pointer().release, pointer().canary) == (unrecorded["good"], None)


@pytest.mark.parametrize("role", ROLES)
def test_the_champion_itself_and_no_champion_are_refused(unrecorded, role):
    with pytest.raises(SettingsError, match="sentiment has no champion that serves"):
        beside.stand(role, "sentiment", unrecorded["good"], 0.1, "Anna")
    promote.promote("sentiment", unrecorded["good"], "Anna", "first")
    with pytest.raises(SettingsError, match="is champion of sentiment"):
        beside.stand(role, "sentiment", unrecorded["good"], 0.1, "Anna")
    with pytest.raises(SettingsError, match=r"--share is 1\.5"):
        beside.stand(role, "sentiment", unrecorded["bad"], 1.5, "Anna")


def test_the_commands(champion):
    by = ("--by", "Anna")
    wrong = tidegate("canary", "sentiment", champion["bad"], *by, "--share", "0")
    assert (wrong.returncode, "--share is 0" in wrong.stdout) == (2, True)
    worse = tidegate("canary", "sentiment", champion["bad"], *by)
    assert worse.returncode == 3, worse.stdout
    nothing = tidegate("shadow", "sentiment", *by, "--end")
    assert (nothing.returncode, nothing.stdout.strip()) == (0, "sentiment has no shadow. Nothing to do.")
