"""The recordings that the converter learns from: who is held out, who is drawn how often, what the teacher heard."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from mynah.catalog.checkpoint import to_safetensors
from mynah.convert.mynah.colour import bands, long_term
from mynah.core.atomic import replacing
from mynah.core.errors import BadData
from mynah.core.types import Audio
from mynah.features.loudness import Loudness
from mynah.features.mel import PowerSpectrum
from mynah.features.whisper import WhisperEncoder
from mynah.train.data import Take, prepare, scan

FOCUS_SECONDS = (
    600.0  # of a speaker there is more than this, so it may be shipped as a voice: half of all clips are theirs
)
SHRINK = 400  # frames by which a speaker's mean is drawn to that of all: one who said little has none of their own

Draw = tuple[list[Take], Tensor]  # takes, and how often each is drawn


class Corpus:
    """Prepared recordings. Whoever is drawn is decided by a `Generator` alone.

    Args:
        takes: From `mynah.train.data.prepare`.
        root: Folder of the recordings; `hold_out` is relative to it.
        hold_out: Patterns such as `singing/pjs/pjs08[1-9]*` of recordings never trained on. Of whoever has more than
            ten minutes and is not named by them, the last tenth is held out.
    """

    def __init__(self, takes: Sequence[Take], root: Path, hold_out: Sequence[str] = ()) -> None:
        self.takes = [take for take in takes if take.frames >= 20]
        self.held_out = {
            take.clip.path
            for take in self.takes
            if any(fnmatch(take.clip.path.relative_to(root).as_posix(), pattern) for pattern in hold_out)
        }
        by_speaker = defaultdict(list)
        for take in self.takes:
            by_speaker[take.clip.speaker].append(take)
        seconds = {speaker: sum(take.seconds for take in takes) for speaker, takes in by_speaker.items()}
        self.focus = sorted(speaker for speaker, length in seconds.items() if speaker and length > FOCUS_SECONDS)
        for speaker in self.focus:
            paths = [take.clip.path for take in by_speaker[speaker]]
            if len(paths) >= 10 and self.held_out.isdisjoint(paths):
                self.held_out |= set(paths[len(paths) * 9 // 10 :])
        self.speakers = sorted({take.clip.speaker for take in self.training if take.clip.speaker})
        if not self.training:
            raise BadData("everything is held out: there is nothing left to train on")

    @classmethod
    def open(
        cls,
        data: Path,
        cache: Path,
        *,
        hold_out: Sequence[str] = (),
        skip: Sequence[str] = (),
        progress: Callable[[float], None] | None = None,
    ) -> Corpus:
        """Scan and prepare a folder of recordings. Loops and accompaniments that a manifest names as such are left out.

        Args:
            data: Of the recordings.
            cache: Where prepared arrays are kept.
            hold_out: As above.
            skip: Patterns of recordings that are neither trained nor tested on.
            progress: Told the fraction prepared.
        """
        clips = [
            clip
            for clip in scan(data)
            if clip.kind != "loop"
            and (clip.kind != "stem" or clip.text == "lead")
            and not any(fnmatch(clip.path.relative_to(data).as_posix(), pattern) for pattern in skip)
        ]
        return cls(prepare(clips, cache, progress=progress).takes, data, hold_out)

    @property
    def training(self) -> list[Take]:
        """What may be trained on."""
        return [take for take in self.takes if take.clip.path not in self.held_out]

    def _part(self, held_out: bool) -> list[Take]:
        # A small folder may hold out nothing: then figures are those of the training material, which is better than
        # none.
        return (
            [take for take in self.takes if take.clip.path in self.held_out]
            if held_out and self.held_out
            else self.training
        )

    # What is drawn

    @cached_property
    def _everything(self) -> dict[bool, Draw]:
        """Every collection by the root of its length, so that a long one does not drown a short one."""
        return {held_out: by_collection(self._part(held_out)) for held_out in (False, True)}

    @cached_property
    def _halves(self) -> dict[bool, tuple[Draw, Draw]]:
        """The speakers of whom there is most, and all others. Stems carry effects, which are no part of a voice."""
        halves = {}
        for held_out in (False, True):
            dry = [take for take in self._part(held_out) if take.clip.kind != "stem"] or self._part(held_out)
            focus = [take for take in dry if take.clip.speaker in self.focus]
            others = [take for take in dry if take.clip.speaker not in self.focus]
            halves[held_out] = by_speaker(focus or others), by_collection(others or focus)
        return halves

    @cached_property
    def _by_speaker(self) -> dict[tuple[bool, str], list[Take]]:
        grouped = defaultdict(list)
        for held_out in (False, True):
            for take in self._part(held_out):
                grouped[held_out, take.clip.speaker].append(take)
        return grouped

    @cached_property
    def _median(self) -> dict[tuple[str, bool], float]:
        """Median pitch in Hz of a speaker's speech and singing, from at most 200 recordings of each."""
        pitches: dict[tuple[str, bool], list[Tensor]] = defaultdict(list)
        for take in self.takes:
            if len(pitches[style(take)]) < 200:
                pitches[style(take)].append(take.pitch())
        return {key: torch.cat(values).nanmedian().nan_to_num(150.0).item() for key, values in pitches.items()}

    @cached_property
    def _colour(self) -> dict[tuple[str, bool], Tensor]:
        """Long-term spectrum `[band]` of a speaker's speech and singing, from about a minute of each."""
        power, loudness, filters = PowerSpectrum(), Loudness(), bands(16_000, 400)
        found: dict[tuple[str, bool], list[Tensor]] = defaultdict(list)
        seconds: dict[tuple[str, bool], float] = defaultdict(float)
        for take in sorted(self.takes, key=lambda take: hash_of(take)):
            if seconds[style(take)] < 60:
                spectrum = power(take.wave(16_000)[None])
                found[style(take)].append(take.seconds * coloured(spectrum, loudness, filters)[0])
                seconds[style(take)] += take.seconds
        return {key: torch.stack(values).sum(0) / seconds[key] for key, values in found.items()}

    def clips(self, dice: Generator, count: int, frames: int, *, held_out: bool = False) -> list[tuple[Take, int]]:
        """Takes and where to begin in each, over all collections."""
        return [begin(choose(self._everything[held_out], dice), frames, dice) for _ in range(count)]

    def pairs(
        self, dice: Generator, count: int, frames: int, reference: int, *, held_out: bool = False
    ) -> dict[str, Tensor]:
        """Clips, each beside other material of the same speaker.

        Returns:
            wave32 `[batch, time]`, pitch (Hz, 0 where unvoiced) `[batch, frame]`, reference (16 kHz) `[batch, time]`,
            bandwidth (Hz) and median (pitch of the speaker, Hz) `[batch]`, colour (of the speaker) `[batch, band]`.
        """
        rows = []
        for _ in range(count):
            half = self._halves[held_out][int(torch.rand((), generator=dice) >= 0.5)]
            take, first = begin(choose(half, dice), frames, dice)
            speaker = take.clip.speaker
            pool = self._by_speaker[held_out, speaker] if speaker else [take]
            other, start = begin(pool[draw(len(pool), dice)], reference, dice)
            rows.append(
                {
                    "wave32": fit(take.wave(32_000, first, frames), frames * 640),
                    "pitch": fit(take.pitch(first, frames).nan_to_num(0.0), frames * 2),
                    "reference": around(other.wave(16_000, start, reference), reference * 320),
                    "bandwidth": torch.tensor(take.bandwidth_hz),
                    "median": torch.tensor(self._median[style(take)]),
                    "colour": self._colour[style(take)],
                }
            )
        return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}

    def stretches(self, dice: Generator, count: int, frames: int) -> tuple[Tensor, Tensor]:
        """16 kHz waves `[batch, time]` of speakers drawn alike, an eighth from those in focus; and their numbers."""
        numbers = torch.randint(len(self.speakers), (count,), generator=dice)
        for place in range(count // 8 if self.focus else 0):
            numbers[place] = self.speakers.index(self.focus[draw(len(self.focus), dice)])
        waves = []
        for number in numbers.tolist():
            pool = self._by_speaker[False, self.speakers[number]]
            take, first = begin(pool[draw(len(pool), dice)], frames, dice)
            waves.append(around(take.wave(16_000, first, frames), frames * 320))
        return torch.stack(waves), numbers

    def stretches_held_out(self, dice: Generator, each: int, frames: int) -> tuple[Tensor, Tensor]:
        """As `stretches`, `each` of every named speaker of whom something is held out."""
        waves, numbers = [], []
        for number, speaker in enumerate(sorted({take.clip.speaker for take in self._part(True)} - {""})):
            pool = self._by_speaker[True, speaker]
            for _ in range(each):
                take = pool[draw(len(pool), dice)]
                waves.append(around(take.wave(16_000), frames * 320))
                numbers.append(number)
        return torch.stack(waves), torch.tensor(numbers)

    # What the teacher heard

    def teach(self, teacher: WhisperEncoder, progress: Callable[[float], None] = lambda fraction: None) -> Teaching:
        """Let the teacher listen to everything once; kept beside the recordings."""
        name = f"whisper-{teacher.config.size}x{teacher.config.layers}.f16"
        for done, take in enumerate(self.takes):
            path = take.folder / name
            if not path.exists():
                heard = teacher.encode(Audio(take.wave(16_000)[None], 16_000))[: take.frames]
                with replacing(path) as half:
                    heard.half().numpy().tofile(half)
            progress((done + 1) / len(self.takes))
        return Teaching(self.takes, name, teacher.config.size)


class Teaching:
    """The teacher's frames, standardised, with the speaker's mean taken off: what is said, not who says it."""

    def __init__(self, takes: Sequence[Take], name: str, size: int) -> None:
        self.name, self.size = name, size
        total, square, count = torch.zeros(size).double(), torch.zeros(size).double(), 0
        sums: dict[tuple[str, bool], Tensor] = defaultdict(lambda: torch.zeros(size).double())
        counts: dict[tuple[str, bool], int] = defaultdict(int)
        for take in takes:
            frames = self._raw(take).double()
            total, square, count = total + frames.sum(0), square + frames.square().sum(0), count + len(frames)
            sums[style(take)] += frames.sum(0)
            counts[style(take)] += len(frames)
        mean = total / count
        self.mean, self.deviation = mean.float(), (square / count - mean.square()).clamp(min=1e-6).sqrt().float()
        self.speaker = {
            key: ((sums[key] - counts[key] * mean) / (counts[key] + SHRINK)).float() / self.deviation for key in sums
        }

    def frames(self, take: Take, first: int, count: int) -> Tensor:
        """What is to be learnt, `[count, size]`; zero beyond the end."""
        heard = (self._raw(take, first, count) - self.mean) / self.deviation - self.speaker[style(take)]
        return F.pad(heard, (0, 0, 0, count - len(heard)))

    def _raw(self, take: Take, first: int = 0, count: int | None = None) -> Tensor:
        rows = min(take.frames - first, take.frames if count is None else count)
        offset = first * self.size * 2
        flat = np.fromfile(take.folder / self.name, "<f2", rows * self.size, offset=offset)
        return torch.from_numpy(flat.astype(np.float32)).view(-1, self.size)


def style(take: Take) -> tuple[str, bool]:
    """Who, and whether it is sung, because people sing higher than they speak. The unnamed go by collection."""
    return take.clip.speaker or take.clip.source, take.clip.kind not in ("", "speech")


def coloured(power: Tensor, loudness: Loudness, filters: Tensor) -> Tensor:
    """Mean log power of the louder frames, less its mean over bands: `[batch, bin, frame]` to `[batch, band]`."""
    level = loudness(power)
    counts = (level > level.amax(1, keepdim=True) - 25).float()
    colour = long_term(power, filters, counts)
    return colour - colour.mean(1, keepdim=True)


def hash_of(take: Take) -> str:
    """An order that has nothing to do with names, so that a minute of somebody is not all from one session."""
    return take.folder.name


def by_collection(takes: list[Take]) -> Draw:
    """Collections by the root of their length, recordings of one by their length."""
    seconds: dict[tuple[str, bool], float] = defaultdict(float)
    for take in takes:
        seconds[take.clip.source, style(take)[1]] += take.seconds
    return takes, torch.tensor([take.seconds / seconds[take.clip.source, style(take)[1]] ** 0.5 for take in takes])


def by_speaker(takes: list[Take]) -> Draw:
    """Speakers alike, recordings of one by their length."""
    seconds: dict[str, float] = defaultdict(float)
    for take in takes:
        seconds[take.clip.speaker] += take.seconds
    return takes, torch.tensor([take.seconds / seconds[take.clip.speaker] for take in takes])


def choose(among: Draw, dice: Generator) -> Take:
    """One take by its weight."""
    takes, weights = among
    return takes[int(torch.multinomial(weights, 1, generator=dice))]


def begin(take: Take, frames: int, dice: Generator) -> tuple[Take, int]:
    """Where in a take a clip begins."""
    return take, draw(max(1, take.frames - frames + 1), dice)


def draw(count: int, dice: Generator) -> int:
    """A number below `count`."""
    return int(torch.randint(count, (), generator=dice))


def fit(values: Tensor, length: int) -> Tensor:
    """Filled up with zeros."""
    return F.pad(values, (0, length - len(values)))


def around(wave: Tensor, length: int) -> Tensor:
    """Repeated until it is long enough: a voice has no beginning."""
    return wave.repeat(-(-length // len(wave)))[:length]


def save(net: nn.Module, folder: str, name: str) -> str:
    """Parameters as float16 safetensors; returns the path."""
    path = Path(folder) / f"{name}.safetensors"
    state = {key: value.detach().half().cpu() for key, value in net.state_dict().items()}
    to_safetensors(state, path, {"format": "mynah-1", "net": name})
    return str(path)
