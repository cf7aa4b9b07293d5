"""Rendering what was heard in a voice, a stretch at a time, so that hours of sound need no more memory than seconds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mynah.nets.source_filter.decoder import Decoder, held

FRAMES = 1000  # frames (10 s) that are rendered at a time
PAST, AHEAD = 160, 20  # frames that a frame depends on, rounded up; both even, since content frames are two frames long
AROUND = 4  # frames that the excitation needs: a window is four hops wide, and glides need the next frame's pitch


def start_turns(pitch: Tensor, hop: int, rate: int) -> Tensor:
    """Phase in turns at the start of every frame, float64, shape `[frame]`: what was sung before, summed exactly."""
    turns = [torch.zeros(1, dtype=torch.float64)]
    for start in range(0, len(pitch), 10_000):
        # One frame more, because a frame glides toward the next one.
        stretch = held(pitch[None, start : start + 10_001], hop)[0].view(-1, hop)[:10_000]
        turns.append(stretch.double().sum(1) / rate)
    return torch.cat(turns).cumsum(0)[:-1].remainder(1.0)


def noise(first: int, frames: int, hop: int, seed: int) -> Tensor:
    """White noise that depends on the place in the recording and the seed alone, shape `[frames * hop]`."""
    block = 100  # frames
    pieces = []
    for number in range(first // block, (first + frames - 1) // block + 1):
        dice = torch.Generator().manual_seed((seed * 1_000_003 + number) % 2**63)
        pieces.append(torch.randn(block * hop, generator=dice))
    start = (first - first // block * block) * hop
    return torch.cat(pieces)[start : start + frames * hop]


@dataclass(frozen=True, eq=False)
class Heard:
    """A recording as its parts, all on one grid: two frames of 10 ms for each content frame of 20 ms.

    Attributes:
        content: Shape `[size, frame / 2]`.
        pitch: Hz, NaN where unvoiced, shape `[frame]`.
        loudness: dB, shape `[frame]`.
        seconds: Length of the recording, without the silence that fills up its last frame.
    """

    content: Tensor
    pitch: Tensor
    loudness: Tensor
    seconds: float


Shape = Callable[[Tensor, Tensor], Tensor]
Blend = Callable[[Tensor, int], Tensor]


def render(
    decoder: Decoder,
    heard: Heard,
    voice: Tensor,
    seed: int,
    shape: Shape | None = None,
    blend: Blend | None = None,
) -> Iterator[Tensor]:
    """Sing `heard` with the voice vector `[size]`: stretches `[time]` at the decoder's rate that join without a seam.

    Args:
        decoder: The net.
        heard: Content, pitch and loudness.
        voice: Unit vector.
        seed: Of the noise.
        shape: Changes the decoder's output `[1, 3, bin, frame]`, knowing the pitch `[1, frame]`: a formant shift, say.
        blend: Changes the spectrum `[1, bin, frame]` of the result that begins at a frame, such as consonants of the
            source.
    """
    config = decoder.config
    pitch = heard.pitch.nan_to_num(0.0)
    turns = start_turns(pitch, config.hop, config.rate)
    total = len(pitch)
    device = voice.device
    for start in range(0, total, FRAMES):
        first, last = max(0, start - PAST), min(total, start + FRAMES + AHEAD)
        melody = pitch[None, first:last].to(device)
        out = decoder(
            heard.content[None, :, first // 2 : last // 2].to(device),
            melody,
            heard.loudness[None, first:last].to(device),
            voice[None],
        )
        if shape is not None:
            out = shape(out, melody)
        near, end = max(first, start - AROUND), min(last, start + FRAMES + AROUND)
        around = slice(near - first, end - first)
        harmonics = decoder.excite(melody[:, around], turns[near : near + 1].to(device))
        hiss = noise(near, end - near, config.hop, seed).to(device)
        spectrum = decoder.mixed(out[..., around], harmonics, hiss[None])
        if blend is not None:
            spectrum = blend(spectrum, near)
        wave = decoder.overlap_add(spectrum)[0]
        skip = (start - near) * config.hop
        yield wave[skip : skip + min(FRAMES, total - start) * config.hop].cpu()


def breathing(out: Tensor, pitch: Tensor, db: float) -> Tensor:
    """Change the noise of voiced frames in the decoder's output `[batch, 3, bin, frame]`; pitch `[batch, frame]`.

    Judges of likeness taught the decoder to hiss under notes, which they like and ears do not. Frames next to an
    unvoiced one keep their noise, because consonants begin there.
    """
    inner = -nn.functional.max_pool1d(-(pitch > 0).float()[:, None], 3, stride=1, padding=1)
    noise = out[:, 2] + inner * (db / (20 * math.log10(math.e)) / 3)  # the decoder speaks in thirds of a neper
    return torch.stack([out[:, 0], out[:, 1], noise], dim=1)


def shifted(out: Tensor, semitones: float) -> Tensor:
    """Move the filters `[batch, 3, bin, frame]` up in frequency, and with them the formants."""
    bins = out.shape[2]
    place = (torch.arange(bins, device=out.device) / 2 ** (semitones / 12)).clamp(max=bins - 1)
    below = place.floor().long().clamp(max=bins - 2)
    return torch.lerp(out[:, :, below], out[:, :, below + 1], (place - below)[:, None])
