"""What singing models of the VITS family share: a listener, a flow, and pitch in steps.

VITS (Kim, Kong, Son, arXiv 2106.06103); the key layout is that of the published files.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from torch import Tensor, nn

from mynah.nets.flows import Coupling, Flip
from mynah.nets.wavenet import WaveNet

STEPS = 256  # of pitch
LOW_HZ, HIGH_HZ = 50.0, 1100.0


class Latent(NamedTuple):
    """A Gaussian for every frame and a sample of it, all `[batch, channel, frame]`; `spread` is a logarithm."""

    sample: Tensor
    mean: Tensor
    spread: Tensor


def pitch_steps(pitch: Tensor) -> Tensor:
    """Pitch in steps of equal width on the mel scale: 1 (50 Hz and below, or unvoiced) to 255 (1100 Hz and above).

    Example:

        >>> import torch
        >>> pitch_steps(torch.tensor([0.0, 50.0, 220.0, 1100.0, 2000.0]))
        tensor([  1,   1,  60, 255, 255])
    """
    low, high = (1127 * math.log1p(hz / 700) for hz in (LOW_HZ, HIGH_HZ))
    mel = 1127 * (1 + pitch / 700).log()
    return ((mel - low) * (STEPS - 2) / (high - low) + 1).clamp(1, STEPS - 1).round().long()


class Posterior(nn.Module):
    """What is heard in a recording of a voice that is known; only training needs it.

    Args:
        bins: Of the spectrum.
        hidden: Channels inside.
        latent: Channels of the result.
        condition: Size of the vector of a voice.
    """

    def __init__(self, bins: int, hidden: int, latent: int, condition: int) -> None:
        super().__init__()
        self.pre = nn.Conv1d(bins, hidden, 1)
        self.enc = WaveNet(hidden, 5, 16, condition=condition)
        self.proj = nn.Conv1d(hidden, 2 * latent, 1)

    def forward(self, spectrum: Tensor, mask: Tensor, voice: Tensor, noise: Tensor) -> Latent:
        """The Gaussians.

        Args:
            spectrum: Magnitudes, `[batch, bin, frame]`.
            mask: `[batch, 1, frame]`.
            voice: `[batch, size]`.
            noise: Of variance one, `[batch, latent, frame]`.
        """
        x = self.enc(self.pre(spectrum) * mask, mask, voice[..., None])
        mean, spread = (self.proj(x) * mask).chunk(2, 1)
        return Latent((mean + noise * spread.exp()) * mask, mean, spread)


class Flow(nn.Module):
    """Four couplings with flips between them.

    Args:
        latent: Channels in and out.
        hidden: Channels inside.
        layers: Of each coupling.
        condition: Size of the vector of a voice.

    Shape:
        `[batch, channel, frame]` in and out; mask `[batch, 1, frame]`; voice `[batch, size]`.
    """

    def __init__(self, latent: int, hidden: int, layers: int, condition: int) -> None:
        super().__init__()
        self.flows = nn.ModuleList()
        for _ in range(4):
            self.flows.append(Coupling(latent, hidden, 5, layers, condition=condition))
            self.flows.append(Flip())

    def forward(self, x: Tensor, mask: Tensor, voice: Tensor, *, reverse: bool = False) -> Tensor:
        for step in reversed(self.flows) if reverse else self.flows:
            x = step(x, mask, voice[..., None], reverse=reverse) if isinstance(step, Coupling) else step(x)
        return x
