"""Several sounds at once: rates, channels and lengths reconciled, then added."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mynah.audio.resample import resample
from mynah.core.errors import BadAudio, BadOption
from mynah.core.types import Audio

# ITU-R BS.775, table 2: left, right, centre, low frequencies, left and right surround, to left and right.
_FIVE_ONE = ((1.0, 0.0, 0.5**0.5, 0.0, 0.5**0.5, 0.0), (0.0, 1.0, 0.5**0.5, 0.0, 0.0, 0.5**0.5))


class Track(NamedTuple):
    """One sound in a mix.

    Attributes:
        audio: At any rate, of any channels.
        gain_db: Minus infinity mutes.
        pan: -1 is left, 0 the centre, 1 right.
    """

    audio: Audio
    gain_db: float = 0.0
    pan: float = 0.0


def mix(tracks: Sequence[Track | tuple[Audio, float, float]], *, rate: int | None = None) -> Audio:
    """Add tracks that begin together; the longest says how long the mix is.

    The result has the highest rate among the tracks, and two channels if any track has more than one or is panned. It
    may exceed 1: `write` scales it down, nothing clips. Panning keeps the power, and leaves the centre as it is.

    Args:
        tracks: `(audio, gain_db, pan)` each.
        rate: Of the result, in Hz; `None` for the highest of the tracks.

    Raises:
        BadAudio: No tracks.
        BadOption: A pan beyond -1 and 1.

    Example:

        >>> voice, band = Audio(torch.ones(1, 100), 8000), Audio(torch.ones(2, 150), 8000)
        >>> both = mix([(voice, 0.0, 0.0), (band, -6.0206, 0.0)])
        >>> both.samples.shape, both.samples[0, ::100]
        (torch.Size([2, 150]), tensor([1.5000, 0.5000]))
    """
    placed = [Track(*track) for track in tracks]
    if not placed:
        raise BadAudio("nothing to mix: there are no tracks")
    rate = rate or max(track.audio.rate for track in placed)
    stereo = any(track.pan or track.audio.samples.shape[0] > 1 for track in placed)
    parts = [_placed(track, rate, stereo) for track in placed]
    total = torch.zeros(1 + stereo, max(part.shape[-1] for part in parts))
    for part in parts:
        total[:, : part.shape[-1]] += part
    return Audio(total, rate)


def match_channels(audio: Audio, channels: int) -> Audio:
    """The same sound with so many channels.

    To one: their average. From one: copies. 5.1 to two: by ITU-R BS.775, without the low-frequency channel. Any other
    count to two: the average on both sides, since nothing is known of where its channels belong.

    Raises:
        BadOption: More than one channel is to become another number above two.
    """
    samples = audio.samples
    has = samples.shape[0]
    if has == channels:
        return audio
    if channels == 1:
        return Audio(samples.mean(0, keepdim=True), audio.rate)
    if has == 1:
        return Audio(samples.expand(channels, -1).clone(), audio.rate)
    if channels == 2 and has == 6:
        weights = torch.tensor(_FIVE_ONE).to(samples)
        return Audio(weights @ samples / weights.sum(1, keepdim=True), audio.rate)
    if channels == 2:
        return Audio(samples.mean(0, keepdim=True).expand(2, -1).clone(), audio.rate)
    raise BadOption(f"{has} channels cannot become {channels}: choose 1 or 2")


def faded(samples: Tensor, rate: int, seconds: float) -> Tensor:
    """`[channel, time]` that fades in and out, so that it can be put beside something else without a click."""
    length = min(round(seconds * rate), samples.shape[-1] // 2)
    rise = torch.linspace(0, 1, length)
    samples = samples.clone()
    samples[:, :length] *= rise
    samples[:, samples.shape[-1] - length :] *= rise.flip(0)
    return samples


def _placed(track: Track, rate: int, stereo: bool) -> Tensor:
    if not -1 <= track.pan <= 1:
        raise BadOption(f"a pan of {track.pan:g}: from -1 (left) to 1 (right)")
    audio = resample(match_channels(track.audio, 2 if stereo else 1), rate)
    scaled = audio.samples.cpu() * 10 ** (track.gain_db / 20)
    if not track.pan:
        return scaled
    angle = (track.pan + 1) * math.pi / 4
    return scaled * (2**0.5 * torch.tensor([[math.cos(angle)], [math.sin(angle)]]))


def as_one(source: Audio) -> Audio:
    """A recording as one channel, the mean of all of them, ready to be converted.

    Raises:
        BadAudio: It is empty, or holds something that is not a number.

    Example:

        >>> as_one(Audio(torch.tensor([[0.0, 1.0], [1.0, 1.0]]), 8000)).samples
        tensor([[0.5000, 1.0000]])
    """
    if source.samples.shape[-1] == 0:
        raise BadAudio("the recording is empty: there is nothing to convert")
    if not source.samples.isfinite().all():
        raise BadAudio("the recording holds samples that are not numbers (NaN or infinite)")
    return Audio(source.samples.mean(0, keepdim=True), source.rate)
