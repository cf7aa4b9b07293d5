"""The first two Demucs: a U-Net on the waveform with a recurrent net at its bottom.

The first version works at the rate of the music, the second at twice that rate; nothing else sets them apart. Both
leave the ends of a signal to what surrounds it: what comes out is shorter than what went in, centred.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ZEROS = 24  # crossings of zero on either side of the resampling filter
ROLLOFF = 0.945  # its edge, as a fraction of the lower Nyquist frequency
QUIET = 1e-5  # added to a standard deviation before dividing by it


class Waveform(nn.Module):
    """Demucs as published in 2019 and 2021; names and sizes of its parts are those of the published checkpoints.

    Args:
        sources: Names of the stems.
        audio_channels: Of the mix and of each stem.
        channels: Of the first level; each further one has `growth` times as many.
        growth: See `channels`.
        depth: Number of levels.
        rewrite: Whether levels have a second convolution each.
        glu: Whether that one is gated; rectified otherwise.
        upsample: Whether the decoder interpolates and the encoder decimates, as in Wave-U-Net, instead of strides.
        resample: Whether the net works at twice the rate.
        normalize: Whether every stretch is standardised by itself.
        rescale: Standard deviation towards which new weights are moved; 0 leaves them.
        kernel_size: Samples that a level looks at.
        stride: Samples by which it moves.
        lstm_layers: Of the recurrent net; 0 for none.
        context: Frames that a level of the decoder looks at.
        samplerate: In Hz; what the net was trained at.
        segment: Seconds that it is best given at once.
    """

    def __init__(
        self,
        sources: Sequence[str],
        audio_channels: int = 2,
        channels: int = 64,
        depth: int = 6,
        rewrite: bool = True,
        glu: bool = True,
        upsample: bool = False,
        resample: bool = False,
        normalize: bool = False,
        rescale: float = 0.1,
        kernel_size: int = 8,
        stride: int = 4,
        growth: float = 2.0,
        lstm_layers: int = 2,
        context: int = 3,
        samplerate: int = 44_100,
        segment: float = 40,
    ) -> None:
        super().__init__()
        self.sources, self.audio_channels = list(sources), audio_channels
        self.samplerate, self.segment = samplerate, segment
        self.depth, self.kernel_size, self.stride, self.context = depth, kernel_size, stride, context
        self.upsample, self.resample, self.normalize = upsample, resample, normalize
        stride = 1 if upsample else stride
        gate, gated = (nn.GLU(dim=1), 2) if glu else (nn.ReLU(), 1)
        out = len(self.sources) * audio_channels

        encoder: list[nn.Module] = []
        decoder: list[nn.Module] = []
        heard, top = audio_channels, channels
        for level in range(depth):
            down: list[nn.Module] = [nn.Conv1d(heard, channels, kernel_size, stride), nn.ReLU()]
            up: list[nn.Module] = []
            if rewrite:
                down += [nn.Conv1d(channels, gated * channels, 1), gate]
                up += [nn.Conv1d(channels, gated * channels, context), gate]
            below = heard if level else channels if upsample else out
            up.append((nn.Conv1d if upsample else nn.ConvTranspose1d)(channels, below, kernel_size, stride))
            if level:
                up.append(nn.ReLU())
            encoder.append(nn.Sequential(*down))
            decoder.insert(0, nn.Sequential(*up))
            heard, channels = channels, int(growth * channels)
        self.encoder, self.decoder = nn.ModuleList(encoder), nn.ModuleList(decoder)
        self.lstm = Recurrent(heard, lstm_layers) if lstm_layers else None
        self.final = nn.Conv1d(top + audio_channels, out, 1) if upsample else None
        if rescale:
            self._rescale(rescale)

    @torch.no_grad()
    def _rescale(self, towards: float) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv1d | nn.ConvTranspose1d):
                scale = (module.weight.std() / towards).sqrt()
                for parameter in module.parameters():
                    parameter.div_(scale)

    def valid_length(self, length: int) -> int:
        """The least number of samples, `length` or more, of which no level leaves a remainder.

        What comes out is as long, less what the decoder's convolutions take off; padded to this before and cut
        afterwards, `length` samples remain.
        """
        length *= 2 if self.resample else 1
        for _ in range(self.depth):
            if self.upsample:
                length = math.ceil(length / self.stride) + self.kernel_size - 1
            else:
                length = math.ceil((length - self.kernel_size) / self.stride) + 1
            length = max(1, length) + self.context - 1
        for _ in range(self.depth):
            if self.upsample:
                length = length * self.stride + self.kernel_size - 1
            else:
                length = (length - 1) * self.stride + self.kernel_size
        return math.ceil(length / 2) if self.resample else length

    def forward(self, mix: Tensor) -> Tensor:
        """From `[batch, channel, time]` to `[batch, stem, channel, time]`, where time is shorter; see `centred`."""
        x = mix
        if self.normalize:
            mono = mix.mean(1, keepdim=True)
            mean, deviation = mono.mean(-1, keepdim=True), mono.std(-1, keepdim=True)
            x = (x - mean) / (QUIET + deviation)
        elif self.resample:  # the second version divides by this whether it standardises or not
            x = x / (QUIET + 1)
        if self.resample:
            x = doubled(x)
        skips = [x]
        for encode in self.encoder:
            x = encode(x)
            skips.append(x)
            if self.upsample:
                x = x[..., :: self.stride]
        if self.lstm is not None:
            x = self.lstm(x)
        for decode in self.decoder:
            if self.upsample:
                x = _interpolated(x, self.stride)
            x = decode(x + centred(skips.pop(), x.shape[-1]))
        if self.final is not None:
            x = self.final(torch.cat([x, centred(skips.pop(), x.shape[-1])], 1))
        if self.resample:
            x = halved(x)
        if self.normalize:
            x = x * deviation + mean
        return x.unflatten(1, (len(self.sources), self.audio_channels))


class Recurrent(nn.Module):
    """A bidirectional LSTM over time, brought back to as many channels as it was given."""

    def __init__(self, channels: int, layers: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(channels, channels, layers, bidirectional=True)
        self.linear = nn.Linear(2 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """`[batch, channel, time]`, the same shape back."""
        return self.linear(self.lstm(x.permute(2, 0, 1))[0]).permute(1, 2, 0)


def centred(x: Tensor, length: int) -> Tensor:
    """The middle `length` samples; where that leaves a choice, the later end loses one more.

    Example:

        >>> centred(torch.arange(5), 2).tolist()
        [1, 2]
    """
    begin = (x.shape[-1] - length) // 2
    return x[..., begin : begin + length]


def doubled(x: Tensor) -> Tensor:
    """`[batch, channel, time]` at twice the rate, by a windowed sinc.

    Example:

        >>> doubled(torch.ones(1, 1, 4)).shape
        torch.Size([1, 1, 8])
    """
    width = math.ceil(ZEROS / ROLLOFF)
    at = torch.arange(-width, width + 1, dtype=torch.float32)
    kernel = torch.stack([_kernel(at), _kernel(at - 0.5)]).to(x)
    flat = F.pad(x.flatten(0, 1)[:, None], (width, width), mode="replicate")
    return F.conv1d(flat, kernel[:, None]).transpose(1, 2).reshape(*x.shape[:-1], -1)


def halved(x: Tensor) -> Tensor:
    """`[batch, channel, time]` at half the rate; of an odd number of samples the last is lost."""
    width = math.ceil(2 * ZEROS / ROLLOFF)
    kernel = _kernel(torch.arange(-width, width + 1, dtype=torch.float32) / 2).to(x)
    flat = F.pad(x.flatten(0, 1)[:, None], (width, width), mode="replicate")
    return F.conv1d(flat, kernel[None, None], stride=2)[:, 0].reshape(*x.shape[:-1], -1)[..., : x.shape[-1] // 2]


def _kernel(at: Tensor) -> Tensor:
    """The filter at places counted in samples of the lower rate, summing to one."""
    turned = (at * ROLLOFF).clamp(-ZEROS, ZEROS) * math.pi
    kernel = torch.sinc(turned / math.pi) * (turned / ZEROS / 2).cos().square()
    return kernel / kernel.sum()


def _interpolated(x: Tensor, times: int) -> Tensor:
    """Straight lines between samples: `times` as many for each but the last."""
    ahead = torch.arange(times, device=x.device, dtype=x.dtype) / times
    return (x[..., :-1, None] * (1 - ahead) + x[..., 1:, None] * ahead).flatten(-2)
