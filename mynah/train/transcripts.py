"""Recordings with what is said in them: found in a folder, and laid out as batches for whoever learns to speak."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor
from torch.nn.utils.rnn import pad_sequence

from mynah.core.atomic import replacing
from mynah.core.errors import BadData
from mynah.core.recipe import Batch
from mynah.features.mel import MelFormat
from mynah.train.data import PITCH_RATE, SUFFIXES, Clip, Take, scan
from mynah.train.sounds import keep

HELD_OUT, MOST_HELD_OUT = 20, 200  # one reading of so many is, where nobody says which; and so many at most
TRIM_DB, TRIM_SIZE, TRIM_HOP = 60.0, 2048, 512  # as librosa trims
POOLED = 3  # batches whose readings are sorted by length before they are drawn


def read_aloud(folder: Path | str, *, skip: Sequence[str] = (), several: bool = False) -> list[Clip]:
    """The recordings of one speaker of which is known what is said.

    Args:
        folder: With a `metadata.csv` of rows `name|text` or `name|text|text in words` and the recordings somewhere
            below, as LJSpeech has it; or with a `manifest.csv` that has columns `path`, `text` and maybe `speaker`.
        skip: Patterns of recordings to leave out, relative to the folder.
        several: Whether there may be more than one speaker.

    Raises:
        BadData: No such folder, neither file, no text, or more speakers than there may be.
    """
    folder = Path(folder)
    clips = list(_named(folder)) if (folder / "metadata.csv").exists() else scan(folder)
    clips = [clip for clip in clips if clip.text.strip() and not _matches(clip.path, folder, skip)]
    if not clips:
        raise BadData(
            f"nobody knows what is said in {folder}: it needs a metadata.csv with rows name|text, or a manifest.csv "
            "with columns path and text"
        )
    if len(speakers := sorted({clip.speaker for clip in clips})) > 1 and not several:
        raise BadData(
            f"{folder} holds {len(speakers)} speakers ({', '.join(speakers[:4])}), and one voice is learnt: leave the "
            "others out with --skip, or give a folder of one"
        )
    return sorted(clips, key=lambda clip: clip.path)


def _named(folder: Path) -> Iterator[Clip]:
    found = {path.stem: path for path in sorted(folder.rglob("*")) if path.suffix.lower() in SUFFIXES}
    try:
        lines = (folder / "metadata.csv").read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise BadData(f"{folder / 'metadata.csv'} is not a table in UTF-8: {error}") from error
    for number, line in enumerate(lines, 1):
        name, *texts = line.split("|")
        if line.strip() and not texts:
            raise BadData(f"{folder / 'metadata.csv'}, line {number}: a row is name|text")
        path = found.get(Path(name.strip()).stem) or found.get(name.strip())
        if texts and path is not None:
            yield Clip(path, folder.resolve().name, "speech", "", texts[-1].strip())


def _matches(path: Path, folder: Path, patterns: Sequence[str]) -> bool:
    name = path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.as_posix()
    return any(fnmatch(name, pattern) for pattern in patterns)


@dataclass(frozen=True)
class Reading:
    """One recording with its text.

    Attributes:
        take: The recording as prepared.
        symbols: Numbers of what is said, `[symbol]`.
        first: Sample of the model's rate with which speech begins.
        frames: Of its mel spectrogram, between the silence before and after.
    """

    take: Take
    symbols: Tensor
    first: int
    frames: int


class Readings:
    """What a speaker learns from. Batches are of about equal length and a function of their number alone.

    Args:
        takes: From `mynah.train.data.prepare`; their clips have texts.
        format: Of mel spectrograms, which are made once and kept beside the takes.
        numbers_of: From a text to numbers of symbols.
        root: Folder of the recordings, to which `hold_out` is relative.
        hold_out: Patterns of readings that are only measured on. Without any, one in twenty is, at most 200.
        trim_db: What is so much weaker than the loudest at the beginning and the end is taken off.
        longest: Frames; longer readings are left out.
        peak: Every recording is made so loud; None leaves them as they were prepared.
        progress: Told the fraction that is there.

    Attributes:
        training: To learn from.
        held_out: Only to measure on.

    Raises:
        BadData: Nothing to learn from is left.
    """

    def __init__(
        self,
        takes: Sequence[Take],
        format: MelFormat,
        numbers_of: Callable[[str], Sequence[int]],
        *,
        root: Path | None = None,
        hold_out: Sequence[str] = (),
        trim_db: float = TRIM_DB,
        longest: int = 1250,
        peak: float | None = None,
        progress: Callable[[float], None] = lambda fraction: None,
    ) -> None:
        self.format, self.trim_db, self.peak = format, trim_db, peak
        told = hashlib.sha256(repr((format, trim_db, peak)).encode()).hexdigest()[:12]
        self._name = f"mel-{told}.f32"
        self.training: list[Reading] = []
        self.held_out: list[Reading] = []
        for number, take in enumerate(takes):
            symbols, (first, frames) = torch.tensor(numbers_of(take.clip.text)), self._heard(take)
            if len(symbols) and len(symbols) < frames <= longest:
                aside = _matches(take.clip.path, root or Path(), hold_out)
                if not hold_out:
                    aside = number % HELD_OUT == HELD_OUT - 1 and len(self.held_out) < MOST_HELD_OUT
                (self.held_out if aside else self.training).append(Reading(take, symbols, first, frames))
            progress((number + 1) / len(takes))
        if not self.training:
            raise BadData(
                f"none of {len(takes)} readings can be learnt from: they are silent, longer than {longest} frames, or "
                "have more letters than sound"
            )

    def mel(self, reading: Reading) -> Tensor:
        """`[band, frame]`."""
        values = np.fromfile(reading.take.folder / self._name, "<f4").reshape(-1, self.format.bands)
        return torch.from_numpy(values).T.contiguous()

    def pitch(self, reading: Reading) -> Tensor:
        """Of every frame of the spectrogram, Hz, NaN where unvoiced, `[frame]`."""
        heard = reading.take.pitch()
        seconds = (reading.first + torch.arange(reading.frames) * self.format.hop) / self.format.rate
        return heard[(seconds * PITCH_RATE).round().long().clamp(max=len(heard) - 1)]

    def drawn(self, number: int, count: int, seed: int = 0) -> list[Reading]:
        """Those of one batch; every reading is drawn once before any is drawn again."""
        each = -(-len(self.training) // count)
        epoch, place = divmod(number, each)
        dice = Generator().manual_seed(seed * 1_000_003 + epoch)
        order = torch.randperm(len(self.training), generator=dice).tolist()
        pool = place // POOLED * POOLED * count
        ordered = sorted(order[pool : pool + POOLED * count], key=lambda which: self.training[which].frames)
        batches = [ordered[first : first + count] for first in range(0, len(ordered), count)]
        turn = torch.randperm(len(batches), generator=dice.manual_seed(seed * 1_000_003 + epoch + pool))
        return [self.training[which] for which in batches[int(turn[place % POOLED])]]

    def batch(self, readings: Sequence[Reading], *, silence: float, more: int = 0) -> Batch:
        """Readings side by side: `symbols` and `lengths`, `mel` `[batch, band, frame]` and `frames`.

        Args:
            readings: At least one.
            silence: What follows the end of a spectrogram.
            more: Frames of silence after the longest one.
        """
        mels = [self.mel(reading) for reading in readings]
        most = max(reading.frames for reading in readings) + more
        return {
            "symbols": pad_sequence([reading.symbols for reading in readings], True),
            "lengths": torch.tensor([len(reading.symbols) for reading in readings]),
            "mel": torch.stack([F.pad(mel, (0, most - mel.shape[1]), value=silence) for mel in mels]),
            "frames": torch.tensor([reading.frames for reading in readings]),
        }

    def _heard(self, take: Take) -> tuple[int, int]:
        """First sample of the speech, and frames of its spectrogram, which is kept."""
        keep(take, self.format.rate)
        wave = take.wave(self.format.rate)
        first, last = spoken(wave, self.trim_db)
        path = take.folder / self._name
        if last - first <= self.format.n_fft:
            return first, 0
        if not path.exists():
            if self.peak is not None:
                wave = wave * (self.peak / wave.abs().max())
            with replacing(path) as half:
                self.format(wave[None, first:last])[0].T.contiguous().numpy().astype("<f4").tofile(half)
        return first, path.stat().st_size // (4 * self.format.bands)


def spoken(wave: Tensor, below_db: float) -> tuple[int, int]:
    """From where to where sound `[time]` is not so much weaker than at its loudest, in samples.

    Example:

        >>> spoken(torch.cat([torch.zeros(4096), torch.ones(4096), torch.zeros(4096)]), 60.0)
        (3584, 9216)
    """
    frames = F.pad(wave, (TRIM_SIZE // 2, TRIM_SIZE // 2)).unfold(0, TRIM_SIZE, TRIM_HOP).square().mean(1)
    loud = (frames > frames.max() * 10 ** (-below_db / 10)).nonzero()[:, 0]
    if not len(loud):
        return 0, 0
    return int(loud[0]) * TRIM_HOP, min(len(wave), (int(loud[-1]) + 1) * TRIM_HOP)
