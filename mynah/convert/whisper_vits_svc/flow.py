"""The flow between what the prior knows and what the posterior hears: the voice is taken off, or put on."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mynah.convert.whisper_vits_svc.sizes import NetConfig
from mynah.nets.flows import Coupling, Flip


class SpeakerCoupling(Coupling):
    """A coupling that sees both halves without the voice: its mean is taken off and its spread divided out.

    Source: SNAC, Choi et al., "Speaker-normalized affine coupling layer", arXiv 2211.16866.
    """

    def __init__(self, channels: int, hidden: int, kernel: int, layers: int, voice: int) -> None:
        super().__init__(channels, hidden, kernel, layers)
        self.snac = nn.Conv1d(voice, channels, 1)

    def both(self, x: Tensor, mask: Tensor, voice: Tensor, *, reverse: bool = False) -> tuple[Tensor, Tensor]:
        """What comes out, and the logarithm of the determinant `[batch]`.

        Args:
            x: `[batch, channel, frame]`.
            mask: `[batch, 1, frame]`.
            voice: `[batch, size]`.
            reverse: From the prior's side to the posterior's.
        """
        mean, spread = self.snac(voice[..., None]).chunk(2, 1)
        kept, moved = x.chunk(2, 1)
        shift = self.shift((kept - mean) * torch.exp(-spread) * mask, mask)
        volume = (spread * mask).sum((1, 2))
        if reverse:
            moved = (mean + (moved - shift) * mask * torch.exp(spread)) * mask
            return torch.cat([kept, moved], 1), volume
        moved = (shift + (moved - mean) * torch.exp(-spread) * mask) * mask
        return torch.cat([kept, moved], 1), -volume


class Flow(nn.Module):
    """Couplings with flips between them, in the published key layout.

    Shape:
        `[batch, channel, frame]` in and out; mask `[batch, 1, frame]`; voice `[batch, size]`.
    """

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        self.flows = nn.ModuleList()
        for _ in range(config.couplings):
            self.flows.append(SpeakerCoupling(config.latent, config.hidden, 5, config.flow_layers, config.voice))
            self.flows.append(Flip())

    def forward(self, x: Tensor, mask: Tensor, voice: Tensor, *, reverse: bool = False) -> tuple[Tensor, Tensor]:
        """What comes out, and the logarithm of the determinant `[batch]`."""
        total = x.new_zeros(len(x))
        for step in reversed(self.flows) if reverse else self.flows:
            if isinstance(step, SpeakerCoupling):
                x, volume = step.both(x, mask, voice, reverse=reverse)
                total = total + volume
            else:
                x = step(x)
        return x, total
