"""The towers as they start."""

import math

import torch

from tasks.kinds.rank.shared import timeline
from tasks.kinds.rank.shared.history import LIKED
from tasks.kinds.rank.shared.towers import Towers, UserTower
from tasks.ranks import RankSettings

ITEMS, WIDTH, TEXTS = 6, 8, 3


def towers(recipe: RankSettings) -> Towers:
    """Towers that know nothing of any item."""
    start = {name: torch.zeros(TEXTS, WIDTH) for name in ("text_in", "text_out")}
    start |= {name: torch.zeros(ITEMS, WIDTH) for name in ("own_in", "own_out")}
    return Towers(torch.ones(ITEMS, TEXTS), start, torch.ones(ITEMS, dtype=torch.bool), recipe)


def test_who_is_new_gets_what_is_popular_before_anything_is_learned():
    model = towers(RankSettings(popular=0.02))
    features = torch.zeros(ITEMS, timeline.WIDTH)
    features[:, timeline.LIKES] = torch.tensor([0.0, 3.0, 1.0, 5.0, 2.0, 4.0])
    assert model.bias(features).argsort(descending=True).tolist() == [3, 5, 1, 4, 2, 0]
    shares = model.share(torch.tensor([False, True])).tolist()
    assert shares[0] == 1 and abs(shares[1] - 0.02) < 1e-6, "of users with a history other things speak first"


def test_the_recipe_says_how_fast_what_is_old_loses_weight_at_the_start():
    weights = towers(RankSettings(fall=5, left=0.2)).user.weights(torch.full((1, 6), LIKED))[0, :, 0]
    assert torch.allclose(weights[[0, 5]], torch.tensor([1.0, 0.2 + 0.8 * math.exp(-1)])), "after five events, by e"


def test_a_checkpoint_is_read_into_a_tower_as_a_recipe_without_more_makes_it():
    usual, made = UserTower().state_dict(), towers(RankSettings()).user.state_dict()
    assert all(torch.equal(usual[name], made[name]) for name in made)


def test_some_items_are_those_rows_of_all():
    model = towers(RankSettings())
    torch.manual_seed(0)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    kept, which = (torch.arange(ITEMS) % 2).float()[:, None], torch.tensor([4, 1, 5])
    for way in ("in", "out"):
        assert torch.allclose(model.items(way, which, kept), model.items(way, kept=kept)[which], atol=1e-6)
        assert torch.allclose(model.items(way, which), model.items(way)[which], atol=1e-6)
