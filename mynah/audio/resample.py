"""Changes of rate, whole or piece by piece, with the same result to the last bit."""

from __future__ import annotations

import numpy as np
import soxr
import torch

from mynah.core.errors import BadAudio, BadOption
from mynah.core.types import Audio

_QUALITY = "VHQ"  # 28 bits: what it folds back is below what float32 can hold


class Resampler:
    """Another rate for sound that is still coming in.

    The pieces that come out, joined, equal `resample` of the pieces that went in, joined: to the bit, however cut.
    What comes out first is the sound's own first sample: the filter's delay is taken out, at the price of a wait.

    Example:

        >>> sound = Audio(torch.randn(2, 3000, generator=torch.Generator().manual_seed(0)), 44_100)
        >>> resampler = Resampler(44_100, 16_000)
        >>> pieces = [resampler.push(Audio(part, 44_100)) for part in sound.samples.split(700, -1)]
        >>> joined = torch.cat([piece.samples for piece in [*pieces, resampler.flush()]], -1)
        >>> torch.equal(joined, resample(sound, 16_000).samples)
        True
    """

    def __init__(self, from_rate: int, to_rate: int) -> None:
        for rate in (from_rate, to_rate):
            if rate < 1:
                raise BadOption(f"a rate of {rate} Hz: rates are whole numbers above zero")
        self.from_rate, self.to_rate = from_rate, to_rate
        self._stream: soxr.ResampleStream | None = None
        self._channels = 0

    def push(self, block: Audio) -> Audio:
        """As much of the result as is settled by now, perhaps none.

        Raises:
            BadAudio: The block has another rate or other channels than those before it.
        """
        if block.rate != self.from_rate:
            raise BadAudio(f"a block of {block.rate} Hz came to a resampler of {self.from_rate} Hz")
        channels = block.samples.shape[0]
        if self._channels not in (0, channels):
            raise BadAudio(f"a block of {channels} channels came after blocks of {self._channels}")
        self._channels = channels
        if self.from_rate == self.to_rate:
            return block
        if self._stream is None:
            self._stream = soxr.ResampleStream(self.from_rate, self.to_rate, channels, quality=_QUALITY)
        return self._wrap(self._stream.resample_chunk(_interleaved(block)))

    def flush(self) -> Audio:
        """The rest, after which the resampler is as new."""
        channels, stream = self._channels, self._stream
        self._channels, self._stream = 0, None
        if stream is None:
            return Audio(torch.zeros(channels, 0), self.to_rate)
        return self._wrap(stream.resample_chunk(np.zeros((0, channels), np.float32), last=True))

    def _wrap(self, interleaved: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> Audio:
        return Audio(torch.from_numpy(np.ascontiguousarray(interleaved.T)), self.to_rate)


def resample(audio: Audio, rate: int) -> Audio:
    """The same sound at another rate, band-limited, nothing shifted. Length is `time * rate / audio.rate`, rounded.

    Source: soxr, quality "VHQ".

    Example:

        >>> resample(Audio(torch.zeros(1, 44_100), 44_100), 16_000).samples.shape
        torch.Size([1, 16000])
    """
    resampler = Resampler(audio.rate, rate)
    if rate == audio.rate:
        return audio
    pieces = [resampler.push(audio).samples, resampler.flush().samples]
    return Audio(torch.cat(pieces, -1), rate)


def resampled_length(time: int, from_rate: int, to_rate: int) -> int:
    """How many samples `resample` makes of `time` samples."""
    return (2 * time * to_rate + from_rate) // (2 * from_rate)


def _interleaved(audio: Audio) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.ascontiguousarray(audio.samples.detach().cpu().float().numpy().T)
