"""Readings: recordings whose texts are known, as the nets of `speak/mynah` see them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor

from mynah.core.atomic import replacing
from mynah.core.errors import BadData
from mynah.core.recipe import Batch
from mynah.features.content import ContentStudent
from mynah.features.loudness import Loudness
from mynah.metrics.spelling import plain
from mynah.speak.mynah.reader import ESPEAK
from mynah.speak.mynah.tokens import Tokens, tokens
from mynah.text.language import language_of
from mynah.text.normalise import normalised
from mynah.text.phonemes import phonemes
from mynah.train.data import Take, prepare, scan

READER_SECONDS = 600.0  # whoever read for longer has a manner of their own; all others share one
HELD_OUT = 10  # the last tenth of what a reader read is tested on
NEIGHBOURS = 96  # readings of about one length that a batch is drawn from
ROWS = 66  # of what is kept of a frame: content and two levels


@dataclass(frozen=True)
class Reading:
    """One recording and its text.

    Attributes:
        take: The recording.
        spelt: The text in words, plain.
        said: The text in sounds.
        language: Of the speaker, `"de"` or `"en"`.
    """

    take: Take
    spelt: str
    said: Tokens
    language: str


class Readings:
    """All recordings with a text. Whoever is drawn is decided by a `Generator` alone.

    Args:
        takes: From `mynah.train.data.prepare`; those without a text are left out.
        student: Hears the content.
        known: Digits that tell this student from another one; features are kept under them.
    """

    def __init__(self, takes: Sequence[Take], student: ContentStudent, known: str) -> None:
        self.student, self.known, self.loudness = student, known, Loudness()
        by_speaker: dict[str, list[Take]] = defaultdict(list)
        for take in takes:
            if take.clip.text.strip():
                by_speaker[take.clip.speaker].append(take)
        if not by_speaker:
            raise BadData("no recording has a text: a manifest.csv with the columns path, speaker and text is needed")
        self.readings: list[Reading] = []
        for speaker in sorted(by_speaker):
            self.readings += self._of(by_speaker[speaker])
        seconds: Counter[str] = Counter()
        for reading in self.readings:
            seconds[reading.take.clip.speaker] += round(reading.take.seconds)
        self.readers = sorted(speaker for speaker in seconds if seconds[speaker] > READER_SECONDS)
        self.held_out = {
            reading.take.clip.path
            for reader in self.readers
            for reading in self._last([one for one in self.readings if one.take.clip.speaker == reader])
        }
        # Whose manner a language is read in: whoever read most of it.
        self.reader_of = {
            language: max(
                self.readers or [""],
                key=lambda reader: sum(
                    reading.take.seconds
                    for reading in self.readings
                    if (reading.take.clip.speaker, reading.language) == (reader, language)
                ),
            )
            for language in {reading.language for reading in self.readings}
        }

    @classmethod
    def open(cls, data: Path, cache: Path, student: ContentStudent, known: str) -> Readings:
        """Scan and prepare a folder of recordings with a manifest."""
        clips = [clip for clip in scan(data) if clip.text and clip.kind in ("", "speech")]
        return cls(prepare(clips, cache).takes if clips else [], student, known)

    @staticmethod
    def _of(takes: list[Take]) -> list[Reading]:
        votes = Counter(language_of(take.clip.text) for take in takes)
        language = votes.most_common(1)[0][0]
        found = []
        for take in takes:
            # Some collections shout; eSpeak would spell that.
            text = take.clip.text.lower() if take.clip.text.isupper() else take.clip.text
            words = normalised(text, language)
            said = tokens(phonemes(words, ESPEAK[language]), language)
            if 2 < len(said) <= take.frames:
                found.append(Reading(take, plain(words), said, language))
        return found

    @staticmethod
    def _last(readings: list[Reading]) -> list[Reading]:
        return readings[len(readings) * (HELD_OUT - 1) // HELD_OUT :]

    def part(self, held_out: bool) -> list[Reading]:
        """What is tested on, or what is trained on."""
        return [reading for reading in self.readings if (reading.take.clip.path in self.held_out) == held_out]

    def reader(self, reading: Reading) -> int:
        """The number of whose manner it is; the last one is everybody else's."""
        speaker = reading.take.clip.speaker
        return self.readers.index(speaker) if speaker in self.readers else len(self.readers)

    # What is heard

    def prepare(self, progress: Callable[[float], None] = lambda fraction: None) -> None:
        """Hear everything once."""
        for done, reading in enumerate(self.readings):
            self.heard(reading)
            progress((done + 1) / len(self.readings))

    def heard(self, reading: Reading) -> Tensor:
        """Content and two levels in dB of every frame, `[66, frame]`; kept beside the recording."""
        path = reading.take.folder / f"heard-{self.known}.f16"
        if not path.exists():
            with torch.inference_mode():
                power = self.student.power(reading.take.wave(16_000)[None])
                levels = self.loudness(power)[0].unflatten(-1, (-1, 2)).T
                rows = torch.cat([self.student.from_power(power)[0], levels])
            with replacing(path) as half:
                rows.T.contiguous().numpy().astype("<f2").tofile(half)
        flat = np.fromfile(path, "<f2").astype(np.float32)
        return torch.from_numpy(flat).view(-1, ROWS).T

    @cached_property
    def middle(self) -> dict[str, tuple[float, float]]:
        """Median pitch in Hz of every speaker, and mean level in dB of what is voiced."""
        found = {}
        for speaker in {reading.take.clip.speaker for reading in self.readings}:
            mine = [reading for reading in self.readings if reading.take.clip.speaker == speaker][:100]
            pitch = torch.cat([reading.take.pitch() for reading in mine])
            level = torch.cat([self.heard(reading)[64:].T.flatten() for reading in mine])
            voiced = pitch.isfinite()
            middle = pitch.nanmedian().nan_to_num(150.0).item()
            found[speaker] = (middle, level[voiced].mean().item() if voiced.any() else -30.0)
        return found

    # What is drawn

    @cached_property
    def _shelves(self) -> dict[bool, tuple[list[Reading], Tensor]]:
        """By length, and how often each is drawn: half from the readers, less from everybody else."""
        shelves = {}
        for held_out in (False, True):
            row = sorted(self.part(held_out) or self.readings, key=lambda reading: reading.take.frames)
            seconds: Counter[int] = Counter()
            for reading in row:
                seconds[self.reader(reading)] += reading.take.frames
            weights = torch.tensor([seconds[self.reader(reading)] ** -0.5 for reading in row])
            shelves[held_out] = row, weights
        return shelves

    def drawn(self, dice: Generator, count: int, *, longest: int = 700) -> list[Reading]:
        """Readings of about one length, in frames at most `longest`."""
        row, weights = self._shelves[False]
        fits = sum(reading.take.frames <= longest for reading in row)
        anchor = int(torch.multinomial(weights[:fits], 1, generator=dice))
        begin = max(0, min(anchor - NEIGHBOURS // 2, fits - NEIGHBOURS))
        near = weights[begin : min(fits, begin + NEIGHBOURS)]
        places = torch.multinomial(near, count, replacement=len(near) < count, generator=dice)
        return [row[begin + place] for place in places.tolist()]


def side_by_side(readings: Sequence[Reading]) -> Batch:
    """The sounds of several texts `[batch, token]`, filled up: -1 for the symbol, 0 for the rest."""

    def rows(name: str, fill: int) -> Tensor:
        values = [getattr(reading.said, name) for reading in readings]
        return torch.nn.utils.rnn.pad_sequence(values, batch_first=True, padding_value=fill)

    return {name: rows(name, -1 if name == "symbol" else 0) for name in ("symbol", "stress", "manner", "language")}


def framed(rows: Sequence[Tensor]) -> Tensor:
    """`[size, frame]` each, filled up with zeros: `[batch, size, frame]`."""
    return torch.nn.utils.rnn.pad_sequence([row.T for row in rows], batch_first=True).transpose(1, 2)
