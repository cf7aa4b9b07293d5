"""The decoder's activation: a wave is bent at twice its rate, so that the overtones this makes do not fold back.

Source: Lee et al., "BigVGAN", arXiv 2206.04658; snake: Ziyin et al., arXiv 2006.08195.

Both filters of 12 taps are done as products with small matrices: one step of a convolution turns 16 samples and their
surroundings into 32, another turns 32 into 16. Processors multiply matrices far faster than they shift and add, nothing
is stuffed with zeros that are multiplied afterwards, and only the slow rate is ever padded.
"""

from __future__ import annotations

import math
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TAPS = 12
BLOCK = 16  # samples that one step takes and gives
EDGE = 6  # samples at twice the rate in front of the first, of which the filter down needs five
REACH = 6  # samples on either side that both filters together look at
_FEW_THREADS = 3


def kaiser_sinc(cutoff: float = 0.25, width: float = 0.3, taps: int = TAPS) -> Tensor:
    """A low-pass filter `[1, 1, taps]` whose taps add up to one.

    Args:
        cutoff: In cycles per sample.
        width: Of the transition.
        taps: An even number.
    """
    half = taps // 2
    attenuation = 2.285 * (half - 1) * math.pi * 4 * width + 7.95  # dB
    if attenuation > 50:
        beta = 0.1102 * (attenuation - 8.7)
    elif attenuation >= 21:
        beta = 0.5842 * (attenuation - 21) ** 0.4 + 0.07886 * (attenuation - 21)
    else:
        beta = 0.0
    window = torch.kaiser_window(taps, periodic=False, beta=beta)
    filter = 2 * cutoff * window * torch.sinc(2 * cutoff * (torch.arange(-half, half) + 0.5))
    return (filter / filter.sum())[None, None]


class _LowPass(nn.Module):
    """The filter as published models carry it along, in every layer; nobody learns it."""

    filter: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("filter", kaiser_sinc())


class Snake(nn.Module):
    """`x + sin(alpha x)^2 / beta`, at twice the rate; the key layout is the published one.

    Shape:
        `[batch, channel, time]` in and out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        # Both are logarithms.
        self.act = nn.ParameterDict({"alpha": torch.zeros(channels), "beta": torch.zeros(channels)})
        self.upsample = _LowPass()
        self.downsample = nn.ModuleDict({"lowpass": _LowPass()})

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, time = x.shape
        blocks = -(-time // BLOCK) + 1
        rows = x.reshape(batch * channels, time)
        rest = BLOCK * blocks - time
        rows = torch.cat([rows[:, :1].expand(-1, EDGE), rows, rows[:, -1:].expand(-1, rest)], 1)
        up, down = _matrices(x.device)
        fast = F.conv2d(rows[:, None, None], up, stride=(1, BLOCK))
        wave = fast.permute(0, 2, 3, 1).reshape(batch * channels, 2 * BLOCK * blocks)
        # The filter down sees the first and the last sample held, as the one up does at its own rate.
        wave[:, :EDGE] = wave[:, EDGE : EDGE + 1]
        wave[:, EDGE + 2 * time :] = wave[:, EDGE + 2 * time - 1 : EDGE + 2 * time]

        alpha, beta = (self.act[name].exp() for name in ("alpha", "beta"))
        share = 1 / (beta + 1e-9)
        lifted = None
        if torch.is_grad_enabled():
            wave = wave + (wave * _rows(alpha, batch)).sin().square() * _rows(share, batch)
        else:
            # A square of a sine is a constant minus a cosine, and a constant passes the filter unchanged.
            lifted = _rows(0.5 * share, batch)
            wave.addcmul_(_cosine(wave * _rows(2 * alpha, batch)), lifted, value=-1)
        fast = wave.view(-1, 1, blocks, 2 * BLOCK).permute(0, 3, 1, 2)
        slow = F.conv2d(fast, down)
        out = slow.permute(0, 2, 3, 1).reshape(batch * channels, -1)[:, :time]
        return (out if lifted is None else out.add_(lifted)).view(batch, channels, time)


def _rows(parameter: Tensor, batch: int) -> Tensor:
    """Of every channel of every example: `[batch * channel, 1]`."""
    return parameter.expand(batch, -1).reshape(-1, 1)


def _cosine(x: Tensor) -> Tensor:
    """In place."""
    # NumPy's is three times as fast as torch's, but knows no threads.
    if x.device.type == "cpu" and x.dtype == torch.float32 and torch.get_num_threads() <= _FEW_THREADS:
        import numpy as np

        wave = x.numpy()
        np.cos(wave, out=wave)
        return x
    return x.cos_()


@cache
@torch.inference_mode(False)  # what is kept must be fit for training, too
def _matrices(device: torch.device) -> tuple[Tensor, Tensor]:
    """What makes 32 fast samples of 22 slow ones, and what makes 16 slow ones of two blocks of 32 fast ones.

    All begin 6 samples before the first. With the filter's taps `f`, fast sample `2 i` is the sum of
    `2 x[i + j] f[5 - 2 j]`, and `2 i + 1` that of `2 x[i + j] f[6 - 2 j]`; slow sample `i` is the sum of
    `s[2 i + j - 5] f[j]`.
    """
    fast, slow = torch.arange(2 * BLOCK)[:, None], torch.arange(BLOCK)[:, None]
    up = 2 * _tap(fast - EDGE + 5 - 2 * (torch.arange(BLOCK + EDGE) - EDGE))
    down = _tap(torch.arange(4 * BLOCK) - EDGE - 2 * slow + 5).view(BLOCK, 2, 2 * BLOCK).transpose(1, 2)
    return _channels_last(up[:, None, None]).to(device), _channels_last(down[:, :, None]).to(device)


def _tap(number: Tensor) -> Tensor:
    """Taps of the filter by their numbers; there is nothing beyond its ends."""
    return torch.where((number >= 0) & (number < TAPS), kaiser_sinc().flatten()[number.clamp(0, TAPS - 1)], 0.0)


def _channels_last(weight: Tensor) -> Tensor:
    """With one channel in, both orders are the same memory; the strides tell which one comes out."""
    out, channels, high, wide = weight.shape
    plain = weight.permute(0, 2, 3, 1).contiguous()
    return plain.as_strided((out, channels, high, wide), (high * wide * channels, 1, wide * channels, channels))
