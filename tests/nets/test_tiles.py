"""Convolutions by tiles give what convolutions give."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mynah.nets.tiles import Tiled, worth


@pytest.mark.parametrize(("kernel", "dilation", "length"), [(7, 1, 500), (7, 5, 500), (11, 1, 13), (11, 3, 2601)])
@torch.no_grad()
def test_tiles_are_the_convolution(kernel: int, dilation: int, length: int) -> None:
    torch.manual_seed(0)
    layer = nn.Conv1d(64, 64, kernel, dilation=dilation, padding=kernel // 2 * dilation)
    x = torch.randn(1, 64, length)
    wanted = layer(F.leaky_relu(x, 0.1))[0].T
    torch.testing.assert_close(Tiled(layer)(x[0].T.contiguous(), 0.1), wanted, atol=2e-6, rtol=0)


@torch.no_grad()
def test_the_result_is_added_in_place() -> None:
    torch.manual_seed(0)
    layer, length = nn.Conv1d(64, 64, 7, padding=3), 100
    tiled, x = Tiled(layer), torch.randn(length, 64)
    held = torch.zeros(tiled.room(length), 64)
    rows = held[:length].copy_(x)
    assert tiled(rows, 0.1, onto=held).data_ptr() == held.data_ptr()
    torch.testing.assert_close(rows, x + layer(F.leaky_relu(x, 0.1).T[None])[0].T, atol=2e-6, rtol=0)


def test_only_what_it_can_do_is_taken() -> None:
    assert worth(nn.Conv1d(64, 64, 7, padding=3))
    assert not worth(nn.Conv1d(64, 64, 3, padding=1))
    assert not worth(nn.Conv1d(32, 32, 7, padding=3))
    assert not worth(nn.Conv1d(128, 64, 7, padding=3))
    assert not worth(nn.ConvTranspose1d(64, 64, 7))
