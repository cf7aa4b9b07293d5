"""Whisper's nets: the encoder that the features have already, and the decoder that writes, token by token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mynah.features.whisper import HEAD, Attention, WhisperConfig, WhisperEncoder


@dataclass(frozen=True)
class Config:
    """Sizes, of `tiny` by default.

    Attributes:
        bands: Of the log-mel spectrum.
        size: Channels of both nets.
        audio_layers: Of the encoder.
        audio_context: Frames of one window.
        vocabulary: Tokens, specials and times included.
        text_layers: Of the decoder.
        text_context: Tokens that the decoder can look back on.
    """

    bands: int = 80
    size: int = 384
    audio_layers: int = 4
    audio_context: int = 1500
    vocabulary: int = 51_865
    text_layers: int = 4
    text_context: int = 448


Seen = tuple[Tensor, Tensor]
"""Keys and values of one layer, each `[batch, head, position, HEAD]`."""


@dataclass
class Memory:
    """What the decoder knows while it writes: the sound, and what it has written itself.

    Attributes:
        sound: For each layer.
        written: For each layer; grows with every token.
    """

    sound: list[Seen]
    written: list[Seen | None] = field(default_factory=list)

    @property
    def length(self) -> int:
        """Tokens written so far."""
        return self.written[0][0].shape[2] if self.written and self.written[0] else 0


class Looking(Attention):
    """Attention whose keys may come from elsewhere, and be kept."""

    def seen(self, x: Tensor) -> Seen:
        """Keys and values of what can be looked at."""
        key, value = (part(x).unflatten(-1, (self.heads, HEAD)).transpose(1, 2) for part in (self.key, self.value))
        return key, value

    def queries(self, x: Tensor) -> Tensor:
        """Shape `[batch, head, position, HEAD]`."""
        return self.query(x).unflatten(-1, (self.heads, HEAD)).transpose(1, 2)

    def look(self, x: Tensor, seen: Seen, *, causal: bool = False) -> Tensor:
        """What is found there."""
        # With one new token everything before it may be looked at; with several, each sees those before itself.
        found = F.scaled_dot_product_attention(self.queries(x), *seen, is_causal=causal and x.shape[1] > 1)
        return self.out(found.transpose(1, 2).flatten(2))

    def scores(self, x: Tensor, seen: Seen) -> Tensor:
        """How much each position is drawn to each that can be looked at, before softmax."""
        return self.queries(x) @ seen[0].transpose(2, 3) / HEAD**0.5


class DecoderBlock(nn.Module):
    """Looks at what is written, then at the sound, then at itself."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.attn = Looking(size)
        self.attn_ln = nn.LayerNorm(size)
        self.cross_attn = Looking(size)
        self.cross_attn_ln = nn.LayerNorm(size)
        self.mlp = nn.Sequential(nn.Linear(size, 4 * size), nn.GELU(), nn.Linear(4 * size, size))
        self.mlp_ln = nn.LayerNorm(size)

    def forward(
        self, x: Tensor, sound: Seen, before: Seen | None, heads: Sequence[int]
    ) -> tuple[Tensor, Seen, Tensor | None]:
        """What becomes of `x`, all that is written by then, and the scores of these heads over the sound."""
        short = self.attn_ln(x)
        seen = self.attn.seen(short)
        if before is not None:
            seen = (torch.cat([before[0], seen[0]], 2), torch.cat([before[1], seen[1]], 2))
        x = x + self.attn.look(short, seen, causal=before is None)
        short = self.cross_attn_ln(x)
        scores = self.cross_attn.scores(short, sound)[:, list(heads)] if heads else None
        x = x + self.cross_attn.look(short, sound)
        return x + self.mlp(self.mlp_ln(x)), seen, scores


class Decoder(nn.Module):
    """Says how probable each next token is."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(config.vocabulary, config.size)
        self.positional_embedding = nn.Parameter(torch.zeros(config.text_context, config.size))
        self.blocks = nn.ModuleList(DecoderBlock(config.size) for _ in range(config.text_layers))
        self.ln = nn.LayerNorm(config.size)

    def memory(self, frames: Tensor) -> Memory:
        """Of sound alone: frames are what the encoder gave, `[batch, frame, size]`."""
        sound = [block.cross_attn.seen(frames) for block in self.blocks if isinstance(block, DecoderBlock)]
        return Memory(sound, [None] * len(sound))

    def forward(self, tokens: Tensor, memory: Memory, scores: Sequence[tuple[int, int]] = ()) -> tuple[Tensor, Tensor]:
        """Write `tokens` down, and say what may follow each.

        Args:
            tokens: Shape `[batch, new]`. Several at once only when nothing is written yet.
            memory: Grows by them.
            scores: Layers and heads whose attention to the sound is wanted.

        Returns:
            Logits `[batch, new, vocabulary]`, and the scores wanted `[batch, those, new, frame]`.
        """
        start = memory.length
        x = self.token_embedding(tokens) + self.positional_embedding[start : start + tokens.shape[1]]
        wanted: dict[tuple[int, int], Tensor] = {}
        for index, block in enumerate(self.blocks):
            heads = [head for layer, head in scores if layer == index]
            x, memory.written[index], found = block(x, memory.sound[index], memory.written[index], heads)
            if found is not None:
                wanted |= {(index, head): found[:, place] for place, head in enumerate(heads)}
        logits = (self.ln(x) @ self.token_embedding.weight.T).float()
        drawn = [wanted[place].float() for place in scores]
        return logits, torch.stack(drawn, 1) if drawn else logits.new_zeros(len(logits), 0, tokens.shape[1], 0)


class Net(nn.Module):
    """Both nets, in the key layout of openai/whisper."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.encoder = WhisperEncoder(
            WhisperConfig(config.bands, config.size, config.audio_layers, config.audio_context)
        )
        self.decoder = Decoder(config)
