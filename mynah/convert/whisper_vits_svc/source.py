"""What the vocal folds give: a comb of harmonics at the melody's pitch, and hiss where there is none.

Source: neural source-filter models, Wang et al., arXiv 1904.12088. The original sums the phase over samples, for the
whole song; here it is summed over frames in float64, so that any stretch of a song can be made by itself, however late
in it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

HARMONICS = 11
AMPLITUDE = 0.1
BREATH = 0.003  # of the noise under notes
# A published model keeps these as they are: nobody learns them.
_MIX = (0.2942, -0.2243, 0.0033, -0.0056, -0.0020, -0.0046, 0.0221, -0.0083, -0.0241, -0.0036, -0.0581)
_OFFSET = 0.0008


class Source(nn.Module):
    """Sound of a melody, `[batch, 1, frame * hop]`."""

    merge_w: Tensor
    merge_b: Tensor

    def __init__(self, rate: int, hop: int) -> None:
        super().__init__()
        self.rate, self.hop = rate, hop
        self.register_buffer("merge_w", torch.tensor([_MIX]))
        self.register_buffer("merge_b", torch.tensor([_OFFSET]))

    def turns(self, pitch: Tensor) -> Tensor:
        """Phase of the fundamental in turns before every frame `[batch, frame]`: float64, from 0 to 1."""
        # Whole turns are no turns, and small sums keep their digits.
        advance = (pitch.double() * (self.hop / self.rate)).remainder(1.0)
        return (advance.cumsum(-1) - advance).remainder(1.0)

    def forward(
        self, pitch: Tensor, noise: Tensor, turns: Tensor | None = None, phases: Tensor | None = None
    ) -> Tensor:
        """Sing a melody.

        Args:
            pitch: Hz, 0 where unvoiced, `[batch, frame]`; held over a frame.
            noise: White, of variance one, `[batch, frame * hop]`. The original draws noise for every harmonic by itself
                and adds it up, which is the same.
            turns: Of the first frame, `[batch]`; by default the song begins here.
            phases: In turns, by which each harmonic starts, `[batch, 11]`; the original draws them at random, and 0 for
                the fundamental.
        """
        begin = self.turns(pitch)
        if turns is not None:
            begin = begin + turns[:, None]
        step = torch.arange(1, self.hop + 1, device=pitch.device, dtype=torch.float64) / self.rate
        fundamental = (begin[..., None] + pitch.double()[..., None] * step).remainder(1.0).flatten(1)
        mixed = torch.zeros_like(noise)
        for number in range(HARMONICS):
            turned = (fundamental * (number + 1)).remainder(1.0).float()
            if phases is not None:
                turned = turned + phases[:, number, None]
            mixed = mixed + self.merge_w[0, number] * torch.sin(2 * torch.pi * turned)
        voiced = (pitch > 0).float().repeat_interleave(self.hop, -1)
        hiss = voiced * BREATH + (1 - voiced) * AMPLITUDE / 3
        mixed = AMPLITUDE * mixed * voiced + hiss * self.merge_w.norm() * noise
        return torch.tanh(mixed + self.merge_b)[:, None]
