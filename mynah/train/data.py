"""Recordings to learn from: found in a folder, and prepared once so that batches come quickly."""

from __future__ import annotations

import csv
import hashlib
import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mynah.audio.decoding import opened
from mynah.audio.files import CutShort, read
from mynah.audio.resample import resample
from mynah.core.atomic import replacing
from mynah.core.errors import BadAudio, BadData
from mynah.core.types import Audio
from mynah.features.pitch import pitch
from mynah.train.bandwidth import bandwidth
from mynah.train.workers import spread

FRAME_RATE = 50  # frames/s: what lengths and places in a take are counted in
RATES = (32_000, 16_000)  # Hz, the higher first
PITCH_RATE = 100  # values/s
SUFFIXES = frozenset(
    [".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aif", ".aiff", ".aifc", ".m4a", ".mp4", ".aac", ".webm"]
)
SHORTEST_SECONDS = 0.4
LONGEST_HOURS = 3  # a recording is held in memory whole
SILENT = 0.01  # peak
FORMAT = 1
FACTS = "facts.json"
_UNTOLD = 8000  # bytes of a second, where a header does not say how many there are
FEW = 16  # recordings that one process has done before a second one has started

Done = tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class Clip:
    """One recording as found.

    Attributes:
        path: Where it lies.
        speaker: Who speaks or sings; empty when nobody knows.
        kind: Such as `"speech"` or `"singing"`, as the manifest says; empty without one.
        source: The collection that it is from, as the manifest says; empty without one.
        text: What is said, if the manifest says so.
    """

    path: Path
    speaker: str
    kind: str = ""
    source: str = ""
    text: str = ""


