"""What training descends, with the weights of the original, so that its models go on learning where they stopped."""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from mynah.convert.rvc.sizes import NetConfig
from mynah.features.mel import mel_filters

WEIGHTS = {"mel": 45.0, "kl": 1.0, "feature": 2.0, "score": 1.0}
BANDS = {32_000: 80, 40_000: 125, 48_000: 128}  # of the mel loss, by rate
_FEW_BANDS = 80  # at rates that the original does not have


def linear(wave: Tensor, config: NetConfig) -> Tensor:
    """Magnitudes that the posterior encoder hears, `[batch, time]` to `[batch, bin, time // hop]`."""
    size, hop = 2 * (config.bins - 1), config.decoder.hop
    sides = (size - hop) // 2
    padded = F.pad(wave[:, None], (sides, sides), mode="reflect")[:, 0]
    spectrum = torch.stft(padded, size, hop, size, _hann(size, wave.device), center=False, return_complex=True)
    return torch.view_as_real(spectrum).square().sum(-1).add(2e-7).sqrt()


def log_mel(magnitudes: Tensor, config: NetConfig) -> Tensor:
    """Logarithm of mel magnitudes of what `linear` gives, `[batch, band, frame]`."""
    return torch.matmul(_filters(config.decoder.rate, config.bins, magnitudes.device), magnitudes).clamp(min=1e-5).log()


def mel_loss(ours: Tensor, theirs: Tensor, config: NetConfig) -> Tensor:
    """Mean difference in nepers of sounds `[batch, time]`."""
    return F.l1_loss(log_mel(linear(ours, config), config), log_mel(linear(theirs, config), config))


def kl(sample: Tensor, own_spread: Tensor, mean: Tensor, spread: Tensor, mask: Tensor) -> Tensor:
    """How far what the flow made of the posterior's sample lies from what the prior expects, per frame.

    Args:
        sample: Behind the flow, `[batch, channel, frame]`.
        own_spread: Logarithm of the posterior's spread.
        mean: The prior's.
        spread: Logarithm of the prior's spread.
        mask: `[batch, 1, frame]`.

    Source: VITS, arXiv 2106.06103; the flow keeps volumes.
    """
    each = spread - own_spread - 0.5 + 0.5 * (sample - mean).square() * torch.exp(-2 * spread)
    return (each * mask).sum() / mask.sum()


@cache
@torch.inference_mode(False)  # what is kept must be fit for training, too
def _hann(size: int, device: torch.device) -> Tensor:
    return torch.hann_window(size, device=device)


@cache
@torch.inference_mode(False)
def _filters(rate: int, bins: int, device: torch.device) -> Tensor:
    return mel_filters(rate, 2 * (bins - 1), BANDS.get(rate, _FEW_BANDS)).to(device)
