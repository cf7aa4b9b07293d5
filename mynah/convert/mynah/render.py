"""Rendering what was heard in a voice, a stretch at a time, so that hours of sound need no more memory than seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from mynah.convert.mynah.decoder import Decoder, held
from mynah.convert.mynah.hear import Heard

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