@dataclass(frozen=True)
class Take:
    """One prepared recording. Sound and pitch stay on the disk and are read a part at a time.

    Attributes:
        clip: What it was made from.
        folder: Where its arrays are; recipes may keep features of their own beside them.
        frames: Length, at 50 frames/s.
        bandwidth_hz: How far up the recording reaches, at most 16 kHz.
    """

    clip: Clip
    folder: Path
    frames: int
    bandwidth_hz: float

    @property
    def seconds(self) -> float:
        """Length."""
        return self.frames / FRAME_RATE

    def wave(self, rate: int, first: int = 0, frames: int | None = None) -> Tensor:
        """Mono sound in [-1, 1], `[time]`, of `frames` frames from frame `first`; `rate` is 32000 or 16000."""
        hop = rate // FRAME_RATE
        return torch.from_numpy(self._part(f"{rate}.i16", "<i2", hop, first, frames).astype(np.float32) / 32768)

    def pitch(self, first: int = 0, frames: int | None = None) -> Tensor:
        """Hz, NaN where unvoiced, `[2 * frames]`: 100 values/s."""
        return torch.from_numpy(self._part("pitch.f32", "<f4", PITCH_RATE // FRAME_RATE, first, frames))

    def _part(self, name: str, kind: str, each: int, first: int, frames: int | None) -> np.ndarray[Any, Any]:
        count = min(self.frames - first, self.frames if frames is None else frames)
        offset = first * each * np.dtype(kind).itemsize
        return np.fromfile(self.folder / name, kind, count * each, offset=offset)


@dataclass(frozen=True)
class Prepared:
    """What became of a list of clips.

    Attributes:
        takes: In the order of the clips.
        skipped: Why the others cannot be used, by path.
    """

    takes: tuple[Take, ...]
    skipped: dict[Path, str]


def scan(folder: Path | str) -> list[Clip]:
    """The recordings of a folder, in the order of their paths.

    A `manifest.csv` with a column `path`, and `speaker`, `kind`, `source`, `text` where known, decides. Without one
    every folder in it is one singer, by the name of the folder, and recordings that lie in it directly are another one.

    Raises:
        BadData: No such folder, nothing to hear in it, or a manifest that does not say where recordings are.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise BadData(f"there is no folder {folder}")
    manifest = folder / "manifest.csv"
    clips = list(_listed(manifest) if manifest.exists() else _found(folder))
    if not clips:
        raise BadData(f"there are no recordings in {folder}: put wav, flac, mp3, ogg, opus or m4a files into it")
    return sorted(clips, key=lambda clip: clip.path)


def _found(folder: Path) -> Iterator[Clip]:
    for path in folder.rglob("*"):
        inside = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in inside.parts)
        if path.suffix.lower() in SUFFIXES and path.is_file() and not hidden:
            yield Clip(path, inside.parts[0] if len(inside.parts) > 1 else folder.resolve().name)


def _listed(manifest: Path) -> Iterator[Clip]:
    try:
        with manifest.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadData(f"{manifest} is not a table in UTF-8: {error}") from error
    for row in rows:
        if not row.get("path"):
            raise BadData(f"{manifest} needs a column 'path' that is filled in every row")
        fields = {name: row.get(name) or "" for name in ("speaker", "kind", "source", "text")}
        yield Clip(manifest.parent / row["path"], **fields)


def prepare(
    clips: Sequence[Clip],
    cache: Path | str,
    *,
    progress: Callable[[float], None] | None = None,
    workers: int = 2,
) -> Prepared:
    """Decode, resample and track the pitch of recordings, once: what is in `cache` by its content is not done again.

    An interrupted run goes on where it was. Bad recordings are left out and accounted for.

    Args:
        clips: From `scan`.
        cache: A folder; about 350 MB for every hour.
        progress: Called with the fraction done, 0 to 1.
        workers: Processes to do it in.

    Raises:
        BadData: Not one of the recordings can be used.
        NoSpace: The disk is full.
    """
    cache = Path(cache)
    done: dict[int, Done | BadAudio] = {}
    for place, result in _all(clips, cache, workers):
        done[place] = result
        if progress:
            progress(len(done) / len(clips))
    takes, skipped = [], {}
    for place, clip in enumerate(clips):
        result = done[place]
        if isinstance(result, BadAudio):
            skipped[clip.path] = str(result)
        else:
            key, facts = result
            takes.append(Take(clip, cache / key, facts["frames"], facts["bandwidth_hz"]))
    if not takes:
        reason = f", such as {next(iter(skipped.values()))}" if skipped else ""
        raise BadData(f"none of {len(clips)} recordings can be used{reason}")
    return Prepared(tuple(takes), skipped)


def _all(clips: Sequence[Clip], cache: Path, workers: int) -> Iterator[tuple[int, Done | BadAudio]]:
    new = []
    for place, clip in enumerate(clips):
        known = _known(clip.path, cache)
        if known is None:
            new.append(place)
        else:
            yield place, known
    deeds = spread(partial(_one, cache=cache), [clips[place].path for place in new], workers, FEW)
    yield from zip(new, deeds, strict=True)


def _known(path: Path, cache: Path) -> Done | BadAudio | None:
    try:
        key = _key(path)
    except BadAudio as error:
        return error
    # Written last, so where it is, the rest is whole.
    facts = cache / key / FACTS
    return (key, json.loads(facts.read_text("utf-8"))) if facts.exists() else None


def _key(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return f"{hashlib.file_digest(file, 'sha256').hexdigest()[:32]}-{FORMAT}"
    except OSError as error:
        raise BadAudio(f"{path} cannot be read: {error.strerror}") from error


def _one(path: Path, cache: Path) -> Done | BadAudio:
    try:
        return _prepared(path, cache)
    except BadAudio as error:
        return error


def _prepared(path: Path, cache: Path) -> Done:
    key = _key(path)
    folder = cache / key
    if (hours := length(path) / 3600) > LONGEST_HOURS:
        raise BadAudio(f"{path} is {hours:.1f} hours long: cut it into recordings of at most {LONGEST_HOURS} hours")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CutShort)  # what is there of it can be learnt from
        whole = read(path, rate=RATES[0], mono=True)
    frames = int(whole.seconds * FRAME_RATE)
    peak = whole.samples.abs().max().item() if frames else 0.0
    if whole.seconds < SHORTEST_SECONDS:
        raise BadAudio(f"{path} is shorter than {SHORTEST_SECONDS} s")
    if peak < SILENT:
        raise BadAudio(f"{path} is silent")
    whole = Audio(whole.samples * min(1.0, 0.99 / peak), whole.rate)
    waves = {rate: _fit(resample(whole, rate).samples[0], frames * rate // FRAME_RATE, 0.0) for rate in RATES}
    contour = pitch(Audio(waves[RATES[-1]][None], RATES[-1]), hop_seconds=1 / PITCH_RATE)
    for rate, wave in waves.items():
        _write(folder / f"{rate}.i16", (wave.clamp(-1, 1) * 32767).round().numpy().astype("<i2"))
    melody = _fit(contour.values, frames * PITCH_RATE // FRAME_RATE, float("nan"))
    _write(folder / "pitch.f32", melody.numpy().astype("<f4"))
    facts = {"frames": frames, "bandwidth_hz": bandwidth(waves[RATES[0]], RATES[0])}
    with replacing(folder / FACTS) as half:
        half.write_text(json.dumps(facts), "utf-8")
    return key, facts


def length(path: Path) -> float:
    """Seconds, by the header alone; where it does not say, as many as such a file may hold.

    Raises:
        BadAudio: It cannot be opened.
    """
    with opened(path) as source:
        return source.frames / source.rate if source.frames is not None else source.bytes / _UNTOLD


def _fit(values: Tensor, length: int, fill: float) -> Tensor:
    return torch.nn.functional.pad(values[:length], (0, max(0, length - len(values))), value=fill)


def _write(path: Path, values: np.ndarray[Any, Any]) -> None:
    with replacing(path) as half:
        values.tofile(half)
