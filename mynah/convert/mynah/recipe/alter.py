"""Altering a voice on its power spectrum: pitch, formants, colour, level, noise, room and speed, a batch at a time.

The nets that learn from this see magnitudes only, so no phase has to be kept and a whole batch costs a few
milliseconds.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

BINS = 201  # of a 400-point transform at 16 kHz: 40 Hz each
LIFTER = 30  # quefrencies below 1.9 ms are the throat, those above it the vocal folds


def uniform(count: int, low: float, high: float, dice: Generator) -> Tensor:
    """Shape `[count]`."""
    return low + (high - low) * torch.rand(count, generator=dice)


def envelope_and_fine(log_power: Tensor) -> tuple[Tensor, Tensor]:
    """Log power `[batch, bin, frame]` as what the throat and what the vocal folds add; their sum is the input."""
    cepstrum = torch.fft.irfft(log_power, dim=1)
    lifter = torch.zeros(cepstrum.shape[1])
    lifter[:LIFTER] = 1
    lifter[-LIFTER + 1 :] = 1
    envelope = torch.fft.rfft(cepstrum * lifter[:, None], dim=1).real
    return envelope, log_power - envelope


def stretch_bins(spectrum: Tensor, ratio: Tensor) -> Tensor:
    """Move what lies at bin `k` to `k * ratio`; shape `[batch, bin, frame]`, ratio `[batch]`."""
    top = spectrum.shape[1] - 1
    place = (torch.arange(top + 1) / ratio[:, None]).clamp(max=top)
    below = place.floor().long().clamp(max=top - 1)
    part = (place - below)[..., None]
    index = below[..., None].expand_as(spectrum)
    return torch.lerp(spectrum.gather(1, index), spectrum.gather(1, index + 1), part.expand_as(spectrum))


def formants_and_pitch(power: Tensor, formants: Tensor, pitch: Tensor) -> Tensor:
    """Shift formants and pitch by independent ratios `[batch]`; power `[batch, bin, frame]`."""
    envelope, fine = envelope_and_fine((power + 1e-8).log())
    return (stretch_bins(envelope, formants) + stretch_bins(fine, pitch)).exp()


def colour(power: Tensor, dice: Generator, most_db: float = 8.0) -> Tensor:
    """A random smooth equaliser and a random level."""
    batch, bins, _ = power.shape
    frequency = torch.linspace(0, math.pi, bins)
    order = torch.arange(1, 6)
    amount = torch.randn(batch, 5, generator=dice) * most_db / (1 + order)
    curve = (amount[..., None] * torch.cos(order[:, None] * frequency)).sum(1)
    level = uniform(batch, -22, 8, dice)
    return power * (10 ** ((curve + level[:, None]) / 10))[..., None]


def noise(power: Tensor, dice: Generator, share: float = 0.6) -> Tensor:
    """Coloured noise 3 to 40 dB below the recording, in a share of the batch."""
    batch, bins, frames = power.shape
    level = power.mean((1, 2)) * 10 ** (-uniform(batch, 3, 40, dice) / 10)
    level = level * (torch.rand(batch, generator=dice) < share)
    tilt = uniform(batch, -4, 1, dice)[:, None] * torch.linspace(0, 1, bins)
    spectrum = 10**tilt / (10**tilt).mean(1, keepdim=True)
    drawn = -torch.rand(batch, bins, frames, generator=dice).clamp(min=1e-6).log()
    return power + (level[:, None] * spectrum)[..., None] * drawn


def room(power: Tensor, dice: Generator, share: float = 0.4) -> Tensor:
    """A late reverberation of 0.1 to 0.8 s, in a share of the batch."""
    batch = len(power)
    taps = torch.arange(40)
    decay = 10 ** (-6 * taps * 0.01 / uniform(batch, 0.1, 0.8, dice)[:, None])
    wet = 10 ** (-uniform(batch, 5, 20, dice) / 10) * (torch.rand(batch, generator=dice) < share)
    response = decay * wet[:, None]
    response[:, 0] = 1
    padded = F.pad(power.transpose(0, 1), (39, 0))
    return F.conv1d(padded, response.flip(-1)[:, None], groups=batch).transpose(0, 1)


def cut_highs(power: Tensor, dice: Generator, share: float = 0.5) -> Tensor:
    """Nothing above a random 3.5 to 8 kHz, in a share of the batch: telephones, old microphones, low rates."""
    batch, bins, _ = power.shape
    edge = torch.where(
        torch.rand(batch, generator=dice) < share, uniform(batch, 3500, 8000, dice), torch.tensor(8000.0)
    )
    kept = torch.linspace(0, 8000, bins) <= edge[:, None]
    return power * kept[..., None]


def stretch_time(frames: Tensor, ratio: Tensor, length: int) -> Tensor:
    """Slow down `[batch, channel, frame]` by `ratio` `[batch]`: frame `i` of `length` was frame `i / ratio`."""
    place = (torch.arange(length) / ratio[:, None]).clamp(max=frames.shape[-1] - 1)
    below = place.floor().long().clamp(max=frames.shape[-1] - 2)
    part = (place - below)[:, None]
    index = below[:, None].expand(-1, frames.shape[1], -1)
    return torch.lerp(frames.gather(2, index), frames.gather(2, index + 1), part.expand(-1, frames.shape[1], -1))


def disguise(power: Tensor, dice: Generator) -> Tensor:
    """Make the singer of a batch of power spectra `[batch, 201, frame]` hard to tell, and leave the words."""
    batch = power.shape[0]
    formants = 2 ** uniform(batch, -0.33, 0.33, dice)
    pitch = 2 ** uniform(batch, -0.7, 1.2, dice)
    return noise(room(colour(formants_and_pitch(power, formants, pitch), dice), dice), dice)
