"""Recordings at the rate that a model wants, of which windows are drawn: what vocoders learn from."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from mynah.audio.files import CutShort, read
from mynah.core.atomic import replacing
from mynah.train.data import FRAME_RATE, RATES, Take

PEAK = 0.99  # of what is kept
HELD_OUT = 20  # one recording of so many is, where nobody says which


class Sounds:
    """Recordings as sound; whatever is drawn is decided by a `Generator` alone.

    Args:
        takes: From `mynah.train.data.prepare`. Their sound at another rate is made once and kept beside them.
        rate: Of the model in Hz, a multiple of 50.
        peak: Every recording is made so loud; None leaves them as they were prepared.
        root: Folder of the recordings, to which `hold_out` is relative.
        hold_out: Patterns of recordings that are only measured on. Without any, one in twenty is.
        progress: Told the fraction that is there.

    Attributes:
        training: To learn from; all there is where everything was held out.
        held_out: Only to measure on.
    """

    def __init__(
        self,
        takes: Sequence[Take],
        rate: int,
        *,
        peak: float | None = None,
        root: Path | None = None,
        hold_out: Sequence[str] = (),
        progress: Callable[[float], None] = lambda fraction: None,
    ) -> None:
        self.rate, self.peak = rate, peak
        paths = [take.clip.path.relative_to(root).as_posix() if root else "" for take in takes]
        out = [any(fnmatch(path, pattern) for pattern in hold_out) for path in paths]
        if not hold_out:
            out = [place % HELD_OUT == HELD_OUT - 1 for place in range(len(takes))]
        self.held_out = [take for take, held in zip(takes, out, strict=True) if held]
        self.training = [take for take, held in zip(takes, out, strict=True) if not held] or list(takes)
        self._share = torch.tensor([float(take.frames) for take in self.training])
        self._gain: dict[Path, float] = {}
        for done, take in enumerate(takes):
            keep(take, rate)
            progress((done + 1) / len(takes))

    def draw(self, dice: Generator, count: int, samples: int) -> Tensor:
        """Windows `[count, samples]`, long recordings more often; what is shorter is followed by silence."""
        places = torch.multinomial(self._share, count, replacement=True, generator=dice).tolist()
        return torch.stack([self.window(self.training[place], dice, samples) for place in places])

    def wave(self, take: Take, first: int = 0, samples: int | None = None) -> Tensor:
        """Sound of one recording `[time]`, from sample `first`."""
        count = self.length(take) - first
        count = count if samples is None else min(count, samples)
        kept = np.fromfile(take.folder / f"{self.rate}.i16", "<i2", count, offset=2 * first)
        return torch.from_numpy(kept.astype(np.float32) / 32768) * self._loudness(take)

    def length(self, take: Take) -> int:
        """Samples of a recording."""
        return take.frames * self.rate // FRAME_RATE

    def window(self, take: Take, dice: Generator, samples: int) -> Tensor:
        """Somewhere in one recording, `[samples]`; where it is shorter, silence follows."""
        room = max(0, self.length(take) - samples)
        first = int(torch.randint(room + 1, (), generator=dice))
        sound = self.wave(take, first, samples)
        return F.pad(sound, (0, samples - len(sound)))

    def _loudness(self, take: Take) -> float:
        if self.peak is None:
            return 1.0
        if take.folder not in self._gain:
            kept = np.memmap(take.folder / f"{self.rate}.i16", "<i2", "r")
            self._gain[take.folder] = self.peak * 32768 / max(1, int(np.abs(kept.astype(np.int32)).max()))
        return self._gain[take.folder]


def keep(take: Take, rate: int) -> None:
    """A recording's sound at another rate than what is prepared for every system; of the recording itself."""
    path = take.folder / f"{rate}.i16"
    if rate in RATES or path.exists():
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CutShort)  # what is there of it can be learnt from
        whole = read(take.clip.path, rate=rate, mono=True).samples[0]
    wanted = take.frames * rate // FRAME_RATE
    sound = F.pad(whole[:wanted], (0, max(0, wanted - len(whole)))) * min(1.0, PEAK / whole.abs().max().item())
    with replacing(path) as half:
        (sound * 32767).round().numpy().astype("<i2").tofile(half)
