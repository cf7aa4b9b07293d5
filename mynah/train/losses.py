"""Losses that several recipes share: of spectra, and of critics.

Waves are `[batch, time]`; `bandwidth_hz` `[batch]` is how far up each recording reaches, and what lies above it counts
for nothing, so that a net does not learn the dullness of its recordings.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

from mynah.features.mel import mel_filters

SIZES = (2048, 1024, 512, 256)
FLOOR = 1e-4  # of magnitudes, before their logarithm
Verdict = tuple[Tensor, list[Tensor]]  # a map of scores (1 is "recorded") and the activations that led to it


def spectral_losses(
    ours: Tensor, theirs: Tensor, rate: int, *, bandwidth_hz: Tensor | None = None, sizes: Sequence[int] = SIZES
) -> tuple[Tensor, Tensor]:
    """Differences of short-time spectra, averaged over resolutions (Yamamoto et al., arXiv 1910.11480).

    Args:
        ours: What was made.
        theirs: What was recorded.
        rate: In Hz.
        bandwidth_hz: Of each recording; `None` compares all there is.
        sizes: Of the transforms, in samples; a hop is a quarter of it.

    Returns:
        Mean absolute difference of log magnitudes, in nepers; and spectral convergence, the part of the magnitude that
        was missed, from 0 to about 1.
    """
    magnitude = convergence = ours.new_zeros((), dtype=torch.float32)
    for size in sizes:
        x, y, kept = _magnitudes(ours, theirs, size, rate, bandwidth_hz)
        difference = ((x + FLOOR).log() - (y + FLOOR).log()).abs()
        magnitude = magnitude + difference.sum() / (kept.sum() * x.shape[-1]).clamp(min=1)
        # The 0.5 keeps a silent recording from counting without bounds.
        convergence = convergence + ((x - y).flatten(1).norm(dim=1) / (y.flatten(1).norm(dim=1) + 0.5)).mean()
    return magnitude / len(sizes), convergence / len(sizes)


def mel_loss(
    ours: Tensor,
    theirs: Tensor,
    rate: int,
    *,
    bandwidth_hz: Tensor | None = None,
    size: int = 1024,
    bands: int = 100,
) -> Tensor:
    """Mean absolute difference of log mel magnitudes, in nepers (Kong et al., arXiv 2010.05646).

    Args:
        ours: What was made.
        theirs: What was recorded.
        rate: In Hz.
        bandwidth_hz: Of each recording; bands above it are left out.
        size: Of the transform, in samples; a hop is a quarter of it.
        bands: From 0 to half the rate.
    """
    x, y, kept = _magnitudes(ours, theirs, size, rate, bandwidth_hz)
    filters = _filters(rate, size, bands, ours.device)
    counted = ((filters @ kept) > 0).sum() * x.shape[-1]
    return ((filters @ x + FLOOR).log() - (filters @ y + FLOOR).log()).abs().sum() / counted.clamp(min=1)


def band_limited(wave: Tensor, bandwidth_hz: Tensor, rate: int) -> Tensor:
    """Nothing above `bandwidth_hz`, so that critics cannot tell a rendering by the highs that a recording lacks."""
    spectrum = torch.fft.rfft(wave.float())
    hz = torch.linspace(0, rate / 2, spectrum.shape[-1], device=wave.device)
    limited: Tensor = torch.fft.irfft(spectrum * (hz <= bandwidth_hz[:, None]), n=wave.shape[-1])
    return limited


def critic_loss(recorded: Sequence[Verdict], rendered: Sequence[Verdict]) -> Tensor:
    """Least squares: recordings to 1, renderings to 0 (Mao et al., arXiv 1611.04076). One verdict for each critic."""
    pairs = zip(recorded, rendered, strict=True)
    return torch.stack([(real - 1).square().mean() + fake.square().mean() for (real, _), (fake, _) in pairs]).mean()


def fooled_loss(rendered: Sequence[Verdict]) -> Tensor:
    """Least squares: renderings to 1. One verdict for each critic."""
    return torch.stack([(fake - 1).square().mean() for fake, _ in rendered]).mean()


def adversarial(rendered: Sequence[Verdict], recorded: Sequence[Verdict]) -> dict[str, Tensor]:
    """Of a net, as HiFi-GAN has it: `score`, how far critics are from taking its sound for a recording, and `feature`,
    what their layers see otherwise. Both are sums over critics, the latter over their layers, too.
    """
    layers = [
        (ours - theirs.detach()).abs().mean()
        for (_, seen), (_, wanted) in zip(rendered, recorded, strict=True)
        for ours, theirs in zip(seen, wanted, strict=True)
    ]
    return {"feature": torch.stack(layers).sum(), "score": len(rendered) * fooled_loss(rendered)}


def exact(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """In float32, whatever the critics ran in."""
    return [(score.float(), [layer.float() for layer in seen]) for score, seen in verdicts]


def matching_loss(recorded: Sequence[Verdict], rendered: Sequence[Verdict]) -> Tensor:
    """Mean difference of the critics' activations, in units of their size on the recording.

    Source: feature matching of Kumar et al., arXiv 1910.06711; the unit makes every layer count alike.
    """
    terms = [
        (x - y).abs().mean() / (y.abs().mean() + 1e-3)
        for (_, ours), (_, theirs) in zip(rendered, recorded, strict=True)
        for x, y in zip(ours, theirs, strict=True)
    ]
    return torch.stack(terms).mean()


def _magnitudes(
    ours: Tensor, theirs: Tensor, size: int, rate: int, bandwidth_hz: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Both magnitudes `[batch, bin, frame]`, zero above the bandwidth, and what was kept `[batch, bin, 1]`."""
    window = torch.hann_window(size, device=ours.device)
    spectra = [torch.stft(wave.float(), size, size // 4, window=window, return_complex=True) for wave in (ours, theirs)]
    hz = torch.linspace(0, rate / 2, size // 2 + 1, device=ours.device)
    limit = hz.new_full((len(ours),), rate / 2) if bandwidth_hz is None else bandwidth_hz
    kept = (hz <= limit[:, None]).float()[..., None]
    return spectra[0].abs() * kept, spectra[1].abs() * kept, kept


@cache
def _filters(rate: int, size: int, bands: int, device: torch.device) -> Tensor:
    return mel_filters(rate, size, bands).to(device)
