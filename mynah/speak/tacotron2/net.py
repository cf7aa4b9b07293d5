"""The net: letters are read, and frames are spoken one after another while attention moves along what was read.

Shen et al., arXiv 1712.05884; the key layout is that of NVIDIA/tacotron2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from mynah.nets.cbhg import dropped

SYMBOLS = 148
DROPOUT, STATE_DROPOUT = 0.5, 0.1
Gain = Literal["linear", "relu", "sigmoid", "tanh"]


@dataclass(frozen=True)
class Config:
    """Sizes, by default the published ones."""

    symbols: int = SYMBOLS
    size: int = 512
    reading_layers: int = 3
    reading_kernel: int = 5
    prenet: int = 256
    attention_units: int = 1024
    attention: int = 128
    location_filters: int = 32
    location_kernel: int = 31
    units: int = 1024
    bands: int = 80
    finish: int = 512
    finish_layers: int = 5
    finish_kernel: int = 5


class Spoken(NamedTuple):
    """What was said of a batch.

    Attributes:
        mel: As the decoder said it, `[batch, band, frame]`.
        finished: With what the postnet adds.
        gate: How sure the decoder is that it has ended, logits `[batch, frame]`.
        attention: `[batch, frame, symbol]`.
        lengths: Frames of each, `[batch]`.
        ended: Whether each came to an end by itself, `[batch]`.
    """

    mel: Tensor
    finished: Tensor
    gate: Tensor
    attention: Tensor
    lengths: Tensor
    ended: Tensor


class LinearNorm(nn.Module):
    """A linear layer in the layout of the files, begun as the original begins it."""

    def __init__(self, size: int, out: int, *, bias: bool = True, gain: Gain = "linear") -> None:
        super().__init__()
        self.linear_layer = nn.Linear(size, out, bias=bias)
        nn.init.xavier_uniform_(self.linear_layer.weight, nn.init.calculate_gain(gain))

    def forward(self, x: Tensor) -> Tensor:
        return self.linear_layer(x)


class ConvNorm(nn.Module):
    """A convolution that keeps the length, in the layout of the files."""

    def __init__(self, channels: int, out: int, kernel: int, *, bias: bool = True, gain: Gain = "linear") -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, out, kernel, padding=kernel // 2, bias=bias)
        nn.init.xavier_uniform_(self.conv.weight, nn.init.calculate_gain(gain))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


def _normed(channels: int, out: int, kernel: int, gain: Gain) -> nn.Sequential:
    return nn.Sequential(ConvNorm(channels, out, kernel, gain=gain), nn.BatchNorm1d(out))


class Encoder(nn.Module):
    """Convolutions and a recurrent net over symbols: `[batch, size, symbol]` to `[batch, symbol, size]`."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        size, kernel = config.size, config.reading_kernel
        self.convolutions = nn.ModuleList(_normed(size, size, kernel, "relu") for _ in range(config.reading_layers))
        self.lstm = nn.LSTM(size, size // 2, batch_first=True, bidirectional=True)

    def forward(self, x: Tensor, lengths: Tensor, mask: Tensor | None = None) -> Tensor:
        x = _only(x, mask)
        for layer in self.convolutions:
            x = _only(F.dropout(F.relu(layer(x)), DROPOUT, self.training), mask)
        packed = pack_padded_sequence(x.transpose(1, 2), lengths.cpu(), batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=x.shape[-1])[0]


class Location(nn.Module):
    """Where attention was, the last weights and the sum: `[batch, 2, symbol]` to `[batch, symbol, attention]`."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.location_conv = ConvNorm(2, config.location_filters, config.location_kernel, bias=False)
        self.location_dense = LinearNorm(config.location_filters, config.attention, bias=False, gain="tanh")

    def forward(self, x: Tensor) -> Tensor:
        return self.location_dense(self.location_conv(x).transpose(1, 2))


class Attention(nn.Module):
    """Location-sensitive attention (Chorowski et al., arXiv 1506.07503)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.query_layer = LinearNorm(config.attention_units, config.attention, bias=False, gain="tanh")
        self.memory_layer = LinearNorm(config.size, config.attention, bias=False, gain="tanh")
        self.v = LinearNorm(config.attention, 1, bias=False)
        self.location_layer = Location(config)

    def forward(self, query: Tensor, keys: Tensor, seen: Tensor, mask: Tensor) -> Tensor:
        """Weights `[batch, symbol]`; `mask` is true where there is a symbol."""
        energies = self.v(torch.tanh(self.query_layer(query[:, None]) + self.location_layer(seen) + keys))[..., 0]
        return energies.masked_fill(~mask, -math.inf).softmax(1)


class Prenet(nn.Module):
    """Two layers with dropout that is never left out, not even while speaking."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        sizes = (config.bands, config.prenet, config.prenet)
        self.layers = nn.ModuleList(LinearNorm(size, out, bias=False) for size, out in pairwise(sizes))

    def forward(self, x: Tensor, dice: Sequence[Generator] | None = None, share: float = DROPOUT) -> Tensor:
        """Of frames `[..., band]`, with one generator for each of a batch `[batch, band]`, or those of the process."""
        for layer in self.layers:
            x = F.relu(layer(x))
            if dice is None:
                x = F.dropout(x, share, training=True)
            else:
                x = torch.stack([dropped(row, share, own) for row, own in zip(x, dice, strict=True)])
        return x


class State(NamedTuple):
    """What a decoder remembers from frame to frame."""

    attention: tuple[Tensor, Tensor]
    decoder: tuple[Tensor, Tensor]
    weights: Tensor
    total: Tensor
    context: Tensor


class Decoder(nn.Module):
    """Frames, each made of the one before and of what attention looks at."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.prenet = Prenet(config)
        self.attention_rnn = nn.LSTMCell(config.prenet + config.size, config.attention_units)
        self.attention_layer = Attention(config)
        self.decoder_rnn = nn.LSTMCell(config.attention_units + config.size, config.units)
        self.linear_projection = LinearNorm(config.units + config.size, config.bands)
        self.gate_layer = LinearNorm(config.units + config.size, 1, gain="sigmoid")

    def begin(self, memory: Tensor) -> State:
        """Nothing was said and nothing looked at."""
        batch, symbols, size = memory.shape

        def none(units: int) -> Tensor:
            return memory.new_zeros(batch, units)

        attention, units = self.attention_rnn.hidden_size, self.decoder_rnn.hidden_size
        return State(
            (none(attention), none(attention)), (none(units), none(units)), none(symbols), none(symbols), none(size)
        )

    def step(
        self, seen: Tensor, memory: Tensor, keys: Tensor, mask: Tensor, state: State
    ) -> tuple[Tensor, Tensor, State]:
        """One frame `[batch, band]` and its gate `[batch]`; `seen` is the frame before, through the prenet."""
        hidden, cell = self.attention_rnn(torch.cat([seen, state.context], -1), state.attention)
        hidden = F.dropout(hidden, STATE_DROPOUT, self.training)
        weights = self.attention_layer(hidden, keys, torch.stack([state.weights, state.total], 1), mask)
        context = torch.bmm(weights[:, None], memory)[:, 0]
        told, kept = self.decoder_rnn(torch.cat([hidden, context], -1), state.decoder)
        told = F.dropout(told, STATE_DROPOUT, self.training)
        both = torch.cat([told, context], -1)
        now = State((hidden, cell), (told, kept), weights, state.total + weights, context)
        return self.linear_projection(both), self.gate_layer(both)[:, 0], now


class Postnet(nn.Module):
    """What is added to a mel spectrogram when all of it is known."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        sizes = [config.bands, *[config.finish] * (config.finish_layers - 1), config.bands]
        self.convolutions = nn.ModuleList(
            _normed(size, out, config.finish_kernel, "tanh" if number < config.finish_layers else "linear")
            for number, (size, out) in enumerate(pairwise(sizes), 1)
        )

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        for number, layer in enumerate(self.convolutions):
            x = layer(_only(x, mask))
            x = torch.tanh(x) if number < len(self.convolutions) - 1 else x
            x = F.dropout(x, DROPOUT, self.training)
        return x


class Net(nn.Module):
    """All of it."""

    def __init__(self, config: Config | None = None) -> None:
        super().__init__()
        self.config = config = config or Config()
        self.embedding = nn.Embedding(config.symbols, config.size)
        bound = math.sqrt(6.0 / (config.symbols + config.size))
        nn.init.uniform_(self.embedding.weight, -bound, bound)
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.postnet = Postnet(config)

    def forward(
        self, symbols: Tensor, lengths: Tensor, mel: Tensor, frames: Tensor, *, prenet_dropout: float = DROPOUT
    ) -> Spoken:
        """What the net says of every frame when it is told all that come before: for training.

        As in the original, what follows the end of a short text or recording is seen by convolutions and norms.

        Args:
            symbols: `[batch, symbol]`.
            lengths: Of the texts, `[batch]`.
            mel: Log magnitudes, `[batch, band, frame]`.
            frames: Lengths of the recordings, `[batch]`; what the net says beyond is set to 0, and its gate to 1000.
            prenet_dropout: For tests.
        """
        memory = self.encoder(self.embedding(symbols).transpose(1, 2), lengths)
        begun = F.pad(mel, (1, 0))[..., :-1].permute(2, 0, 1)
        seen = self.decoder.prenet(begun, share=prenet_dropout)
        state, keys = self.decoder.begin(memory), self.decoder.attention_layer.memory_layer(memory)
        mask, said = _mask(lengths, symbols.shape[1]), []
        for frame in seen:
            out, gate, state = self.decoder.step(frame, memory, keys, mask, state)
            said.append((out, gate, state.weights))
        told, gate, attention = (torch.stack(parts, 1) for parts in zip(*said, strict=True))
        told = told.transpose(1, 2)
        finished = told + self.postnet(told)
        within = _mask(frames, mel.shape[-1])
        told, finished = told * within[:, None], finished * within[:, None]
        ended = torch.ones_like(frames, dtype=torch.bool)
        return Spoken(told, finished, gate.masked_fill(~within, 1e3), attention, frames, ended)

    @torch.inference_mode()
    def speak(
        self,
        symbols: Tensor,
        lengths: Tensor,
        dice: Sequence[Generator],
        *,
        gate: float = 0.5,
        longest: int = 1000,
        prenet_dropout: float = DROPOUT,
    ) -> Spoken:
        """Say texts, which come out together as each would alone.

        Args:
            symbols: `[batch, symbol]`.
            lengths: Of the texts, `[batch]`.
            dice: Of the prenet, one for each text.
            gate: A text has ended with the frame that is surer of it than this, 0 to 1.
            longest: Frames.
            prenet_dropout: For tests.
        """
        mask = _mask(lengths, symbols.shape[1])
        memory = self.encoder(self.embedding(symbols).transpose(1, 2), lengths, mask[:, None])
        state, keys = self.decoder.begin(memory), self.decoder.attention_layer.memory_layer(memory)
        frame = memory.new_zeros(len(memory), self.config.bands)
        lengths = torch.full((len(memory),), longest, device=memory.device)
        ended, said = torch.zeros_like(lengths, dtype=torch.bool), []
        for number in range(longest):
            seen = self.decoder.prenet(frame, dice, prenet_dropout)
            frame, end, state = self.decoder.step(seen, memory, keys, mask, state)
            said.append((frame, end, state.weights))
            lengths[~ended & (end.sigmoid() > gate)] = number + 1
            ended |= end.sigmoid() > gate
            if ended.all():
                break
        mel, end, attention = (torch.stack(parts, 1) for parts in zip(*said, strict=True))
        within = _mask(lengths, mel.shape[1])[:, None]
        mel = mel.transpose(1, 2) * within
        finished = (mel + self.postnet(mel, within)) * within
        return Spoken(mel, finished, end, attention, lengths, ended)


def _mask(lengths: Tensor, longest: int) -> Tensor:
    """True where something is, `[batch, longest]`."""
    return torch.arange(longest, device=lengths.device) < lengths[:, None]


def _only(x: Tensor, mask: Tensor | None) -> Tensor:
    return x if mask is None else x * mask
