"""Recordings as the net learns them: nothing below 70 Hz, and the highs brought out."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_TAPS = 255


def cut_below(sound: Tensor, hz: float, rate: int) -> Tensor:
    """Sound `[channel, time]` without what lies below `hz`, by a filter of 255 taps that shifts nothing."""
    from scipy.signal import firwin

    taps = torch.from_numpy(firwin(_TAPS, hz / (rate / 2), pass_zero=False)).to(sound)
    return F.conv1d(sound[:, None], taps[None, None], padding=_TAPS // 2)[:, 0]


def emphasised(sound: Tensor, gain: float, share: float) -> Tensor:
    """Sound `[batch, time]` as samples are told to the net, in [-1, 1]."""
    loud = gain * sound
    return torch.cat([loud[:, :1], loud[:, 1:] - share * loud[:, :-1]], 1).clamp(-1, 1)
