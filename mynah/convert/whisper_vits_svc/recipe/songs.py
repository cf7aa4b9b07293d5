"""What is drawn for a step: slices of recordings with what three ears heard in them."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
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
from mynah.core.types import Audio
from mynah.train.data import Take
from mynah.train.slicing import slices

LISTEN = 16_000  # Hz at which all ears hear
SHORTEST, LONGEST = 50, 200  # content frames (50/s) of a clip: one second to four
BUCKETS = (75, 150, 200)  # clips of one step are alike in length, so that little is filled up


@dataclass(frozen=True)
class Ear:
    """One feature of a recording.

    Attributes:
        name: With what tells its weights apart; what was heard is kept under it.
        size: Of a frame.
        hear: 16 kHz mono to `[frame, size]` at 50 frames/s; for the voice `[size]`.
    """

    name: str
    size: int
    hear: Callable[[Audio], Tensor]


@dataclass(frozen=True)
class Ears:
    """What the system hears. The original has Whisper and soft HuBERT, and an LSTM that tells speakers apart.

    Attributes:
        content: One content feature, or two side by side.
        voice: Who sings.
        sounds: Size of the second content feature; 0 where there is none.
    """

    content: Ear
    voice: Ear
    sounds: int = 0

    @property
    def words(self) -> int:
        """Size of the first content feature."""
        return self.content.size - self.sounds

    def apart(self, frames: Tensor) -> dict[str, Tensor]:
        """Both features of `[frame, size]` as a batch has them, `[size, 2 * frame]`."""
        rows = frames.T.repeat_interleave(2, -1)
        return {"words": rows[: self.words]} | ({"sounds": rows[self.words :]} if self.sounds else {})


@dataclass(frozen=True)
class Slice:
    """A part of a take between two pauses: first frame and number of frames, at 50 frames/s."""

    take: Take
    first: int
    frames: int


class Songs:
    """Slices to learn from; whatever is drawn is decided by a `Generator` alone.

    Args:
        takes: From `mynah.train.data.prepare`.
        ears: What listens to them, once; kept beside the takes.
        root: Folder of the recordings, to which `hold_out` is relative.
        hold_out: Patterns of recordings that are only tested on. Without any, one slice in twenty is held out, at most
            ten, if there are twenty.
        progress: Told the fraction that the ears have heard.

    Raises:
        BadData: No slice to learn from is left.
    """

    def __init__(
        self,
        takes: Sequence[Take],
        ears: Ears,
        *,
        root: Path | None = None,
        hold_out: Sequence[str] = (),
        progress: Callable[[float], None] = lambda fraction: None,
    ) -> None:
        self.ears = ears
        every = [part for take in takes for part in _slices(take)]
        named = {take.clip.path for take in takes if root and _matches(take.clip.path, root, hold_out)}
        if named:
            self.held_out = [part for part in every if part.take.clip.path in named]
            self.training = [part for part in every if part.take.clip.path not in named]
        else:
            count = min(10, len(every) // 20)
            places = {(2 * place + 1) * len(every) // (2 * count) for place in range(count)}
            self.held_out = [part for place, part in enumerate(every) if place in places]
            self.training = [part for place, part in enumerate(every) if place not in places]
        if not self.training:
            raise BadData(
                f"no second of singing without a pause in {len(takes)} recordings: there is nothing to learn from"
            )
        for done, take in enumerate(takes):
            for ear in (ears.content, ears.voice):
                _heard_once(take, ear)
            progress((done + 1) / len(takes))
        self.singers = sorted({part.take.clip.speaker for part in self.training})
        self._voices: dict[str, Tensor] = {}
        self._buckets = [self._bucket(number) for number in range(len(BUCKETS))]

    @property
    def seconds(self) -> float:
        """Of what is learnt from."""
        return sum(part.frames for part in self.training) / 50

    def write_lists(self, folder: Path) -> list[Path]:
        """Write `train.csv` and `valid.csv`: path, singer, and begin and end in seconds of every slice."""
        written = []
        for name, parts in (("train.csv", self.training), ("valid.csv", self.held_out)):
            with replacing(folder / name) as half, half.open("w", encoding="utf-8", newline="") as file:
                rows = csv.writer(file)
                rows.writerow(("path", "singer", "begin", "end"))
                for part in parts:
                    span = part.first / 50, (part.first + part.frames) / 50
                    rows.writerow((part.take.clip.path, part.take.clip.speaker, *span))
            written.append(folder / name)
        return written

    def voice_of(self, singer: str) -> Tensor:
        """Mean of what was heard in the recordings of a singer that are learnt from, `[size]`."""
        if singer not in self._voices:
            takes = {part.take.folder: part.take for part in self.training if part.take.clip.speaker == singer}
            self._voices[singer] = torch.stack([self._voice(take) for take in takes.values()]).mean(0)
        return self._voices[singer]

    def _voice(self, take: Take) -> Tensor:
        return torch.from_numpy(np.fromfile(_path(take, self.ears.voice), "<f4"))

    def _bucket(self, number: int) -> tuple[list[Slice], Tensor]:
        """Slices of about one length, and how often each is drawn: singers by the root of how much there is."""
        seconds: dict[str, float] = defaultdict(float)
        for part in self.training:
            seconds[part.take.clip.speaker] += part.frames
        low = 0 if number == 0 else BUCKETS[number - 1]
        high = BUCKETS[number] if number + 1 < len(BUCKETS) else float("inf")
        members = [part for part in self.training if low < part.frames <= high]
        return members, torch.tensor([part.frames / seconds[part.take.clip.speaker] ** 0.5 for part in members])

    def draw(self, dice: Generator, count: int) -> Batch:
        """Clips of about one length; what is shorter is filled up with silence, see `collate`."""
        sizes = torch.tensor([weights.sum().item() for _, weights in self._buckets])
        members, weights = self._buckets[int(torch.multinomial(sizes, 1, generator=dice))]
        chosen = []
        for place in torch.multinomial(weights, count, replacement=True, generator=dice).tolist():
            part = members[place]
            frames = min(LONGEST, part.frames)
            begin = part.first + int(torch.randint(part.frames - frames + 1, (), generator=dice))
            chosen.append(Slice(part.take, begin, frames))
        return self.collate(chosen)

    def collate(self, parts: Sequence[Slice]) -> Batch:
        """A batch of slices.

        Returns:
            wave `[batch, frame * 320]` at 32 kHz; pitch (Hz, 0 where unvoiced) `[batch, frame]`; words, and sounds if
            there are any, `[batch, size, frame]`; voice `[batch, size]`; lengths `[batch]` in frames, 100/s.
        """
        longest = max(part.frames for part in parts)
        rows = [self._row(part, longest) for part in parts]
        return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}

    def _row(self, part: Slice, longest: int) -> dict[str, Tensor]:
        take, span = part.take, (part.first, part.frames)
        row = {
            "wave": _fit(take.wave(32_000, *span), longest * 640),
            "pitch": _fit(take.pitch(*span).nan_to_num(0.0), longest * 2),
            "voice": self._voice(take),
            "lengths": torch.tensor(2 * part.frames),
        }
        ear = self.ears.content
        flat = np.fromfile(_path(take, ear), "<f2", part.frames * ear.size, offset=part.first * ear.size * 2)
        frames = torch.from_numpy(flat.astype(np.float32)).view(-1, ear.size)
        row |= {name: _fit(rows, longest * 2) for name, rows in self.ears.apart(frames).items()}
        return row


def _slices(take: Take) -> Iterable[Slice]:
    for first, frames in slices(take.wave(LISTEN), LISTEN):
        if frames >= SHORTEST:
            yield Slice(take, first, frames)


def _matches(path: Path, root: Path, patterns: Sequence[str]) -> bool:
    return any(fnmatch(path.relative_to(root).as_posix(), pattern) for pattern in patterns)


def _path(take: Take, ear: Ear) -> Path:
    return take.folder / f"{ear.name}-{ear.size}"


def _heard_once(take: Take, ear: Ear) -> None:
    path = _path(take, ear)
    if path.exists():
        return
    with torch.no_grad():
        heard = ear.hear(Audio(take.wave(LISTEN)[None], LISTEN)).float().cpu()
    if heard.ndim == 2:
        # Ears differ by a frame at the end.
        heard = torch.cat([heard, heard[-1:].expand(max(0, take.frames - len(heard)), -1)])[: take.frames]
    with replacing(path) as half:
        heard.numpy().astype("<f2" if heard.ndim == 2 else "<f4").tofile(half)


def _fit(values: Tensor, length: int) -> Tensor:
    return F.pad(values, (0, length - values.shape[-1]))
