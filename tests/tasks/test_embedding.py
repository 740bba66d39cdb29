"""Training the occurring rows alone gives what training the whole embedding gives."""

import pytest
import torch
from torch import nn

from tasks import embedding


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.words = nn.Embedding(50, 8, padding_idx=0)
        self.head = nn.Linear(8, 2)

    def get_input_embeddings(self):
        return self.words

    def set_input_embeddings(self, module):
        self.words = module

    def forward(self, ids):
        return self.head(self.words(ids).mean(1))


IDS = torch.tensor([[3, 9, 0], [9, 41, 7], [7, 7, 3]])


def trained(shrunk: bool) -> Model:
    model = Model()
    full = embedding.shrink(model, IDS.numpy(), 0) if shrunk else None
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05, weight_decay=0.0)
    for _ in range(20):
        nn.functional.cross_entropy(model(IDS), torch.tensor([0, 1, 1])).backward()
        optimizer.step()
        optimizer.zero_grad()
    if shrunk:
        assert model.words.weight.shape == (5, 8)
    embedding.restore(model, full)
    return model


def test_same_weights_as_training_every_row():
    whole, part = trained(shrunk=False), trained(shrunk=True)
    assert type(part.words) is nn.Embedding
    assert not torch.equal(part.words.weight[9], Model().words.weight[9])
    for name, tensor in whole.state_dict().items():
        torch.testing.assert_close(part.state_dict()[name], tensor, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("reason", ["frozen", "of another kind"])
def test_other_embeddings_are_left_alone(reason):
    model = Model()
    if reason == "frozen":
        model.words.weight.requires_grad_(False)
    else:
        model.words = type("Scaled", (nn.Embedding,), {})(50, 8)
    before = model.words
    assert embedding.shrink(model, IDS.numpy(), 0) is None
    assert model.words is before
