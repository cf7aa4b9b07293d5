import copy

import pytest
import torch
from torch import nn

from mynah.nets.normed import Conv1d, Conv2d, ConvTranspose1d, folded

LAYERS = {
    "Conv1d": (lambda: Conv1d(4, 6, 3, stride=2, dilation=2, padding=1, groups=2), (2, 4, 20)),
    "Conv1d by taps": (lambda: Conv1d(4, 6, 3, padding=1, dim=2), (2, 4, 20)),
    "Conv2d": (lambda: Conv2d(3, 5, (3, 1), (2, 1), padding=(1, 0)), (2, 3, 9, 4)),
    "ConvTranspose1d": (lambda: ConvTranspose1d(4, 6, 8, 4, padding=2), (2, 4, 10)),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_a_folded_layer_does_the_same(kind: str) -> None:
    torch.manual_seed(0)
    make, shape = LAYERS[kind]
    net = nn.Sequential(make())
    with torch.no_grad():
        net[0].weight_g.mul_(1.7)
    x = torch.randn(shape)
    before = net(x)
    state = folded(net).state_dict()
    torch.testing.assert_close(net(x), before)
    assert set(state) == {"0.weight", "0.bias"}


def test_the_length_is_what_it_is_called() -> None:
    layer = Conv1d(4, 6, 3)
    torch.testing.assert_close(layer.kernel(), layer.weight_v)
    assert layer.weight_g.shape == (6, 1, 1) and ConvTranspose1d(4, 6, 8, 4).weight_g.shape == (4, 1, 1)
    with torch.no_grad():
        layer.weight_g.fill_(2.0)
        layer.weight_v.mul_(5.0)
    torch.testing.assert_close(layer.kernel().norm(dim=(1, 2)), torch.full((6,), 2.0))


def test_a_layer_learns_and_can_be_copied() -> None:
    layer = Conv1d(2, 2, 3)
    layer(torch.randn(1, 2, 8)).square().sum().backward()
    assert layer.weight_g.grad is not None and layer.weight_v.grad is not None
    twin = copy.deepcopy(layer)
    x = torch.randn(1, 2, 8)
    assert torch.equal(twin(x), layer(x))
