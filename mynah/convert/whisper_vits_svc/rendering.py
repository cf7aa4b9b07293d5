"""Singing what was heard, a stretch at a time: hours need no more memory than seconds, and no seam is to be heard.

The original cuts a song every 25 s and lets the decoder see a tenth of a second beyond the cut, where it looks at a
third of a second. Here the encoder's windows overlap and are faded into each other before anything sounds, and the
decoder sees as much as it looks at, so that its stretches join as if they had been made at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from mynah.audio.chunks import Chunks
from mynah.convert.whisper_vits_svc.net import Singer
from mynah.convert.whisper_vits_svc.source import HARMONICS
from mynah.nets.numbered import keep_memory, white
from mynah.nets.streams import SONG, Chain, Counted, Pace, flat, over

FRAMES_PER_SECOND = 100


def singing(singer: Singer, voice: Tensor, seed: int, spread: float, pace: Pace) -> Chain:
    """From rows to sound, 100 frames a second.

    In come both features, below them Hz (0 where unvoiced), and whatever else; out go the samples of every frame,
    `[hop, frame]`, and that else below them.

    Args:
        singer: The net, folded.
        voice: `[size]`.
        seed: Of all that is random.
        spread: How far latents stray from their mean; the original's is 1.
        pace: How much is sung at a time.
    """
    config, device = singer.config, voice.device
    hop, size = config.decoder.hop, config.words + config.sounds
    phases = torch.rand(HARMONICS, generator=torch.Generator().manual_seed(seed))
    phases[0] = 0.0
    keep_memory(device)

    def expected(window: Tensor) -> Tensor:
        content, number = window[:size].to(device), window[-1].long()
        words, sounds = content[: config.words], content[config.words :]
        given = singer.latent(
            words[None],
            sounds[None] if config.sounds else None,
            window[size].to(device)[None],
            voice[None],
            content.new_ones(1, 1, len(number)),
            spread * white(number, config.latent, seed).to(device)[None],
        )[0]
        return torch.cat([given.cpu(), window[size:]])

    def sound(window: Tensor) -> Tensor:
        latents, hz, rest = window.tensor_split([config.latent, config.latent + 1])
        hiss = white(rest[-1].long(), hop, seed + 1).T.reshape(1, -1).to(device)
        begin = rest[-2, :1].to(device)
        source = singer.dec.m_source(hz.to(device), hiss, turns=begin, phases=phases.to(device)[None])
        wave = singer.dec(latents[None].to(device), source, voice[None])[0, 0]
        return torch.cat([wave.view(-1, hop).T.cpu(), rest[:-2]])

    around = singer.dec.reach()
    return Chain(
        Counted(singer.dec.m_source.turns, 1 / FRAMES_PER_SECOND, size),
        pace.expected.over(expected, FRAMES_PER_SECOND),
        Chunks(sound, round(pace.stretch * FRAMES_PER_SECOND), left=around, right=around),
    )


def render(
    singer: Singer,
    frames: Iterable[Tensor],
    hz: Tensor,
    voice: Tensor,
    seed: int,
    spread: float = 1.0,
    pace: Pace = SONG,
) -> Iterator[Tensor]:
    """Sing what is known from its beginning to its end: stretches `[time]` at the singer's rate.

    Args:
        singer: The net, folded.
        frames: Both features, one below the other, `[size, frame]` in pieces of any length, 100 frames a second.
        hz: Of the whole song, 0 where unvoiced, `[frame]`.
        voice: `[size]`.
        seed: Of all that is random.
        spread: How far latents stray from their mean; the original's is 1.
        pace: How much is sung at a time.
    """

    def rows() -> Iterator[Tensor]:
        done = 0
        for piece in frames:
            yield torch.cat([piece, hz[None, done : done + piece.shape[1]]])
            done += piece.shape[1]

    yield from map(flat, over(singing(singer, voice, seed, spread, pace), rows()))
