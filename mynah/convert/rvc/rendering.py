"""Singing what was heard, a stretch at a time: hours need no more memory than seconds, and no seam is to be heard.

The original cuts a song where it is quiet and sings every piece by itself. Here the prior's windows overlap and are
faded into each other before anything sounds, and the decoder sees as much as it looks at, so that its stretches join as
if they had been made at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from mynah.audio.chunks import crossfade, map_chunks
from mynah.convert.rvc.net import Singer
from mynah.nets.numbered import keep_memory, numbered, white

WINDOW, OVERLAP = 2500, 200  # frames that the prior hears at once, and that two windows share
STRETCH = 512  # frames that are decoded at a time
_FLOOR = 1e-6  # of loudness


def render(
    singer: Singer, frames: Iterable[Tensor], pitch: Tensor | None, voice: Tensor, seed: int, spread: float
) -> Iterator[Tensor]:
    """Sing: stretches `[time]` at the singer's rate, together as many frames as there are of content.

    Args:
        singer: The net, folded.
        frames: Content `[size, frame]` in pieces of any length, 100 frames a second.
        pitch: Hz of the whole song, 0 where unvoiced, `[frame]`; for a singer that is told one.
        voice: Its vector `[size]`.
        seed: Of all that is random.
        spread: How far latents stray from their mean.
    """
    config, device, hop = singer.config, voice.device, singer.config.decoder.hop
    turns = None if pitch is None else singer.dec.m_source.turns(pitch[None])[0]
    keep_memory(device)

    def expected(window: Tensor) -> Tensor:
        number = window[-1].long()
        noise = spread * white(number, config.latent, seed).to(device)[None]
        hz = None if pitch is None else pitch[number].to(device)[None]
        given = singer.latent(window[None, :-1].to(device), hz, voice[None], noise)[0]
        return torch.cat([given.cpu(), window[-1:]])

    def sung(window: Tensor) -> Tensor:
        number, source = window[-1].long(), None
        if pitch is not None and turns is not None:
            hiss = white(number, hop, seed + 1).T.reshape(1, -1).to(device)
            source = singer.dec.m_source(pitch[number].to(device)[None], hiss, turns[number].to(device)[None])
        return singer.dec(window[None, :-1].to(device), voice[None], source)[0, 0].cpu()

    latents = crossfade(expected, numbered(frames), chunk=WINDOW, overlap=OVERLAP)
    around = singer.dec.reach()
    yield from map_chunks(sung, latents, chunk=STRETCH, left=around, right=around, ratio=hop)


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


def levelled(wave: Tensor, rate: int, source: Tensor, source_rate: int, share: float) -> Tensor:
    """A sound with the loudness of another, over a second each: 0 keeps its own, 1 takes all of the other's.

    Args:
        wave: `[time]`.
        rate: Of it, in Hz.
        source: What it was made of, `[time]`, as long.
        source_rate: Of that, in Hz.
        share: 0 to 1.
    """
    if share == 0:
        return wave
    theirs, own = (
        F.interpolate(_rms(sound, hz)[None, None], size=len(wave), mode="linear")[0, 0]
        for sound, hz in ((source, source_rate), (wave, rate))
    )
    return wave * (theirs.clamp(min=_FLOOR) / own.clamp(min=_FLOOR)) ** share


def _rms(wave: Tensor, rate: int) -> Tensor:
    """Root mean square over a second, every half of one: `[half second]`."""
    half = rate // 2
    around = F.pad(wave.square()[None, None], (half, half + -len(wave) % half))
    return F.avg_pool1d(around, 2 * half, half)[0, 0].sqrt()
