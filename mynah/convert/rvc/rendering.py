"""Singing with a model of RVC, a stretch at a time (`mynah.nets.streams`), and how far retrieval may go."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from mynah.audio.chunks import Chunks
from mynah.convert.rvc.net import Singer
from mynah.convert.rvc.sizes import FRAMES_PER_SECOND
from mynah.nets.numbered import keep_memory, white
from mynah.nets.streams import SONG, Chain, Counted, Pace, flat, over


def singing(
    singer: Singer, voice: Tensor, seed: int, spread: float, pace: Pace, precision: torch.dtype = torch.float32
) -> Chain:
    """From rows to sound, 100 frames a second; stretches join as if they had been made at once.

    In come content, below it Hz (0 where unvoiced) for a singer that is told them, and whatever else; out go the
    samples of every frame, `[hop, frame]`, and that else below them.

    Args:
        singer: The net, folded.
        voice: Its vector `[size]`.
        seed: Of all that is random.
        spread: How far latents stray from their mean.
        pace: How much is sung at a time.
        precision: What the decoder counts in.
    """
    config, device, hop = singer.config, voice.device, singer.config.decoder.hop
    pitched, words = config.pitched, config.words
    keep_memory(device)

    def latent(window: Tensor) -> Tensor:
        noise = spread * white(window[-1].long(), config.latent, seed).to(device)[None]
        hz = window[words].to(device)[None] if pitched else None
        given = singer.latent(window[None, :words].to(device), hz, voice[None], noise)[0]
        return torch.cat([given.cpu(), window[words:]])

    def sound(window: Tensor) -> Tensor:
        latents, rest = window.tensor_split([config.latent])
        source = None
        if pitched:
            hiss = white(rest[-1].long(), hop, seed + 1).T.reshape(1, -1).to(device)
            source = singer.dec.m_source(rest[:1].to(device), hiss, rest[-2:-1].to(device))
        wave = singer.dec(latents[None].to(device), voice[None], source, precision=precision)[0, 0]
        return torch.cat([wave.view(-1, hop).T.cpu(), rest[int(pitched) : -2]])

    around, stretch = singer.dec.reach(), round(pace.stretch * FRAMES_PER_SECOND)
    turns = singer.dec.m_source.turns if pitched else None
    return Chain(
        Counted(turns, 1 / FRAMES_PER_SECOND, words),
        pace.expected.over(latent, FRAMES_PER_SECOND),
        Chunks(sound, stretch, left=around, right=around),
    )


def render(
    singer: Singer, frames: Iterable[Tensor], pitch: Tensor | None, voice: Tensor, seed: int, spread: float
) -> Iterator[Tensor]:
    """Sing what is known from its beginning to its end: stretches `[time]` at the singer's rate.

    Args:
        singer: The net, folded.
        frames: Content `[size, frame]` in pieces of any length, 100 frames a second.
        pitch: Hz of the whole song, 0 where unvoiced, `[frame]`; for a singer that is told one.
        voice: Its vector `[size]`.
        seed: Of all that is random.
        spread: How far latents stray from their mean.
    """

    def rows() -> Iterator[Tensor]:
        done = 0
        for piece in frames:
            yield piece if pitch is None else torch.cat([piece, pitch[None, done : done + piece.shape[1]]])
            done += piece.shape[1]

    yield from map(flat, over(singing(singer, voice, seed, spread, SONG), rows()))


def protected(share: float, pitch: Tensor | None, protect: float) -> Tensor | float:
    """How far each frame of content, of 20 ms, is drawn: less where nothing is voiced, `[frame, 1]`.

    Breaths and consonants are the source's own, and those of a bank smear them. The original asks the melody of now,
    of which later versions have filled the gaps before, so that nothing is protected at all.

    Args:
        share: Of the voiced ones.
        pitch: Hz every 10 ms as it was heard, 0 where unvoiced; without a melody all are alike.
        protect: 0 draws unvoiced ones as far as the others, 1 leaves them alone.

    Example:

        >>> protected(0.5, torch.tensor([200.0, 200.0, 0.0, 0.0]), protect=1.0).T
        tensor([[0.5000, 0.0000]])
    """
    if pitch is None:
        return share
    voiced = (F.pad(pitch, (0, len(pitch) % 2)) > 0).float().view(-1, 2).mean(1, keepdim=True)
    return share * (voiced + (1 - voiced) * (1 - protect))
