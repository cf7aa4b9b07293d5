"""Tone colour: the long-term spectrum of a voice, and the equaliser that brings a rendering to it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial

import torch
import torch.nn.functional as F
from torch import Tensor

from mynah.audio.resample import resample
from mynah.convert.mynah.hear import hear
from mynah.core.types import Audio
from mynah.features.content import RATE, ContentStudent
from mynah.features.loudness import Loudness
from mynah.features.mel import mel_filters
from mynah.features.pitch import pitch
from mynah.nets.source_filter.decoder import Decoder
from mynah.nets.source_filter.render import Shape, render
from mynah.train.bandwidth import bandwidth

BANDS = 48
FLOOR = 1e-7  # of power, far below what any recording resolves
MOST = 1.5  # nepers of amplitude (13 dB): what is further off is a limit of the recording, not a colour
MARGIN_HZ = 1000.0  # below the edge of a recording, where its filter begins to bite
LISTEN_SECONDS = 15.0  # enough for an average, and half a second of work


@cache
def bands(rate: int, n_fft: int) -> Tensor:
    """Mel bands that each average the power in them, `[band, bin]`."""
    filters = mel_filters(rate, n_fft, BANDS)
    return filters / filters.sum(1, keepdim=True).clamp(min=1e-9)


def long_term(power: Tensor, filters: Tensor, counts: Tensor) -> Tensor:
    """Mean log power of the frames that count: `[batch, bin, frame]` and `[batch, frame]` to `[batch, band]`."""
    level = (filters @ power + FLOOR).log()
    return (level * counts[:, None]).sum(-1) / counts.sum(-1, keepdim=True).clamp(min=1)


def equaliser(
    clips: Sequence[Audio],
    voice: Tensor,
    decoder: Decoder,
    student: ContentStudent,
    loudness: Loudness,
    shape: Shape = lambda out, pitch: out,
) -> Tensor:
    """What the decoder's rendering of the voice's own clips lacks in each bin, as log amplitude `[bin]`.

    The clips are rendered with the voice itself, so words and melody are the same on both sides and what differs is
    colour: of the voice, the room and the microphone. Twice, since noise and harmonics add up nonlinearly. `shape` is
    what else the rendering goes through.
    """
    config = decoder.config
    filters = bands(config.rate, config.n_fft)

    def power(wave: Tensor) -> Tensor:
        return decoder.spectrum(wave.to(decoder.window.device)).abs().square().cpu()

    # Averages over bands sit at their centres; between these the curve is a straight line.
    centre = filters @ torch.arange(filters.shape[1], dtype=torch.float32)
    curve = torch.zeros(filters.shape[1])
    heard, left, reach = [], LISTEN_SECONDS, config.rate / 2
    for clip in clips:
        clip = Audio(clip.samples.mean(0, keepdim=True)[:, : round(left * clip.rate)], clip.rate)
        melody = pitch(clip)
        if not melody.values.isfinite().any():
            continue
        parts = hear([resample(clip, RATE)], melody, student, loudness)
        wave = resample(clip, config.rate).samples[:, : len(parts.pitch) * config.hop]
        wave = F.pad(wave, (0, len(parts.pitch) * config.hop - wave.shape[1]))
        counts = parts.pitch.isfinite().float()[None]
        heard.append((parts, counts, long_term(power(wave), filters, counts)))
        reach = min(reach, bandwidth(wave[0], config.rate))
        left -= clip.seconds
        if left < 1:
            break
    for _ in range(2 if heard else 0):
        missing, total = torch.zeros(BANDS), 0.0
        for parts, counts, own in heard:
            pieces = render(decoder, parts, voice, seed=0, shape=partial(_equalised_too, shape, curve))
            ours = long_term(power(torch.cat(list(pieces))[None]), filters, counts)
            missing += counts.sum() * (own - ours)[0] / 2
            total += counts.sum().item()
        curve = (curve + between(missing / total, centre, len(curve))).clamp(-MOST, MOST)
        # What the recordings lack because a file or a microphone cut it off is not missing in the voice.
        edge = max(1, int((reach - MARGIN_HZ) / (config.rate / 2) * len(curve)))
        if reach < config.rate / 2:
            curve[edge:] = curve[edge - 1]
    return curve


def _equalised_too(shape: Shape, curve: Tensor, out: Tensor, pitch: Tensor) -> Tensor:
    return equalised(shape(out, pitch), curve)


def equalised(out: Tensor, curve: Tensor) -> Tensor:
    """The decoder's output `[batch, 3, bin, frame]` with log amplitudes `[bin]` added to harmonics and noise."""
    # The decoder speaks in thirds of a neper, see `Decoder.filters`.
    raised = curve.to(out.device)[:, None] / 3
    return out + torch.stack([raised, torch.zeros_like(raised), raised])[None]


def between(values: Tensor, places: Tensor, length: int) -> Tensor:
    """Straight lines through `values` at ascending `places`, held at both ends: shape `[length]`."""
    at = torch.arange(length, dtype=torch.float32)
    above = torch.searchsorted(places, at).clamp(1, len(places) - 1)
    part = ((at - places[above - 1]) / (places[above] - places[above - 1])).clamp(0, 1)
    return torch.lerp(values[above - 1], values[above], part)
