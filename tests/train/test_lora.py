"""Low-rank changes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mynah.core.errors import BadOption
from mynah.train.lora import low_rank, merged


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv1d(3, 8, 5, padding=2), nn.Tanh(), nn.ConvTranspose1d(8, 6, 4, 2), nn.Tanh(), nn.Conv1d(6, 2, 1)
    )


def test_it_begins_as_it_was_and_ends_as_plain_weights() -> None:
    plain, changed, x = net(), net(), torch.randn(2, 3, 20)
    learnt = low_rank(changed, ["0", "2"], 2)
    assert set(learnt) == {"0.down", "0.up", "2.down", "2.up"}
    assert changed(x).equal(plain(x))
    assert [value for value in changed.parameters() if value.requires_grad] == list(learnt.values())
    descent = torch.optim.Adam(learnt.values(), 1e-2)
    for _ in range(10):
        descent.zero_grad()
        changed(x).square().mean().backward()
        descent.step()
    weights = merged(changed)
    assert set(weights) == {"0.weight", "2.weight"}
    for name, value in weights.items():
        change = (value - plain.state_dict()[name]).flatten(1)
        assert change.abs().max() > 1e-3 and torch.linalg.matrix_rank(change, rtol=1e-4) <= 2
    plain.load_state_dict(plain.state_dict() | weights)
    torch.testing.assert_close(plain(x), changed(x))


def test_what_nothing_would_be_learnt_by_is_refused() -> None:
    with pytest.raises(BadOption, match=r"no layer is called decoder\.\*"):
        low_rank(net(), ["decoder.*"], 2)
    with pytest.raises(BadOption, match="rank 0"):
        low_rank(net(), ["*"], 0)
