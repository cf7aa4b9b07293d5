"""How good a recording is to make a voice from: silence, clipping, noise, music under the voice."""

from __future__ import annotations

import torch
from torch import Tensor

from mynah.core.types import Audio, Contour

SILENT_DB = -60.0  # of full scale; no voice is recorded so quietly
_BELOW_LOUD_DB = 45.0  # pauses are this much quieter than the loud parts
FRAME_SECONDS = 0.02
_MUSIC_SECONDS = 60.0  # of a clip that are searched for music
# Chosen on clean, noisy and accompanied recordings. Solo voices stay below the first two, unless there is noise, which
# the third tells from tones; where the accompaniment is as loud as the voice, one of them is passed.
_BELOW_PITCH = 0.1
_BETWEEN_HARMONICS = 0.18
_TONAL = 0.3


def levels(audio: Audio) -> Tensor:
    """Level in dB of full scale of every whole 20 ms, shape `[frame]`; -120 for digital silence."""
    size = round(FRAME_SECONDS * audio.rate)
    wave = audio.samples.mean(0)
    frames = wave[: len(wave) // size * size].reshape(-1, size)
    return 10 * frames.square().mean(1).clamp(min=1e-12).log10()


def sounding(level: Tensor) -> Tensor:
    """Which frames are no pause: louder than `SILENT_DB` and not 45 dB below the loud ones."""
    if not len(level):
        return torch.zeros(0, dtype=torch.bool)
    loud = float(level.quantile(0.95)) if len(level) < 1 << 24 else float(level.max())
    return level > max(SILENT_DB, loud - _BELOW_LOUD_DB)


def clipped(audio: Audio) -> Tensor:
    """Which samples lie on a flat top, shape `[time]`: at least four equal ones in a row at the very peak.

    Has to be asked before resampling, which rounds the corners.
    """
    wave = audio.samples.abs().amax(0)
    if len(wave) < 4 or not wave.any():
        return torch.zeros(len(wave), dtype=torch.bool)
    peak = wave.max()
    step = audio.samples.diff(dim=-1).abs().amax(0)
    flat = (step < 1e-4 * peak) & (wave[1:] > 0.98 * peak)
    run = flat[2:] & flat[1:-1] & flat[:-2]
    marked = torch.zeros(len(wave), dtype=torch.bool)
    for shift in range(4):
        marked[shift : shift + len(run)] |= run
    return marked


def noise_distance_db(level: Tensor, voiced: Tensor) -> float:
    """How much louder the voice is than what is heard when it pauses; infinite where it hardly ever does.

    Args:
        level: In dB, shape `[frame]`.
        voiced: Shape `[frame]`.
    """
    rest = level[~voiced]
    # A few frames at the edges of held notes are no pause.
    if not voiced.any() or len(rest) * FRAME_SECONDS < 0.5 or len(rest) < 0.03 * len(level):
        return float("inf")
    return float(level[voiced].median() - rest.quantile(0.1))


def music_under(clip: Audio, pitch: Contour) -> tuple[float, float, float]:
    """What a voice alone would not have: sound below its pitch and tones between its harmonics.

    Returns:
        Over voiced frames: upper quartile of the share of power (below 4 kHz) that lies below the pitch; upper
        quartile of the share (below 2 kHz) between the harmonics; median flatness of that rest, 0 for tones and 1 for
        noise. NaN where too little is voiced.
    """
    size = 2 ** round(torch.log2(torch.tensor(0.064 * clip.rate)).item())
    hop = size // 4
    wave = clip.samples.mean(0)[: round(_MUSIC_SECONDS * clip.rate)]
    nothing = float("nan")
    if len(wave) < size:
        return nothing, nothing, nothing
    power = torch.stft(wave, size, hop, window=torch.hann_window(size), return_complex=True).abs().square().T
    hz = pitch.values[at_times(torch.arange(len(power)) * hop / clip.rate, pitch)]
    chosen = hz.isfinite() & (hz > 110)  # below it harmonics are too close to look between them
    if int(chosen.sum()) < 20:
        return nothing, nothing, nothing
    power, hz = power[chosen], hz[chosen, None]
    bins = torch.arange(power.shape[1]) * clip.rate / size
    width = clip.rate / size
    audible = (bins > 2 * width) & (bins < 4000)
    below = (power * (audible & (bins < 0.7 * hz))).sum(1) / (power * audible).sum(1).clamp(min=1e-12)
    band = (bins > 0.5 * hz) & (bins < 2000)
    apart = band & (((bins / hz) - (bins / hz).round()).abs() * hz > 2.2 * width)
    rest = power * apart
    between = rest.sum(1) / (power * band).sum(1).clamp(min=1e-12)
    count = apart.sum(1).clamp(min=1)
    flatness = ((power + 1e-12).log() * apart).sum(1).div(count).exp() / (rest.sum(1) / count).clamp(min=1e-12)
    return float(below.quantile(0.75)), float(between.quantile(0.75)), float(flatness.median())


def sounds_like_music(below: float, between: float, flatness: float) -> bool:
    """Whether `music_under` found more than a voice."""
    return below > _BELOW_PITCH or (between > _BETWEEN_HARMONICS and flatness < _TONAL)


def at_times(seconds: Tensor, contour: Contour) -> Tensor:
    """The contour's frame nearest to each time; the contour must not be empty."""
    return (seconds / contour.hop_seconds).round().long().clamp(0, len(contour.values) - 1)
