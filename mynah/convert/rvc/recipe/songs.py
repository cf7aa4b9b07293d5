"""What is drawn for a step: clips of recordings, as ContentVec hears them and at the rate of the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from mynah.core.atomic import replacing
from mynah.core.errors import BadData
from mynah.core.recipe import Batch
from mynah.train.data import FRAME_RATE, Take
from mynah.train.slicing import slices
from mynah.train.sounds import keep

LISTEN = 16_000  # Hz at which content is heard
SHORTEST, LONGEST = 40, 185  # content frames (50/s) of a clip: 3.7 s at most, as in the original


@dataclass(frozen=True)
class Ear:
    """What listens to recordings.

    Attributes:
        name: With what tells its weights apart; what was heard is kept under it.
        size: Of a frame.
        hear: 16 kHz sound `[time]` to `[frame, size]`, 50 frames a second.
    """

    name: str
    size: int
    hear: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Slice:
    """A part of a take between two pauses: first frame and number of frames, at 50 frames/s."""

    take: Take
    first: int
    frames: int


class Songs:
    """Clips to learn from; whatever is drawn is decided by a `Generator` alone.

    Args:
        takes: From `mynah.train.data.prepare`.
        ear: What listens to them, once; kept beside the takes, and so is their sound at another rate.
        rate: Of the model in Hz.
        root: Folder of the recordings, to which `hold_out` is relative.
        hold_out: Patterns of recordings that are only measured on. Without any, one slice in twenty is, at most ten,
            if there are twenty.
        progress: Told the fraction that was heard.

    Raises:
        BadData: No slice to learn from is left.
    """

    def __init__(
        self,
        takes: Sequence[Take],
        ear: Ear,
        rate: int,
        *,
        root: Path | None = None,
        hold_out: Sequence[str] = (),
        progress: Callable[[float], None] = lambda fraction: None,
    ) -> None:
        self.ear, self.rate = ear, rate
        every = [
            Slice(take, first, frames)
            for take in takes
            for first, frames in slices(take.wave(LISTEN), LISTEN, shortest=SHORTEST / FRAME_RATE)
        ]
        paths = [part.take.clip.path.relative_to(root).as_posix() if root else "" for part in every]
        out = [any(fnmatch(path, pattern) for pattern in hold_out) for path in paths]
        if not any(out):
            count = min(10, len(every) // 20)
            places = {(2 * place + 1) * len(every) // (2 * count) for place in range(count)}
            out = [place in places for place in range(len(every))]
        self.held_out = [part for part, held in zip(every, out, strict=True) if held]
        self.training = [part for part, held in zip(every, out, strict=True) if not held]
        if not self.training:
            raise BadData(
                f"no sound of {SHORTEST / FRAME_RATE} s without a pause in {len(takes)} recordings: there is nothing "
                "to learn from"
            )
        self.singers = sorted({part.take.clip.speaker for part in self.training})
        self._share = torch.tensor([float(part.frames) for part in self.training])
        for done, take in enumerate(takes):
            self._keep_content(take)
            keep(take, self.rate)  # what is prepared for every system ends at 16 kHz
            progress((done + 1) / len(takes))

    def draw(self, dice: Generator, count: int) -> Batch:
        """Clips, long recordings more often; see `collate`."""
        chosen = []
        for place in torch.multinomial(self._share, count, replacement=True, generator=dice).tolist():
            part = self.training[place]
            frames = min(LONGEST, part.frames)
            begin = part.first + int(torch.randint(part.frames - frames + 1, (), generator=dice))
            chosen.append(Slice(part.take, begin, frames))
        return self.collate(chosen)

    def collate(self, parts: Sequence[Slice]) -> Batch:
        """A batch of slices; what is shorter is filled up with silence.

        Returns:
            wave `[batch, time]` at the rate of the model; words `[batch, size, frame]`, pitch (Hz, 0 where unvoiced)
            `[batch, frame]` at 100 frames/s; singer and lengths (in these frames) `[batch]`.
        """
        longest = max(part.frames for part in parts)
        rows = [self._row(part, longest) for part in parts]
        return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}

    def content(self, part: Slice) -> Tensor:
        """What was heard in a slice, `[frame, size]`."""
        size = self.ear.size
        path, offset = self._path(part.take), part.first * size * 2
        return torch.from_numpy(np.fromfile(path, "<f2", part.frames * size, offset=offset).astype("f4")).view(-1, size)

    def _row(self, part: Slice, longest: int) -> dict[str, Tensor]:
        take, span = part.take, (part.first, part.frames)
        singer = self.singers.index(take.clip.speaker) if take.clip.speaker in self.singers else 0
        return {
            "wave": _fit(take.wave(self.rate, *span), longest * self.rate // FRAME_RATE),
            "pitch": _fit(take.pitch(*span).nan_to_num(0.0), 2 * longest),
            "words": _fit(self.content(part).T.repeat_interleave(2, -1), 2 * longest),
            "singer": torch.tensor(singer),
            "lengths": torch.tensor(2 * part.frames),
        }

    def _path(self, take: Take) -> Path:
        return take.folder / f"{self.ear.name}-{self.ear.size}"

    def _keep_content(self, take: Take) -> None:
        path = self._path(take)
        if path.exists():
            return
        with torch.no_grad():
            heard = self.ear.hear(take.wave(LISTEN)).float().cpu()
        heard = torch.cat([heard, heard[-1:].expand(max(0, take.frames - len(heard)), -1)])[: take.frames]
        with replacing(path) as half:
            heard.numpy().astype("<f2").tofile(half)


def _fit(values: Tensor, length: int) -> Tensor:
    return F.pad(values, (0, length - values.shape[-1]))
