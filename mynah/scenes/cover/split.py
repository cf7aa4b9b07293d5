"""Lead told from backing vocals, by where they stand and what they sing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import torch
from scipy.signal import lfilter
from torch import Tensor

from mynah.audio.chunks import regroup
from mynah.audio.files import Writer, probe, stream
from mynah.audio.spectra import reshaped
from mynah.core.types import Audio, Contour
from mynah.features.pitch import contour_of

_WINDOW_SECONDS = 0.085
_MEMORY = 0.65  # of a bin's powers, from frame to frame
_NARROW_HZ = 35.0  # of a harmonic
_PITCH_SHARE = 0.4  # of the time that goes by


def lead_and_backing(
    vocals: Path, lead: Path, backing: Path, progress: Callable[[float], None] = lambda fraction: None
) -> None:
    """Write what of `vocals` is lead and what is backing; together they are `vocals`, to rounding.

    A lead is mixed to the middle, and backings, doubled, to the sides. So of each bin of the short-time spectrum the
    lead gets what both channels have in common, as a Wiener filter would take it, and rather less than more; and a
    little less between the harmonics of the main melody. Of a mono recording only the melody can tell.

    Over the sum as an estimate, measured on six stretches of 12 s of real lead and backing vocals in stereo, on which
    it was also adjusted, the lead gained 2.9 to 10.2 dB of SI-SDR, 3.6 in the median, and the backing 1.0 to 12.4. In
    mono the lead gained -0.4 to 1.9 dB, which is next to nothing.

    Source: C. Avendano and J.-M. Jot, "A frequency-domain approach to multichannel upmix", JAES 52, 2004 (what two
    channels have in common).

    Args:
        vocals: Of one or two channels; of more, only the melody tells.
        lead: Where the lead goes; as long, of the same rate and channels. float32 where it is a wav.
        backing: Where the rest goes.
        progress: Told the fraction that is done.

    Raises:
        BadAudio: The vocals cannot be read.
        NoSpace: The disk is full.
    """
    info = probe(vocals)
    seconds = info.seconds
    melody = contour_of(
        stream(vocals, rate=16_000, mono=True), told=lambda heard: progress(min(1.0, heard / seconds) * _PITCH_SHARE)
    )
    size = 4 * max(1, round(_WINDOW_SECONDS * info.rate / 4))
    found = reshaped((block.samples for block in stream(vocals)), Finder(melody, info.rate, size), size=size)
    done = 0.0
    with ExitStack() as files:
        writers = [
            files.enter_context(
                Writer(path, info.rate, info.channels, bits=32 if path.suffix.lower() == ".wav" else None, peak_db=None)
            )
            for path in (lead, backing)
        ]
        for block, own in zip(stream(vocals), _like(found, info.rate), strict=True):
            writers[0].push(Audio(own, info.rate))
            writers[1].push(Audio(block.samples - own, info.rate))
            done += block.seconds
            progress(min(1.0, _PITCH_SHARE + (1 - _PITCH_SHARE) * done / seconds))


def _like(pieces: Iterator[Tensor], rate: int) -> Iterator[Tensor]:
    """Cut as `stream` cuts."""
    return regroup(pieces, 10 * rate)


class Finder:
    """Finds the lead in spectra of vocals that come frame by frame."""

    def __init__(self, melody: Contour, rate: int, size: int) -> None:
        self._melody, self._rate, self._size = melody, rate, size
        self._hz = torch.linspace(0, rate / 2, size // 2 + 1)
        self._frame = 0
        self._state = torch.zeros(2, size // 2 + 1, 1).numpy()

    def __call__(self, spectra: Tensor) -> Tensor:
        """From spectra `[channel, bin, frame]` to the lead's."""
        mask = self._sung(spectra.shape[-1])
        if spectra.shape[0] == 2:
            mask = self._middle(spectra) * (0.4 + 0.6 * mask)
        return spectra * mask

    def _middle(self, spectra: Tensor) -> Tensor:
        """1 where both channels are alike, 0 where they have nothing in common, as `[bin, frame]`."""
        left, right = spectra
        alike = (left * right.conj()).real
        power = (left.abs().square() + right.abs().square()) / 2
        smooth, self._state = lfilter(
            [1 - _MEMORY], [1, -_MEMORY], torch.stack([alike, power]).double().numpy(), zi=self._state
        )
        share = torch.from_numpy(smooth[0] / (smooth[1] + 1e-20)).float()
        return share.clamp(0, 1).square()

    def _sung(self, count: int) -> Tensor:
        """1 at the harmonics of the melody, 0.5 between them, 0.7 where nothing has a pitch, as `[bin, frame]`."""
        frames = torch.arange(self._frame, self._frame + count)
        self._frame += count
        seconds = (frames * (self._size // 4) - self._size // 2) / self._rate
        near = (seconds / self._melody.hop_seconds).round().long().clamp(0, len(self._melody.values) - 1)
        pitch = self._melody.values[near]
        harmonic = (self._hz[:, None] / pitch).round().clamp(min=1)
        off = (self._hz[:, None] - harmonic * pitch) / _NARROW_HZ
        return torch.where(pitch.isfinite(), 0.5 + 0.5 * torch.exp(-0.5 * off.square()), 0.7).float()
