"""Singing with a model of RVC, see `mynah.nets.stretches`, and how far retrieval may go."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch.nn.functional as F
from torch import Tensor

from mynah.convert.rvc.net import Singer
from mynah.nets.numbered import keep_memory, white
from mynah.nets.stretches import sung


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

    def latent(words: Tensor, number: Tensor) -> Tensor:
        noise = spread * white(number, config.latent, seed).to(device)[None]
        hz = None if pitch is None else pitch[number].to(device)[None]
        return singer.latent(words[None].to(device), hz, voice[None], noise)[0]

    def sound(latents: Tensor, number: Tensor) -> Tensor:
        source = None
        if pitch is not None and turns is not None:
            hiss = white(number, hop, seed + 1).T.reshape(1, -1).to(device)
            source = singer.dec.m_source(pitch[number].to(device)[None], hiss, turns[number].to(device)[None])
        return singer.dec(latents[None].to(device), voice[None], source)[0, 0]

    return sung(latent, sound, frames, hop=hop, around=singer.dec.reach())


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
