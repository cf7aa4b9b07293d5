"""What training descends, with the weights of the original.

Those of the house (`mynah.train.losses`) measure much the same and otherwise; these are the published ones, number for
number, so that a published model goes on learning where it stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from mynah.convert.whisper_vits_svc.critics import RESOLUTIONS, Verdict
from mynah.convert.whisper_vits_svc.net import Learnt
from mynah.convert.whisper_vits_svc.sizes import DecoderConfig
from mynah.features.mel import mel_filters

SIZE = 1024  # of the transform whose spectra the posterior encoder hears and the mel loss compares
BANDS, LOW_HZ = 100, 50.0
WEIGHTS = {
    "score": 1.0, "feature": 2.0, "mel": 1.0, "stft": 9.0, "kl": 0.2, "kl_back": 0.1, "voice": 2.0,
}  # fmt: skip


def net_losses(
    learnt: Learnt,
    recorded: Tensor,
    voice: Tensor,
    mask: Tensor,
    rendered: Sequence[Verdict],
    real: Sequence[Verdict],
    config: DecoderConfig,
) -> dict[str, Tensor]:
    """Losses of the net that sings, by name and weighted.

    Args:
        learnt: What a step gave.
        recorded: The same segments of the recording, `[batch, 1, time]`.
        voice: Vectors of the voices, `[batch, size]`.
        mask: `[batch, 1, frame]`.
        rendered: What the critics say of the net's sound.
        real: What they say of the recording.
        config: Rate and hop.
    """
    ours, theirs = learnt.sound[:, 0].float(), recorded[:, 0].float()
    prior, posterior = learnt.prior, learnt.posterior
    raw = {
        "score": score_loss(rendered),
        "feature": feature_loss(rendered, real),
        "mel": F.l1_loss(log_mel(ours, config), log_mel(theirs, config)),
        "stft": stft_loss(ours, theirs),
        "kl": kl(learnt.forward, posterior.spread, prior.mean, prior.spread, learnt.volume, mask),
        "kl_back": kl(learnt.backward, prior.spread, posterior.mean, posterior.spread, learnt.volume_back, mask),
        "voice": (1 - F.cosine_similarity(voice, learnt.guess)).mean(),
    }
    return {name: WEIGHTS[name] * loss for name, loss in raw.items()}


def critic_loss(rendered: Sequence[Verdict], real: Sequence[Verdict]) -> Tensor:
    """Least squares: recordings to 1, renderings to 0, averaged over critics."""
    pairs = zip(rendered, real, strict=True)
    return torch.stack([(theirs - 1).square().mean() + ours.square().mean() for (ours, _), (theirs, _) in pairs]).mean()


def score_loss(rendered: Sequence[Verdict]) -> Tensor:
    """Least squares: renderings to 1, averaged over critics."""
    return torch.stack([(ours - 1).square().mean() for ours, _ in rendered]).mean()


def feature_loss(rendered: Sequence[Verdict], real: Sequence[Verdict]) -> Tensor:
    """Mean differences of what the critics' layers see, summed over layers and averaged over critics."""
    terms = [
        (ours - theirs).abs().mean()
        for (_, layers), (_, others) in zip(rendered, real, strict=True)
        for ours, theirs in zip(layers, others, strict=True)
    ]
    return torch.stack(terms).sum() / len(rendered)


def kl(sample: Tensor, own_spread: Tensor, mean: Tensor, spread: Tensor, volume: Tensor, mask: Tensor) -> Tensor:
    """How far a sample that went through the flow lies from where it is expected, per frame (arXiv 2106.06103).

    Args:
        sample: `[batch, channel, frame]`, behind the flow.
        own_spread: Of the Gaussian that it was drawn from.
        mean: Of the one that it should have come from.
        spread: Of that one.
        volume: Logarithm of the flow's determinant, `[batch]`.
        mask: `[batch, 1, frame]`.
    """
    sample, own_spread, mean, spread = (part.float() for part in (sample, own_spread, mean, spread))
    each = spread - own_spread - 0.5 + 0.5 * (sample - mean).square() * torch.exp(-2 * spread)
    return ((each * mask).sum() - volume.sum()) / mask.sum()


def stft_loss(ours: Tensor, theirs: Tensor) -> Tensor:
    """Spectral convergence and log magnitudes at the critics' resolutions (Yamamoto et al., arXiv 1910.11480)."""
    terms = []
    for size, hop, width in RESOLUTIONS:
        window = _hann(width, ours.device)
        x, y = (
            torch.view_as_real(torch.stft(wave, size, hop, width, window, return_complex=True))
            .square()
            .sum(-1)
            .clamp(min=1e-7)
            .sqrt()
            for wave in (ours, theirs)
        )
        terms.append((y - x).norm() / y.norm() + F.l1_loss(y.log(), x.log()))
    return torch.stack(terms).mean()


def log_mel(wave: Tensor, config: DecoderConfig) -> Tensor:
    """Logarithm of mel magnitudes, `[batch, time]` to `[batch, 100, time // hop]`."""
    spectrum = torch.view_as_real(_spectrum(wave, config.hop)).square().sum(-1).add(1e-9).sqrt()
    filters = _filters(config.rate, wave.device)
    return torch.matmul(filters, spectrum).clamp(min=1e-5).log()


def linear(wave: Tensor, hop: int) -> Tensor:
    """Magnitudes that the posterior encoder hears, `[batch, time]` to `[batch, 513, time // hop]`."""
    return torch.view_as_real(_spectrum(wave, hop)).square().sum(-1).add(1e-6).sqrt()


def _spectrum(wave: Tensor, hop: int) -> Tensor:
    sides = (SIZE - hop) // 2
    padded = F.pad(wave[:, None], (sides, sides), mode="reflect")[:, 0]
    window = _hann(SIZE, wave.device)
    return torch.stft(padded, SIZE, hop, SIZE, window, center=False, return_complex=True)


@cache
@torch.inference_mode(False)  # what is kept must be fit for training, too
def _hann(width: int, device: torch.device) -> Tensor:
    return torch.hann_window(width, device=device)


@cache
@torch.inference_mode(False)
def _filters(rate: int, device: torch.device) -> Tensor:
    return mel_filters(rate, SIZE, BANDS, LOW_HZ, rate / 2).to(device)
