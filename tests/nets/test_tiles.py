"""Convolutions by tiles give what convolutions give."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mynah.nets.normed import folded
from mynah.nets.nsf import Block
from mynah.nets.tiles import Tiled, made_of, worth


@pytest.mark.parametrize(("kernel", "dilation", "length"), [(7, 1, 500), (7, 5, 500), (11, 1, 13), (11, 3, 301)])
@torch.no_grad()
def test_tiles_are_the_convolution(kernel: int, dilation: int, length: int) -> None:
    torch.manual_seed(0)
    layer = nn.Conv1d(64, 64, kernel, dilation=dilation, padding=kernel // 2 * dilation)
    x = torch.randn(1, 64, length)
    wanted = layer(F.leaky_relu(x, 0.1))[0].T
    torch.testing.assert_close(Tiled(layer)(x[0].T.contiguous(), 0.1), wanted, atol=2e-6, rtol=0)


def test_a_block_gives_the_same_whether_it_learns_or_not() -> None:
    torch.manual_seed(0)
    block = folded(Block(64, 7, (1, 3)))
    x = torch.randn(1, 64, 400)
    learning = block(x)
    with torch.no_grad():
        assert worth(block.convs1[0], x)
        torch.testing.assert_close(block(x), learning, atol=5e-6, rtol=0)
        # Weights that were changed are noticed.
        for weight in block.parameters():
            weight.mul_(0.5)
    changed = block(x)
    assert not torch.allclose(changed, learning, atol=1e-3)
    with torch.no_grad():
        torch.testing.assert_close(block(x), changed, atol=5e-6, rtol=0)


@torch.inference_mode()
def test_what_was_made_in_inference_mode_is_taken_as_it_is() -> None:
    layer = nn.Conv1d(64, 64, 7, padding=3)
    assert made_of(layer) == (layer.weight.data_ptr(), 0)


@torch.no_grad()
def test_only_what_it_can_do_is_taken() -> None:
    x = torch.randn(1, 64, 50)
    layer = nn.Conv1d(64, 64, 7, padding=3)
    assert worth(layer, x)
    assert not worth(layer, x.expand(2, -1, -1))
    assert not worth(layer, x.double())
    assert not worth(nn.Conv1d(64, 64, 3, padding=1), x)
    assert not worth(nn.Conv1d(32, 32, 7, padding=3), x)
