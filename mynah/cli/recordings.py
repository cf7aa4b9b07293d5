"""Which recordings a command works on, and where the results go."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mynah.core.errors import BadAudio, BadOption

PIPE = "-"
READ = {
    *(".wav", ".wave", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aif", ".aiff", ".aifc", ".w64", ".caf", ".au"),
    *(".m4a", ".mp4", ".aac", ".webm", ".mkv", ".mka", ".mov"),
}
WRITTEN = ("wav", "flac", "mp3", "ogg", "opus", "m4a", "aiff")


@dataclass(frozen=True)
class Job:
    """One recording and where its result goes; either may be a pipe, `"-"`."""

    source: Path | str
    out: Path | str


def found(inputs: Sequence[str]) -> list[tuple[Path | str, Path | None]]:
    """Every recording that is named or lies in a named folder, however deep, with that folder.

    Raises:
        BadAudio: Nothing lies there, or a folder holds no recording.
    """
    result: list[tuple[Path | str, Path | None]] = []
    for name in inputs:
        path = Path(name)
        if name == PIPE:
            result.append((PIPE, None))
        elif path.is_dir():
            inside = [
                (file, path)
                for file in sorted(path.rglob("*"))
                if file.suffix.lower() in READ
                and file.is_file()
                and not any(part.startswith(".") for part in file.relative_to(path).parts)
            ]
            if not inside:
                raise BadAudio(f"{name}: no recordings in this folder")
            result += inside
        else:
            result.append((path, None))  # whether it can be read shows when it is read; the others go on
    return result


def planned(inputs: Sequence[str], voice: str, out: str | None, format: str | None) -> list[Job]:
    """A job for each recording. Without `out`, `song.wav` becomes `song-VOICE.wav` and a folder `album` `album-VOICE`.

    Raises:
        BadOption: The place does not fit the inputs, or two inputs would have the same result.

    Example:

        >>> [(str(job.source), str(job.out)) for job in planned(["songs/one.m4a"], "me", None, "flac")]
        [('songs/one.m4a', 'songs/one-me.flac')]
    """
    recordings = found(inputs)
    label = re.sub(r"[^\w.+-]+", "-", voice).strip("-") or "voice"
    single = len(recordings) == 1 and recordings[0][1] is None
    if out == PIPE or (out is None and any(source == PIPE for source, _ in recordings)):
        if not single:
            raise BadOption("only one recording fits through a pipe: give --out FOLDER")
        if format not in (None, "wav"):
            raise BadOption(f"a pipe carries wav, not {format}: give --out FILE")
        return [Job(recordings[0][0], PIPE)]
    if out is not None and _is_file(out):
        if not single:
            raise BadOption(f"{out} is one file and there are {len(recordings)} recordings: give --out FOLDER")
        if format is not None and Path(out).suffix[1:].lower() != format:
            raise BadOption(f"--format {format} and --out {out} contradict each other")
        jobs = [Job(recordings[0][0], Path(out))]
    else:
        jobs = [_job(source, folder, label, out, format or "wav") for source, folder in recordings]
    _refuse_collisions(jobs)
    return jobs


def folders(inputs: Sequence[str], label: str, out: str | None) -> list[Job]:
    """A job for each recording, of which several files come. Without `out`, `song.mp3` becomes the folder `song-LABEL`.

    Raises:
        BadOption: A pipe, which cannot carry several files nor be read more than once; or two recordings would share a
            folder.

    Example:

        >>> [Path(job.out).as_posix() for job in folders(["songs/one.m4a"], "stems", None)]
        ['songs/one-stems']
    """
    recordings = found(inputs)
    jobs = []
    for source, folder in recordings:
        if isinstance(source, str) or out == PIPE:
            raise BadOption(f"several files come of one recording, and {PIPE} is a pipe: name files and folders")
        if out is not None and len(recordings) == 1 and folder is None:
            jobs.append(Job(source, Path(out)))
        else:
            jobs.append(Job(source, _place(source, folder, f"{source.stem}-{label}", label, out)))
    _refuse_collisions(jobs)
    return jobs


def _is_file(out: str) -> bool:
    """A place is a folder if it is one, ends like one, or has no suffix."""
    return not (out.endswith(("/", "\\")) or Path(out).is_dir() or not Path(out).suffix)


def _job(source: Path | str, folder: Path | None, label: str, out: str | None, format: str) -> Job:
    if isinstance(source, str):
        assert out is not None
        return Job(source, Path(out) / f"{label}.{format}")
    return Job(source, _place(source, folder, f"{source.stem}-{label}.{format}", label, out))


def _place(source: Path, folder: Path | None, name: str, label: str, out: str | None) -> Path:
    """Where the result of this name goes: beside its source, or in a tree like that of the folder it was found in."""
    if folder is None:
        return (Path(out) if out is not None else source.parent) / name
    album = folder.resolve()
    target = Path(out) if out is not None else album.with_name(f"{album.name}-{label}")
    return target / source.relative_to(folder).with_name(name)


def _refuse_collisions(jobs: Sequence[Job]) -> None:
    taken: dict[Path, Path | str] = {}
    for job in jobs:
        place = Path(job.out).absolute()
        if place in taken:
            raise BadOption(f"{taken[place]} and {job.source} would both become {job.out}: take them one by one")
        taken[place] = job.source
        if job.source != PIPE and Path(job.source).exists() and place.exists() and place.samefile(job.source):
            raise BadOption(f"{job.out} is the recording itself: give another --out")
