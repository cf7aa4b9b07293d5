"""Singing with a model of RVC, a stretch at a time (`mynah.nets.streams`), and how far retrieval may go."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from mynah.audio.chunks import Chunks
from mynah.convert.rvc.net import Singer
from mynah.convert.rvc.refine import Refiner
from mynah.convert.rvc.sizes import FRAMES_PER_SECOND
from mynah.nets.numbered import keep_memory, white
from mynah.nets.streams import SONG, Chain, Counted, Pace, Stage, flat, over


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

    phases = singer.phases(torch.Generator().manual_seed(seed))

    def source(rest: Tensor) -> Tensor:
        hiss = white(rest[-1].long(), hop, seed + 1).T.reshape(1, -1).to(device)
        begun = None if phases is None else phases.to(device)
        return singer.dec.m_source(rest[:1].to(device), hiss, rest[-2:-1].to(device), begun)

    def led(window: Tensor) -> Tensor:
        assert isinstance(singer.dec, Refiner)
        return torch.cat([window, singer.dec.lead(source(window[config.latent :]))[0].cpu()])

    def sound(window: Tensor) -> Tensor:
        latents, rest, lead = window.tensor_split([config.latent, len(window) - ahead])

        def grain(place: int, channels: int, each: int) -> Tensor:
            noise = white(rest[-1].long(), channels * each, seed + 2 + place)
            return noise.view(channels, each, -1).transpose(1, 2).reshape(1, channels, -1).to(device)

        wave = singer.sound(
            latents[None].to(device),
            voice[None],
            source(rest) if pitched else None,
            grain,
            lead=lead[None].to(device) if ahead else None,
            precision=precision,
        )
        return torch.cat([wave[0, 0].view(-1, hop).T.cpu(), rest[int(pitched) : -2]])

    around, stretch = singer.dec.reach(), round(pace.stretch * FRAMES_PER_SECOND)
    stages: list[Stage] = [
        Counted(singer.dec.m_source.turns if pitched else None, 1 / FRAMES_PER_SECOND, words),
        pace.expected.over(latent, FRAMES_PER_SECOND),
    ]
    ahead = 0  # rows of what leads the frames
    if isinstance(singer.dec, Refiner):
        ahead = config.decoder.channels // 2
        stages.append(Chunks(led, stretch, left=singer.dec.lead_reach(), right=singer.dec.lead_reach()))
    return Chain(*stages, Chunks(sound, stretch, left=around, right=around))


def waits(singer: Singer, pace: Pace) -> float:
    """Seconds until what is known of a frame is sound, at most."""
    seconds = pace.singing(singer.dec.reach(), FRAMES_PER_SECOND)
    if isinstance(singer.dec, Refiner):
        seconds += pace.stretch + (singer.dec.lead_reach() + 1) / FRAMES_PER_SECOND
    return seconds


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
