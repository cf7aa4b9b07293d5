"""What preparing recordings will take, told before it begins, by nothing but their headers."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mynah.core.errors import BadAudio, BadData, NoSpace
from mynah.train.data import FACTS, LONGEST_HOURS, Clip, length

BYTES_PER_SECOND = 96_400  # of what is prepared: 32 and 16 kHz in 16 bits, and pitch in 32
BYTES_PER_RECORDING = 24_000  # of facts, and what is lost to whole blocks of the disk
WORK_PER_SECOND = 0.03  # of a processor, measured: 0.016 s to decode and track the pitch, 0.010 s to look at it


@dataclass(frozen=True)
class Forecast:
    """What is to be expected.

    Attributes:
        recordings: That are different files and can be opened.
        seconds: Of sound in them.
        need: Bytes that will be kept of them.
        kept: Bytes that are there from an earlier run.
        free: Bytes of the disk that are free.
        folder: Where they will be.
        workers: Processes that share the work.
        endless: Recordings that are too long to be held in memory.
    """

    recordings: int
    seconds: float
    need: int
    kept: int
    free: int
    folder: Path
    workers: int
    endless: tuple[Path, ...] = ()

    @property
    def hours(self) -> float:
        """Of sound."""
        return self.seconds / 3600

    @property
    def work_hours(self) -> float:
        """That decoding, pitch and the report take, by one machine's measure; neither ears nor what was done count."""
        return self.hours * WORK_PER_SECOND / self.workers

    def check(self) -> None:
        """Stop before anything was begun that cannot be ended.

        Raises:
            NoSpace: It will not fit the disk.
            BadData: A recording is too long to be held in memory.
        """
        if self.endless:
            raise BadData(
                f"{len(self.endless)} recordings are longer than {LONGEST_HOURS} hours, such as {self.endless[0]}: cut "
                "them, or take them away"
            )
        if self.need - self.kept > self.free:
            raise NoSpace(
                f"{self.hours:.1f} hours of recordings need {size(self.need - self.kept)} more in {self.folder}, and "
                f"{size(self.free)} are free: choose another folder with --out, or fewer recordings"
            )

    def __str__(self) -> str:
        return (
            f"{self.recordings} recordings, {self.hours:.1f} hours: {size(self.need)} in {self.folder} "
            f"({size(self.kept)} are there, {size(self.free)} are free), about {self.work_hours:.1f} hours of work for "
            f"{self.workers} processes, and what the ears of the system take"
        )


def forecast(clips: Sequence[Clip], folder: Path, *, each: int = 0, workers: int = 2) -> Forecast:
    """Open every recording as far as its header; those that cannot be opened count for nothing.

    Args:
        clips: From `mynah.train.data.scan`.
        folder: Where they will be prepared.
        each: Bytes that ears keep of a second besides.
        workers: Processes that will do it.
    """
    seconds, files, endless = 0.0, set(), []
    for clip in clips:
        try:
            about = clip.path.stat()
            if (about.st_dev, about.st_ino) in files:
                continue  # one file under several names is prepared once
            own = length(clip.path)
        except (BadAudio, OSError):
            continue
        files.add((about.st_dev, about.st_ino))
        seconds += own
        if own > 3600 * LONGEST_HOURS:
            endless.append(clip.path)
    place = folder.resolve()
    while not place.exists():
        place = place.parent
    kept = 0
    for path in folder.rglob("*") if folder.exists() else ():
        kept += path.stat().st_size if path.is_file() else 0
        kept += BYTES_PER_RECORDING if path.name == FACTS else 0
    need = round(seconds * (BYTES_PER_SECOND + each)) + len(files) * BYTES_PER_RECORDING
    free = shutil.disk_usage(place).free
    return Forecast(len(files), seconds, need, kept, free, folder, workers, tuple(endless))


def size(count: float) -> str:
    """Bytes in words.

    Example:

        >>> size(2_500_000), size(180e9)
        ('2.5 MB', '180.0 GB')
    """
    return f"{count / 1e6:.1f} MB" if count < 1e9 else f"{count / 1e9:.1f} GB"
