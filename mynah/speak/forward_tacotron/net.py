"""The net: sounds get a length, a pitch and a strength, are drawn out to frames, and become a spectrum in one go.

The key layout is that of as-ideas/ForwardTacotron, of November 2020 and of May 2021 and later.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from mynah.nets.cbhg import CBHG, BatchNormConv
from mynah.speak.forward_tacotron.symbols import Front

SILENCE = -11.5129  # of a log magnitude, as the original writes it
AT_LEAST = 2.0  # frames of every sound, where all durations come out as none
Change = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class SeriesConfig:
    """Sizes of what tells one value for each sound."""

    channels: int = 256
    units: int = 64
    dropout: float = 0.5


@dataclass(frozen=True)
class Config:
    """Sizes, by default those of the later layout, and how texts are read.

    Attributes:
        front: From a text to numbers of symbols.
        layout: `"plain"` knows no pitch (June to October 2020); `"pitch"` lays pitch beside what it read (November
            2020); `"energy"` adds pitch and strength to it (May 2021 and later).
        symbols: How many there are.
        size: Of what stands for a symbol.
        series_size: The same for what tells durations, pitch and strength; the earlier layouts share `size`.
        duration: Who tells durations.
        pitch: Who tells pitch.
        energy: Who tells strength.
        pitch_size: Of pitch in the layout `"pitch"`.
        pitch_strength: How much pitch counts in the layout `"energy"`.
        energy_strength: How much strength counts there.
        prenet: Channels of the CBHG that reads.
        prenet_kernels: Of its bank.
        prenet_highways: How many.
        prenet_bridge: Whether a layer stands before its highways though sizes do not demand it.
        prenet_dropout: In training.
        units: Of the LSTM in each direction.
        dropout: After the LSTM in training, in the earlier layouts.
        postnet: Channels of the CBHG that finishes.
        postnet_kernels: Of its bank.
        postnet_highways: How many.
        postnet_bridge: As for the prenet.
        postnet_dropout: In training.
        bands: Of mel.
    """

    front: Front = field(default_factory=Front)
    layout: Literal["plain", "pitch", "energy"] = "energy"
    symbols: int = 135
    size: int = 256
    series_size: int = 64
    duration: SeriesConfig = SeriesConfig()
    pitch: SeriesConfig = SeriesConfig(units=128)
    energy: SeriesConfig = SeriesConfig()
    pitch_size: int = 64
    pitch_strength: float = 1.0
    energy_strength: float = 1.0
    prenet: int = 256
    prenet_kernels: int = 16
    prenet_highways: int = 4
    prenet_bridge: bool = True
    prenet_dropout: float = 0.5
    units: int = 512
    dropout: float = 0.1
    postnet: int = 256
    postnet_kernels: int = 8
    postnet_highways: int = 4
    postnet_bridge: bool = True
    postnet_dropout: float = 0.0
    bands: int = 80


class Spoken(NamedTuple):
    """What was said of a batch.

    Attributes:
        mel: Before the postnet, `[batch, band, frame]`.
        finished: After it.
        durations: In frames, `[batch, symbol]`.
        pitch: `[batch, symbol]`, see `mynah.speak.forward_tacotron.prosody`; None in the layout `"plain"`.
        energy: The same of strength; None in the earlier layouts.
    """

    mel: Tensor
    finished: Tensor
    durations: Tensor
    pitch: Tensor | None = None
    energy: Tensor | None = None


class Series(nn.Module):
    """One value for each symbol, of symbols `[batch, symbol]` or of what stands for them `[batch, symbol, size]`."""

    def __init__(self, symbols: int | None, size: int, config: SeriesConfig) -> None:
        super().__init__()
        self.embedding = None if symbols is None else nn.Embedding(symbols, size)
        self.convs = nn.ModuleList(
            BatchNormConv(channels, config.channels, 5) for channels in (size, config.channels, config.channels)
        )
        self.rnn = nn.GRU(config.channels, config.units, batch_first=True, bidirectional=True)
        self.lin = nn.Linear(2 * config.units, 1)
        self.dropout = config.dropout

    def forward(self, x: Tensor) -> Tensor:
        x = (x if self.embedding is None else self.embedding(x)).transpose(1, 2)
        for conv in self.convs:
            x = F.dropout(conv(x), self.dropout, self.training)
        return self.lin(self.rnn(x.transpose(1, 2))[0])[..., 0]


class Net(nn.Module):
    """All of it, in any layout."""

    step: Tensor

    def __init__(self, config: Config | None = None) -> None:
        super().__init__()
        self.config = config = config or Config()
        later, spoken = config.layout == "energy", 2 * config.prenet
        own, size = (config.symbols, config.series_size) if later else (None, config.size)
        self.embedding = nn.Embedding(config.symbols, config.size)
        self.dur_pred = Series(own, size, config.duration)
        self.pitch_pred = None if config.layout == "plain" else Series(own, size, config.pitch)
        self.energy_pred = Series(own, size, config.energy) if later else None
        self.prenet = CBHG(
            config.prenet_kernels, config.size, config.prenet, (config.prenet, config.size),
            highways=config.prenet_highways, bridge=config.prenet_bridge, dropout=config.prenet_dropout,
        )  # fmt: skip
        beside = config.pitch_size if config.layout == "pitch" else 0
        self.lstm = nn.LSTM(spoken + beside, config.units, batch_first=True, bidirectional=True)
        self.lin = nn.Linear(2 * config.units, config.bands)
        self.register_buffer("step", torch.zeros(1, dtype=torch.long))
        self.postnet = CBHG(
            config.postnet_kernels, config.bands, config.postnet, (config.postnet, config.bands),
            highways=config.postnet_highways, bridge=config.postnet_bridge, dropout=config.postnet_dropout,
        )  # fmt: skip
        self.post_proj = nn.Linear(2 * config.postnet, config.bands, bias=False)
        self.pitch_proj: nn.Module | None = None
        self.energy_proj: nn.Module | None = None
        if later:
            self.pitch_proj, self.energy_proj = (nn.Conv1d(1, spoken, 3, padding=1) for _ in range(2))
        elif config.layout == "pitch":
            self.pitch_proj = nn.Sequential(nn.Conv1d(1, config.pitch_size, 3, padding=1))

    def forward(
        self,
        symbols: Tensor,
        durations: Tensor,
        frames: Tensor,
        longest: int,
        pitch: Tensor | None = None,
        energy: Tensor | None = None,
    ) -> Spoken:
        """What the net says when it is told durations, pitch and strength: for training.

        Args:
            symbols: `[batch, symbol]`.
            durations: Frames of each, `[batch, symbol]`; they add up to `frames`.
            frames: Lengths of the recordings, `[batch]`.
            longest: Frames of the result, at least as many as the longest recording's; what is beyond is silence.
            pitch: `[batch, symbol]`; left out in the layout `"plain"`.
            energy: The same; left out in the earlier layouts.
        """
        read = self.embedding(symbols)
        own = symbols if self.config.layout == "energy" else read
        told = [
            None if series is None else series(own) for series in (self.dur_pred, self.pitch_pred, self.energy_pred)
        ]
        assert told[0] is not None
        drawn = lengthened(self._coloured(read, pitch, energy), durations, whole=self.config.layout == "energy")
        mel, finished = self._said(drawn, frames)
        mel, finished = (_fitted(part, longest) for part in (mel, finished))
        return Spoken(mel, finished, told[0], told[1], told[2])

    @torch.inference_mode()
    def speak(
        self,
        symbols: Tensor,
        *,
        speed: float = 1.0,
        pitch: Change = lambda values: values,
        energy: Change = lambda values: values,
    ) -> Spoken:
        """Say one text.

        Args:
            symbols: `[1, symbol]`.
            speed: What durations are divided by.
            pitch: What becomes of the pitch `[1, symbol]` that the net would give it; 0 is the mean of its voice, 1 a
                standard deviation above.
            energy: The same of strength, in the layout `"energy"`.
        """
        read = self.embedding(symbols)
        own = symbols if self.config.layout == "energy" else read
        durations = self.dur_pred(own) / speed
        count = durations.long().sum() if self.config.layout == "energy" else durations.clamp(min=0).sum().long()
        if count <= 0:
            durations = torch.full_like(durations, AT_LEAST)
        tones = None if self.pitch_pred is None else pitch(self.pitch_pred(own))
        strengths = None if self.energy_pred is None else energy(self.energy_pred(own))
        drawn = lengthened(self._coloured(read, tones, strengths), durations, whole=self.config.layout == "energy")
        mel, finished = self._said(drawn, None)
        return Spoken(mel, finished, durations, tones, strengths)

    def _coloured(self, read: Tensor, pitch: Tensor | None, energy: Tensor | None) -> Tensor:
        """What was read, with pitch and strength, `[batch, symbol, channel]`."""
        x = self.prenet(read.transpose(1, 2))
        if self.config.layout == "pitch":
            assert self.pitch_proj is not None and pitch is not None
            return torch.cat([x, self.pitch_proj(pitch[:, None]).transpose(1, 2)], -1)
        if self.config.layout == "energy":
            assert self.pitch_proj is not None and self.energy_proj is not None
            assert pitch is not None and energy is not None
            x = x + self.pitch_proj(pitch[:, None]).transpose(1, 2) * self.config.pitch_strength
            x = x + self.energy_proj(energy[:, None]).transpose(1, 2) * self.config.energy_strength
        return x

    def _said(self, drawn: Tensor, frames: Tensor | None) -> tuple[Tensor, Tensor]:
        """Spectra before and after the postnet of frames `[batch, frame, channel]`."""
        later = self.config.layout == "energy"
        if frames is not None and later:
            packed = pack_padded_sequence(drawn, frames.cpu(), batch_first=True, enforce_sorted=False)
            x = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, padding_value=SILENCE)[0]
        else:
            if frames is not None:
                drawn = drawn * (torch.arange(drawn.shape[1], device=drawn.device) < frames[:, None])[..., None]
            x = self.lstm(drawn)[0]
        mel = self.lin(x if later else F.dropout(x, self.config.dropout, self.training)).transpose(1, 2)
        return mel, self.post_proj(self.postnet(mel)).transpose(1, 2)


def lengthened(x: Tensor, durations: Tensor, *, whole: bool) -> Tensor:
    """Every step of `[batch, symbol, channel]` as often as its duration says, `[batch, frame, channel]`.

    Args:
        x: What is to last.
        durations: `[batch, symbol]`; what is negative counts as none.
        whole: Durations are rounded one by one, and silence follows what is shorter than the longest; else they are
            added up first, and the last step goes on.

    Example:

        >>> x, durations = torch.tensor([[[1.0], [2.0], [3.0]]]), torch.tensor([[1.5, 0.6, 2.4]])
        >>> [lengthened(x, durations, whole=whole).flatten().tolist() for whole in (True, False)]
        [[1.0, 1.0, 2.0, 3.0, 3.0], [1.0, 2.0, 3.0, 3.0]]
    """
    durations = durations.clamp(min=0)
    ends = (durations + 0.5).long().cumsum(1) if whole else durations.cumsum(1).long()
    frames = torch.arange(int(ends.max()), device=x.device).expand(len(x), -1).contiguous()
    place = torch.searchsorted(ends, frames, right=True)
    drawn = x.gather(1, place.clamp(max=x.shape[1] - 1)[..., None].expand(-1, -1, x.shape[2]))
    return drawn * (frames < ends[:, -1:])[..., None] if whole else drawn


def _fitted(mel: Tensor, frames: int) -> Tensor:
    mel = mel[..., :frames]
    return F.pad(mel, (0, frames - mel.shape[-1]), value=SILENCE)
