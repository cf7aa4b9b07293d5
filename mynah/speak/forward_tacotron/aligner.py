"""The aligner: a Tacotron that is told every frame, for the sake of what its attention looks at meanwhile.

Wang et al., arXiv 1703.10135, with location-sensitive attention; the key layout is that of as-ideas/ForwardTacotron.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mynah.nets.cbhg import CBHG, Prenet

MOST = 20  # frames for one step of the decoder
ZONEOUT = 0.1


@dataclass(frozen=True)
class AlignerConfig:
    """Sizes, by default the published ones."""

    symbols: int = 135
    size: int = 256
    reading: int = 128
    reading_kernels: int = 16
    prenet: int = 256
    attention: int = 256
    filters: int = 32
    kernel: int = 31
    units: int = 512
    finish: int = 128
    finish_kernels: int = 8
    finish_projection: int = 256
    highways: int = 4
    bands: int = 80


class Aligned(NamedTuple):
    """What was said of a batch, and where was looked.

    Attributes:
        mel: Before the postnet, `[batch, band, frame]`.
        finished: After it.
        attention: `[batch, step, symbol]`.
    """

    mel: Tensor
    finished: Tensor
    attention: Tensor


class Encoder(nn.Module):
    """Symbols `[batch, symbol]` to what they say, `[batch, symbol, 2 * reading]`."""

    def __init__(self, config: AlignerConfig) -> None:
        super().__init__()
        reading = config.reading
        self.embedding = nn.Embedding(config.symbols, config.size)
        self.pre_net = Prenet(config.size, config.prenet, reading)
        self.cbhg = CBHG(config.reading_kernels, reading, reading, (reading, reading), highways=config.highways)

    def forward(self, symbols: Tensor) -> Tensor:
        return self.cbhg(self.pre_net(self.embedding(symbols), drop=self.training).transpose(1, 2))


class LSA(nn.Module):
    """Location-sensitive attention, on the sum of all weights and on the last ones."""

    def __init__(self, config: AlignerConfig) -> None:
        super().__init__()
        size = config.attention
        self.conv = nn.Conv1d(2, config.filters, config.kernel, padding=(config.kernel - 1) // 2, bias=False)
        self.L = nn.Linear(config.filters, size)
        self.W = nn.Linear(size, size)
        self.v = nn.Linear(size, 1, bias=False)

    def forward(self, keys: Tensor, query: Tensor, seen: Tensor) -> Tensor:
        """Weights `[batch, symbol]`."""
        where = self.L(self.conv(seen).transpose(1, 2))
        return self.v(torch.tanh(self.W(query)[:, None] + keys + where))[..., 0].softmax(1)


class Decoder(nn.Module):
    """Several frames at a step, each step made of the last frame before it and of what attention looks at."""

    r: Tensor

    def __init__(self, config: AlignerConfig) -> None:
        super().__init__()
        self.bands = config.bands
        self.register_buffer("r", torch.tensor(1, dtype=torch.int))
        self.prenet = Prenet(config.bands, config.prenet, config.attention // 2)
        self.attn_net = LSA(config)
        self.attn_rnn = nn.GRUCell(config.attention + config.attention // 2, config.attention)
        self.rnn_input = nn.Linear(2 * config.attention, config.units)
        self.res_rnn1 = nn.LSTMCell(config.units, config.units)
        self.res_rnn2 = nn.LSTMCell(config.units, config.units)
        self.mel_proj = nn.Linear(config.units, config.bands * MOST, bias=False)

    def forward(self, memory: Tensor, keys: Tensor, seen: Tensor, each: int) -> tuple[Tensor, Tensor]:
        """Of the frame before every step, `[step, batch, band]`: frames, and what was looked at at each step."""
        batch, symbols, size = memory.shape
        hidden, context = memory.new_zeros(2, batch, size)
        total = last = memory.new_zeros(batch, symbols)
        cells = [(memory.new_zeros(batch, self.rnn_input.out_features),) * 2 for _ in range(2)]
        frames, looked = [], []
        for frame in self.prenet(seen, drop=self.training):
            hidden = self.attn_rnn(torch.cat([context, frame], -1), hidden)
            last = self.attn_net(keys, hidden, torch.stack([total, last], 1))
            total = total + last
            context = torch.bmm(last[:, None], memory)[:, 0]
            x = self.rnn_input(torch.cat([context, hidden], -1))
            for number, rnn in enumerate((self.res_rnn1, self.res_rnn2)):
                told, kept = rnn(x, cells[number])
                if self.training:
                    told = torch.where(torch.rand_like(told) < ZONEOUT, cells[number][0], told)
                cells[number] = told, kept
                x = x + told
            frames.append(self.mel_proj(x).view(batch, self.bands, MOST)[..., :each])
            looked.append(last)
        return torch.cat(frames, -1), torch.stack(looked, 1)


class Aligner(nn.Module):
    """All of it."""

    step: Tensor
    stop_threshold: Tensor

    def __init__(self, config: AlignerConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or AlignerConfig()
        self.encoder = Encoder(config)
        self.encoder_proj = nn.Linear(config.attention, config.attention, bias=False)
        self.decoder = Decoder(config)
        self.postnet = CBHG(
            config.finish_kernels, config.bands, config.finish, (config.finish_projection, config.bands),
            highways=config.highways,
        )  # fmt: skip
        self.post_proj = nn.Linear(2 * config.finish, config.bands, bias=False)
        self.register_buffer("step", torch.zeros(1, dtype=torch.long))
        self.register_buffer("stop_threshold", torch.tensor(-11.0))
        for weight in self.parameters():
            if weight.ndim > 1:
                nn.init.xavier_uniform_(weight)

    def forward(self, symbols: Tensor, mel: Tensor, *, each: int = 1) -> Aligned:
        """What it says of every frame when told those before.

        As in the original, attention may look beyond the end of the shorter texts of a batch.

        Args:
            symbols: `[batch, symbol]`.
            mel: Log magnitudes, `[batch, band, frame]`; a multiple of `each` frames.
            each: Frames for one step of the decoder.
        """
        read = self.encoder(symbols)
        begun = F.pad(mel, (1, 0))[..., :-1:each].permute(2, 0, 1)
        said, attention = self.decoder(read, self.encoder_proj(read), begun, each)
        return Aligned(said, self.post_proj(self.postnet(said)).transpose(1, 2), attention)
