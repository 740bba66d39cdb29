"""Cheap dropout: the distribution of dropout, from torch's own generator."""

import pytest
import torch
from torch import nn

from tasks.dropout import CheapDropout, dropout


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_drops_the_share_asked_for_and_keeps_the_mean(p, dtype):
    torch.manual_seed(0)
    result = dropout(torch.ones(1001, 999, dtype=dtype), p)
    assert (result == 0).float().mean().item() == pytest.approx(p, abs=2e-3)
    assert result.float().mean().item() == pytest.approx(1, abs=0.02)
    assert len(result.unique()) == 2


def test_draws_are_independent_between_neighbours():
    torch.manual_seed(0)
    kept = (dropout(torch.ones(400_000), 0.5) != 0).double() - 0.5
    for lag in (1, 2, 3, 4, 8):
        assert abs((kept[lag:] * kept[:-lag]).mean().item()) < 2e-3


def test_gradient_follows_what_was_kept():
    x = torch.ones(100, requires_grad=True)
    result = dropout(x, 0.3)
    result.sum().backward()
    assert torch.equal(x.grad, result.detach())


def test_modules_and_functions_take_it_inside_the_context_alone():
    x, layer = torch.ones(64), nn.Dropout(0.5)
    torch.manual_seed(3)
    expected = dropout(x, 0.5)
    torch.manual_seed(3)
    with CheapDropout():
        inside = layer(x)
    torch.manual_seed(3)
    outside = layer(x)
    assert torch.equal(inside, expected)
    assert not torch.equal(outside, expected)


@pytest.mark.parametrize(("p", "training"), [(0.0, True), (0.5, False), (1.0, True)])
def test_corner_cases_are_torchs_own(p, training):
    x = torch.arange(1.0, 9)
    assert torch.equal(dropout(x, p, training), nn.functional.dropout(x, p, training))


def test_a_wrong_probability_is_refused():
    with pytest.raises(ValueError, match="probability"):
        dropout(torch.ones(3), 1.5)
