"""The towers as they start."""

import torch

from tasks.kinds.rank.shared import timeline
from tasks.kinds.rank.shared.towers import Towers
from tasks.ranks import RankSettings


def test_who_is_new_gets_what_is_popular_before_anything_is_learned():
    items, width, texts = 6, 8, 3
    start = {name: torch.zeros(texts, width) for name in ("text_in", "text_out")}
    start |= {name: torch.zeros(items, width) for name in ("own_in", "own_out")}
    model = Towers(torch.ones(items, texts), start, torch.ones(items, dtype=torch.bool), RankSettings(popular=0.02))
    features = torch.zeros(items, timeline.WIDTH)
    features[:, timeline.LIKES] = torch.tensor([0.0, 3.0, 1.0, 5.0, 2.0, 4.0])
    assert model.bias(features).argsort(descending=True).tolist() == [3, 5, 1, 4, 2, 0]
    shares = model.share(torch.tensor([False, True])).tolist()
    assert shares[0] == 1 and abs(shares[1] - 0.02) < 1e-6, "of users with a history other things speak first"
