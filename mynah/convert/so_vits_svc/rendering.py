"""Singing with a model of so-vits-svc, see `mynah.nets.stretches`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mynah.convert.so_vits_svc.guess import hertz, level_taken
from mynah.convert.so_vits_svc.net import Singer, all_of
from mynah.convert.so_vits_svc.sizes import SINES
from mynah.nets.numbered import keep_memory, white
from mynah.nets.stretches import in_windows, sung


@dataclass(frozen=True, eq=False)
class Score:
    """What is known of a whole song before it is sung, all `[frame]`.

    Attributes:
        hz: Pitch, going on through what is unvoiced; 0 where there is none in all the song.
        voiced: 1 where there is a pitch, 0 elsewhere.
        volume: Root mean square around each frame; for a singer that is told it.
    """

    hz: Tensor
    voiced: Tensor
    volume: Tensor | None


def state(singer: Singer, words: Tensor, score: Score, number: Tensor, device: torch.device) -> Tensor:
    """What the singer makes of content `[size, frame]`, `[1, hidden, frame]`."""
    words = words[None].to(device)
    volume = None if score.volume is None else score.volume[number].to(device)[None]
    return singer.state(words, score.voiced[number].to(device)[None], volume, all_of(words))


def guessed(singer: Singer, frames: Iterable[Tensor], score: Score, voice: Tensor) -> Score:
    """The score with a melody that the singer makes up; in each window at the level of the one that was heard."""
    device = voice.device

    def melody(words: Tensor, number: Tensor) -> Tensor:
        x = state(singer, words, score, number, device)
        level = level_taken(score.hz[number].to(device)[None], score.voiced[number].to(device)[None])
        return hertz(singer.f0_decoder(x, level, all_of(x), voice[None]))[0]

    hz = torch.cat(list(in_windows(melody, frames)), 1)[0]
    return replace(score, hz=hz.clamp(min=0.0))


def render(
    singer: Singer, frames: Iterable[Tensor], score: Score, voice: Tensor, seed: int, spread: float
) -> Iterator[Tensor]:
    """Sing: stretches `[time]` at the singer's rate, together as many frames as there are of content.

    Args:
        singer: The net, folded.
        frames: Content `[size, frame]` at the decoder's frames, in pieces of any length.
        score: Of the whole song.
        voice: Its vector `[size]`.
        seed: Of all that is random.
        spread: How far latents stray from their mean.
    """
    config, device, hop = singer.config, voice.device, singer.config.decoder.hop
    turns = singer.dec.m_source.turns(score.hz[None])[0]
    phases = torch.rand(SINES, generator=torch.Generator().manual_seed(seed))
    phases[0] = 0.0
    keep_memory(device)

    def latent(words: Tensor, number: Tensor) -> Tensor:
        x = state(singer, words, score, number, device)
        noise = spread * white(number, config.latent, seed).to(device)[None]
        return singer.latent(x, score.hz[number].to(device)[None], voice[None], noise, all_of(x))[0]

    def sound(latents: Tensor, number: Tensor) -> Tensor:
        hiss = white(number, hop, seed + 1).T.reshape(1, -1).to(device)
        hz, begin = score.hz[number].to(device)[None], turns[number].to(device)[None]
        source = singer.dec.m_source(hz, hiss, begin, phases.to(device))
        return singer.dec(latents[None].to(device), voice[None], source)[0, 0]

    return sung(latent, sound, frames, hop=hop, around=singer.dec.reach())
