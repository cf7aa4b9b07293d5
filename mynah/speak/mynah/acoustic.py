"""The speaking net: from sounds to how long each lasts, and to what the converter's decoder sings from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mynah.nets.convnext import ConvNeXt
from mynah.speak.mynah.tokens import LANGUAGES, SYMBOLS

CONTENT = 64  # of the content student
LEVEL_DB = 20.0  # loudness is told in units of this, from its mean
MANNERS = 2  # of an utterance: how lively its melody is, how fast it is spoken


@dataclass(frozen=True)
class AcousticConfig:
    """Sizes. A frame is 20 ms, as the content student's."""

    channels: int = 160
    readers: int = 3
    sounds: tuple[int, ...] = (1, 1, 2, 4)
    frames: tuple[int, ...] = (1, 2, 4, 1, 2)

    @classmethod
    def of(cls, told: dict[str, Any]) -> Self:
        """From what an exported file says."""
        return cls(**told | {name: tuple(told[name]) for name in ("sounds", "frames")})


@dataclass(frozen=True)
class Spoken:
    """An utterance on the decoder's grid.

    Attributes:
        content: `[batch, 64, frame]` at 50/s, standardised as the student's.
        voiced: Logits `[batch, 2 * frame]` at 100/s.
        pitch: Octaves from the reader's middle, same shape.
        level: Loudness from the reader's mean in units of `LEVEL_DB`, same shape.
    """

    content: Tensor
    voiced: Tensor
    pitch: Tensor
    level: Tensor


class Acoustic(nn.Module):
    """Sounds in, content, melody and loudness out, all frames at once.

    As FastSpeech (Ren et al., arXiv 1905.09263) it predicts how long each sound lasts and repeats it so often. Instead
    of a mel spectrogram it gives what the source-filter decoder takes, so that who speaks is decided by a voice vector
    alone and any enrolled voice can speak.
    """

    def __init__(self, config: AcousticConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or AcousticConfig()
        size = config.channels
        self.symbol = nn.Embedding(len(SYMBOLS), size)
        self.stress = nn.Embedding(3, size)
        self.manner = nn.Embedding(8, size)
        self.language = nn.Embedding(len(LANGUAGES), size)
        told = MANNERS + config.readers
        self.sounds = nn.ModuleList(ConvNeXt(size, dilation=dilation, condition=told) for dilation in config.sounds)
        self.last = ConvNeXt(size, condition=told)
        self.duration = nn.Sequential(nn.LayerNorm(size), nn.Linear(size, 1))
        self.place = nn.Linear(4, size)
        self.frames = nn.ModuleList(ConvNeXt(size, dilation=dilation, condition=told) for dilation in config.frames)
        self.out = nn.Sequential(nn.LayerNorm(size), nn.Linear(size, CONTENT + 6))

    def sounded(
        self, symbol: Tensor, stress: Tensor, manner: Tensor, language: Tensor, reader: Tensor, style: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What the sounds are and how long they last.

        Args:
            symbol: As the next three `[batch, token]`, see `Tokens`; filled up with -1.
            reader: Whose manner of reading, `[batch]`.
            style: Liveliness and pace, standardised: `[batch, 2]`.

        Returns:
            `[batch, size, token]`; the condition `[batch, 2 + readers]`; log of durations in frames `[batch, token]`.
        """
        there = (symbol >= 0)[:, None].float()
        condition = torch.cat([style, F.one_hot(reader, self.config.readers).to(style.dtype)], 1)
        x = (
            self.symbol(symbol.clamp(min=0)) + self.stress(stress) + self.manner(manner) + self.language(language)
        ).transpose(1, 2) * there
        for block in self.sounds:
            x = block(x, condition) * there
        lasting = self.duration(self.last(x, condition).transpose(1, 2))[..., 0]
        return x, condition, lasting

    def spoken(self, x: Tensor, condition: Tensor, durations: Tensor) -> Spoken:
        """All frames of sounds that last so long.

        Args:
            x: `[batch, size, token]` of `sounded`.
            condition: Of `sounded`.
            durations: Whole frames `[batch, token]`; 0 where there is no token.
        """
        token, place = stretched(durations)
        there = (token >= 0)[:, None].float()
        y = torch.gather(x, 2, token.clamp(min=0)[:, None].expand(-1, x.shape[1], -1))
        y = (y + self.place(place).transpose(1, 2)) * there
        for block in self.frames:
            y = block(y, condition) * there
        out = self.out(y.transpose(1, 2))
        content = F.layer_norm(out[..., :CONTENT], (CONTENT,)).transpose(1, 2)
        voiced, pitch, level = out[..., CONTENT:].unflatten(-1, (3, 2)).unbind(-2)
        return Spoken(content, voiced.flatten(1), pitch.flatten(1), level.flatten(1))


def stretched(durations: Tensor) -> tuple[Tensor, Tensor]:
    """Which token each frame belongs to `[batch, frame]`, -1 beyond the end; and where in it, `[batch, frame, 4]`.

    Example:

        >>> stretched(torch.tensor([[2, 1], [1, 0]]))[0]
        tensor([[ 0,  0,  1],
                [ 0, -1, -1]])
    """
    ends = durations.cumsum(1)
    frame = torch.arange(int(ends[:, -1].max()), device=durations.device)
    token = torch.searchsorted(ends, frame.expand(len(ends), -1).contiguous(), right=True)
    beyond = token >= durations.shape[1]
    token = token.clamp(max=durations.shape[1] - 1)
    # A row that is shorter than the longest ends in tokens without frames, which no frame falls into.
    beyond |= frame >= ends[:, -1:]
    length = durations.gather(1, token).float().clamp(min=1)
    since = frame - (ends.gather(1, token) - length)
    part = (since + 0.5) / length
    place = torch.stack([part, (since + 0.5) / 10, (length - since - 0.5) / 10, length.log()], -1)
    return token.masked_fill(beyond, -1), place


def whole(lasting: Tensor) -> Tensor:
    """Durations in frames `[token]` as whole numbers that add up to what they add up to; at least one each.

    Example:

        >>> whole(torch.tensor([1.4, 1.4, 1.4, 0.2]))
        tensor([1, 2, 1, 1])
    """
    ends = lasting.cumsum(0).round().long()
    return (ends - F.pad(ends[:-1], (1, 0))).clamp(min=1)
