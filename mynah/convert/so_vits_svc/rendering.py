"""Singing with a model of so-vits-svc, a stretch at a time (`mynah.nets.streams`).

What is known of every frame comes in rows: content; Hz, going on through what is unvoiced, and 0 where there is none
before; whether it is voiced; root mean square around it, for a singer that is told it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction

import torch
from torch import Tensor

from mynah.audio.chunks import Chunks
from mynah.convert.so_vits_svc.guess import hertz, level_taken
from mynah.convert.so_vits_svc.net import Singer, all_of
from mynah.convert.so_vits_svc.sizes import SINES, NetConfig
from mynah.nets.numbered import keep_memory, white
from mynah.nets.streams import SONG, Beside, Chain, Counted, Each, Pace, flat, over


def frames_per_second(config: NetConfig) -> Fraction:
    """Of the decoder."""
    return Fraction(config.decoder.rate, config.decoder.hop)


def state(singer: Singer, rows: Tensor, device: torch.device) -> Tensor:
    """What the singer makes of a window `[row, frame]`, `[1, hidden, frame]`."""
    size = singer.config.words
    words = rows[None, :size].to(device)
    volume = rows[size + 2].to(device)[None] if singer.config.loud else None
    return singer.state(words, rows[size + 1].to(device)[None], volume, all_of(words))


def guessing(singer: Singer, voice: Tensor, pace: Pace) -> Chain:
    """The same rows with a melody that the singer makes up; in each window at the level of the one that was heard."""
    device, size = voice.device, singer.config.words

    def melody(window: Tensor) -> Tensor:
        x = state(singer, window, device)
        level = level_taken(window[size].to(device)[None], window[size + 1].to(device)[None])
        return hertz(singer.f0_decoder(x, level, all_of(x), voice[None]))[0].clamp(min=0.0).cpu()

    def instead(rows: Tensor) -> Tensor:
        return torch.cat([rows[:size], rows[-1:], rows[size + 1 : -1]])

    made_up = pace.expected.over(melody, frames_per_second(singer.config))
    return Chain(Beside(Each(lambda rows: rows), made_up), Each(instead))


def singing(
    singer: Singer, voice: Tensor, seed: int, spread: float, pace: Pace, precision: torch.dtype = torch.float32
) -> Chain:
    """From rows to the samples of every frame, `[hop, frame]`; rows that the singer is not told come out below them.

    Args:
        singer: The net, folded.
        voice: Its vector `[size]`.
        seed: Of all that is random.
        spread: How far latents stray from their mean.
        pace: How much is sung at a time.
        precision: What the decoder counts in.
    """
    config, device, hop = singer.config, voice.device, singer.config.decoder.hop
    size, told = config.words, config.words + 2 + int(config.loud)
    phases = torch.rand(SINES, generator=torch.Generator().manual_seed(seed))
    phases[0] = 0.0
    keep_memory(device)

    def latent(window: Tensor) -> Tensor:
        x = state(singer, window, device)
        noise = spread * white(window[-1].long(), config.latent, seed).to(device)[None]
        given = singer.latent(x, window[size].to(device)[None], voice[None], noise, all_of(x))[0]
        return torch.cat([given.cpu(), window[size : size + 1], window[told:]])

    def sound(window: Tensor) -> Tensor:
        latents, hz, rest = window.tensor_split([config.latent, config.latent + 1])
        hiss = white(rest[-1].long(), hop, seed + 1).T.reshape(1, -1).to(device)
        source = singer.dec.m_source(hz.to(device), hiss, rest[-2:-1].to(device), phases.to(device))
        wave = singer.dec(latents[None].to(device), voice[None], source, precision=precision)[0, 0]
        return torch.cat([wave.view(-1, hop).T.cpu(), rest[:-2]])

    rate, around = frames_per_second(config), singer.dec.reach()
    return Chain(
        Counted(singer.dec.m_source.turns, float(1 / rate), size),
        pace.expected.over(latent, rate),
        Chunks(sound, round(pace.stretch * rate), left=around, right=around),
    )


def render(singer: Singer, rows: Iterable[Tensor], voice: Tensor, seed: int, spread: float) -> Iterator[Tensor]:
    """Sing what is known from its beginning to its end: stretches `[time]` at the singer's rate; see `singing`."""
    return map(flat, over(singing(singer, voice, seed, spread, SONG), rows))
