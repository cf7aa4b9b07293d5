"""Reverb made and matched: how a room sounds, in three figures, and sound put into such a room."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from mynah.core.errors import BadOption

_PRE_DELAY_SECONDS = 0.01  # a listener tells a voice from its room by the gap between them
_LOW_HZ, _HIGH_HZ = 200.0, 4000.0  # below, reverb is only mud; above, air and walls swallow it
_DULL = 0.6  # decay above 4 kHz, as a share of the decay below


@dataclass(frozen=True)
class ReverbMatch:
    """The reverb of a recording.

    Attributes:
        decay_seconds: Time in which it falls by 60 dB (T60).
        wet_db: Power of the reverb against that of the dry sound, while a note is held; minus infinity for none.
        width: Amplitude of the reverb's side signal against its mid signal: 0 is mono, 1 as wide as two ears hear.
    """

    decay_seconds: float
    wet_db: float
    width: float = 1.0

    @property
    def audible(self) -> bool:
        """Whether there is any."""
        return math.isfinite(self.wet_db) and self.decay_seconds > 0


def response(reverb: ReverbMatch, rate: int) -> Tensor:
    """What the room answers to a click of 1, without the click: `[channel, time]`, two channels unless `width` is 0.

    Noise that decays exponentially, faster above 4 kHz, after 10 ms of nothing. Between 200 Hz and 4 kHz, where voices
    are strong, each channel has the power that `wet_db` says. The noise is always the same.

    Source: J.-D. Polack, "La transmission de l'énergie sonore dans les salles", 1988: the late part of a room's
    response is Gaussian noise under an exponential.

    Raises:
        BadOption: A decay beyond 0 and 20 s, or a width beyond 0 and 1.

    Example:

        >>> wet = response(ReverbMatch(decay_seconds=0.5, wet_db=-10.0), 44_100)
        >>> wet.shape  # 0.51 s
        torch.Size([2, 22491])
    """
    if not 0 < reverb.decay_seconds <= 20:
        raise BadOption(f"a reverb that decays in {reverb.decay_seconds:g} s: more than 0 and up to 20 s")
    if not 0 <= reverb.width <= 1:
        raise BadOption(f"a reverb as wide as {reverb.width:g}: from 0 (mono) to 1")
    seconds = torch.arange(round(reverb.decay_seconds * rate), dtype=torch.float64) / rate
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(2, len(seconds), generator=generator, dtype=torch.float64)
    fall = -math.log(1000) / reverb.decay_seconds * seconds
    low, high = _bands(noise, rate)
    middle, side = low * fall.exp() + high * (fall / _DULL).exp()
    sides = [middle + reverb.width * side, middle - reverb.width * side] if reverb.width else [middle]
    wet = torch.stack(sides)
    heard = torch.fft.rfft(wet).abs().square()[:, int(_LOW_HZ * len(seconds) / rate) :]
    heard = heard[:, : max(1, round(_HIGH_HZ * len(seconds) / rate))]
    wet *= 10 ** (reverb.wet_db / 20) / heard.mean(-1, keepdim=True).sqrt()
    return torch.nn.functional.pad(wet, (round(_PRE_DELAY_SECONDS * rate), 0)).float()


def _bands(noise: Tensor, rate: int) -> tuple[Tensor, Tensor]:
    """What lies between the low and the high corner, and what lies above."""
    spectrum = torch.fft.rfft(noise)
    hz = torch.linspace(0, rate / 2, spectrum.shape[-1], dtype=torch.float64)
    body = (hz / _LOW_HZ).pow(4) / (1 + (hz / _LOW_HZ).pow(4))
    above = (hz / _HIGH_HZ).pow(4) / (1 + (hz / _HIGH_HZ).pow(4))
    length = noise.shape[-1]
    return torch.fft.irfft(spectrum * body * (1 - above), length), torch.fft.irfft(spectrum * above, length)


class Convolver:
    """A response laid on sound that is still coming in. What it adds after the last sample is never asked for.

    Pieces that come out, joined, are the convolution of the joined pieces that went in, but for rounding.
    """

    def __init__(self, answer: Tensor) -> None:
        """With a response `[channel, time]`."""
        self._answer = answer
        self._tail = torch.zeros(answer.shape[0], 0)
        self._spectra: dict[int, Tensor] = {}

    def push(self, samples: Tensor) -> Tensor:
        """From `[1, time]` or `[channel, time]` to as long a piece `[channel, time]`."""
        time, whole = samples.shape[-1], samples.shape[-1] + self._answer.shape[-1] - 1
        if not time:
            return samples.expand(max(samples.shape[0], self._answer.shape[0]), 0)
        size = 1 << (whole - 1).bit_length()
        if size not in self._spectra:
            self._spectra = {size: torch.fft.rfft(self._answer, size)}
        wet: Tensor = torch.fft.irfft(torch.fft.rfft(samples, size) * self._spectra[size], size)[:, :whole]
        held = min(self._tail.shape[-1], whole)
        wet[:, :held] += self._tail[:, :held]
        self._tail = wet[:, time:]
        return wet[:, :time]
