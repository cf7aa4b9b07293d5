"""Singing what was heard, a stretch at a time: hours need no more memory than seconds, and no seam is to be heard.

The original cuts a song every 25 s and lets the decoder see a tenth of a second beyond the cut, where it looks at a
third of a second. Here the encoder's windows overlap and are faded into each other before anything sounds, and the
decoder sees as much as it looks at, so that its stretches join as if they had been made at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from mynah.audio.chunks import crossfade, map_chunks
from mynah.convert.whisper_vits_svc.net import Singer
from mynah.convert.whisper_vits_svc.source import HARMONICS
from mynah.nets.numbered import keep_memory, numbered, white

WINDOW, OVERLAP = 2500, 200  # frames that the prior hears at once, and that two windows share
STRETCH = 512  # frames that are decoded at a time


@dataclass(frozen=True, eq=False)
class Melody:
    """Pitch of the whole song as it will be sung.

    Attributes:
        hz: Every 10 ms, 0 where unvoiced, `[frame]`.
        turns: Phase before every frame, float64, `[frame]`.
        phases: By which the harmonics start, in turns, `[11]`.
    """

    hz: Tensor
    turns: Tensor
    phases: Tensor


def melody_of(hz: Tensor, singer: Singer, seed: int) -> Melody:
    """What has to be known of a melody before any stretch of it can be sung."""
    phases = torch.rand(HARMONICS, generator=torch.Generator().manual_seed(seed))
    phases[0] = 0.0
    return Melody(hz, singer.dec.m_source.turns(hz[None])[0], phases)


def render(
    singer: Singer, frames: Iterable[Tensor], melody: Melody, voice: Tensor, seed: int, spread: float = 1.0
) -> Iterator[Tensor]:
    """Sing: stretches `[time]` at the singer's rate, together as many frames as the melody has.

    Args:
        singer: The net, folded.
        frames: Both features, one below the other, `[size, frame]` in pieces of any length, 100 frames a second.
        melody: As it is to be sung.
        voice: `[size]`.
        seed: Of all that is random.
        spread: How far latents stray from their mean; the original's is 1.
    """
    config, device = singer.config, voice.device
    hop = config.decoder.hop
    voice = voice[None]
    keep_memory(device)

    def expected(window: Tensor) -> Tensor:
        content, number = window[:-1].to(device), window[-1].long()
        words, sounds = content[: config.words], content[config.words :]
        given = singer.latent(
            words[None],
            sounds[None] if config.sounds else None,
            melody.hz[number].to(device)[None],
            voice,
            content.new_ones(1, 1, len(number)),
            spread * white(number, config.latent, seed).to(device)[None],
        )[0]
        return torch.cat([given.cpu(), window[-1:]])

    def sung(window: Tensor) -> Tensor:
        number = window[-1].long()
        hiss = white(number, hop, seed + 1).T.reshape(1, -1).to(device)
        source = singer.dec.m_source(
            melody.hz[number].to(device)[None],
            hiss,
            turns=melody.turns[number[:1]].to(device),
            phases=melody.phases.to(device)[None],
        )
        return singer.dec(window[None, :-1].to(device), source, voice)[0, 0].cpu()

    latents = crossfade(expected, numbered(frames), chunk=WINDOW, overlap=OVERLAP)
    around = singer.dec.reach()
    yield from map_chunks(sung, latents, chunk=STRETCH, left=around, right=around, ratio=hop)
