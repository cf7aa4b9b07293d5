"""Recordings read and written: `read`, `write`, `probe`, `stream`, `Writer`, `together`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import numpy as np
import torch
from torch import Tensor

from mynah.audio.chunks import regroup
from mynah.audio.decoding import BLOCK, RATES_HZ, CutShort, Source, opened
from mynah.audio.disk import tidy, typed_errors
from mynah.audio.encoding import Format, encode, encode_into, format_of, gain_for, is_pipe, target, usable
from mynah.audio.resample import Resampler, resampled_length
from mynah.core.errors import BadAudio, BadOption
from mynah.core.types import Audio

__all__ = ["CutShort", "Info", "Writer", "probe", "read", "stream", "together", "write"]

PEAK_DB = -1.0  # so low that what a player or a lossy codec makes of the sound between its samples does not clip either


@dataclass(frozen=True)
class Info:
    """What a recording is, before reading it.

    Attributes:
        seconds: Duration.
        rate: Sample rate in Hz.
        channels: How many.
        format: Of the content, whatever the suffix says: `"wav"`, `"flac"`, `"mp3"`, `"ogg"`, `"opus"`, `"aiff"`,
            `"mp4"`, `"webm"` and so on.
    """

    seconds: float
    rate: int
    channels: int
    format: str


def read(path: Path | str, *, rate: int | None = None, mono: bool = False) -> Audio:
    """A whole recording: wav, flac, mp3, ogg, opus, aiff, m4a, mp4, webm, aac and more, by content and not by suffix.

    Samples come as they are in the file, as float32; those of float files may exceed 1. A recording that ends before
    its header says (a broken download, a crashed recorder) gives what is there, and a `CutShort` warning; ogg, opus
    and mp3 files need not say how long they are, and just end.

    Args:
        path: Where from; `"-"` is standard input.
        rate: Resample to this, in Hz; `None` keeps the file's own.
        mono: Average the channels into one.

    Raises:
        BadAudio: No such file, a folder, not a recording, no sound in it, or samples that are NaN or infinite.

    Example:

        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = write(Audio(torch.zeros(2, 48_000), 48_000), Path(folder) / "silence.flac")
        ...     read(path, rate=16_000, mono=True).samples.shape
        torch.Size([1, 16000])
    """
    _check_rate(rate)
    with opened(path) as source:
        new_rate = rate or source.rate
        tape = torch.empty(1 if mono else source.channels, _room(source, new_rate))
        end = 0
        for samples in _reconciled(source, new_rate, mono):
            start, end = end, end + samples.shape[-1]
            if end > tape.shape[-1]:
                longer = torch.empty(tape.shape[0], max(end, 2 * start))
                longer[:, :start] = tape[:, :start]
                tape = longer
            tape[:, start:end] = samples
    return Audio(tape if end == tape.shape[-1] else tape[:, :end].clone(), new_rate)


def stream(
    path: Path | str, *, rate: int | None = None, mono: bool = False, block_seconds: float = 10.0
) -> Iterator[Audio]:
    """The sound that `read` gives, to the sample, in blocks of equal length (the last may be shorter), in flat memory.

    The file is opened when the first block is asked for, and errors come where they are met.

    Args:
        path: Where from; `"-"` is standard input.
        rate: As for `read`.
        mono: As for `read`.
        block_seconds: Length of a block.

    Raises:
        BadAudio: As for `read`.
    """
    _check_rate(rate)
    if not block_seconds > 0:
        raise BadOption(f"blocks of {block_seconds:g} seconds: must be more than 0")
    with opened(path) as source:
        new_rate = rate or source.rate
        size = max(1, round(block_seconds * new_rate))
        for samples in regroup(_reconciled(source, new_rate, mono), size):
            yield Audio(samples, new_rate)


def probe(path: Path | str) -> Info:
    """Duration, rate, channels and format. Decodes the file only if its header does not say how long it is.

    Raises:
        BadAudio: As for `read`, as far as can be told without decoding.
    """
    with opened(path) as source:
        frames = source.frames or sum(len(block) for block in source.blocks())
        return Info(frames / source.rate, source.rate, source.channels, source.format)


def write(audio: Audio, path: Path | str, *, bits: int | None = None, peak_db: float | None = PEAK_DB) -> Path:
    """Write a recording; its suffix chooses wav, flac, mp3, ogg, opus, m4a or aiff. It appears whole or not at all.

    Nothing clips: if the largest sample exceeds the ceiling, the whole sound is scaled down to it, and otherwise left
    as it is. Rates that a format lacks (mp3, opus, m4a) are resampled to its next higher one. Equal sound gives equal
    bytes.

    Args:
        audio: At least one sample.
        path: Where to, replacing what is there; folders are made. `"-"` is standard output, as wav.
        bits: Per sample in wav, flac and aiff: 16, 24 (default; neither is dithered), or 32 for float (not in flac).
        peak_db: The ceiling, in dB of full scale; `None` for full scale, and for no ceiling at all with 32 bits.

    Raises:
        BadAudio: No samples, or some that are not finite.
        BadOption: A suffix, channel count, bit depth or place that will not do.
        NoSpace: The disk is full.
    """
    audio, peak = usable(audio, path)
    channels, time = audio.samples.shape
    format = _checked(path, channels, bits)
    if not time:
        raise BadAudio(f"{path}: not written, because there is no sound to write")
    gain = gain_for(peak, peak_db, lossless_float=bits == 32)
    blocks = (Audio(part * gain if gain < 1 else part, audio.rate) for part in torch.split(audio.samples, BLOCK, -1))
    encode(blocks, path, format, bits, channels, time)
    return Path(path)


class Writer:
    """A recording written block by block, with the same result as `write` of the whole, in flat memory.

    How loud the loudest sample is, and so by what to scale, is known only at the end. Until then the blocks wait as
    float32 in an unnamed file beside the target (4 bytes a sample; it vanishes with the process); the end of the `with`
    block scales and encodes them, and the target appears whole. If the block ends by an error or Ctrl-C, nothing does.

    Example:

        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with Writer(Path(folder) / "noise.wav", rate=8000, channels=1) as writer:
        ...         for _ in range(5):
        ...             writer.push(Audio(torch.rand(1, 800), 8000))
        ...     probe(Path(folder) / "noise.wav").seconds
        0.5
    """

    def __init__(
        self, path: Path | str, rate: int, channels: int, *, bits: int | None = None, peak_db: float | None = PEAK_DB
    ) -> None:
        """As for `write`, whose errors these are; a wrong path or option is met here, before any work."""
        self._format = _checked(path, channels, bits)
        gain_for(0.0, peak_db, lossless_float=False)
        self.path, self.rate, self.channels = Path(path), rate, channels
        self._bits, self._peak_db = bits, peak_db
        self._peak, self._time = 0.0, 0
        self._waiting: IO[bytes] | None = None

    def __enter__(self) -> Self:
        self._open()
        return self

    def push(self, audio: Audio) -> None:
        """Add a block, of any length, even none.

        Raises:
            BadAudio: Another rate or number of channels than announced, or samples that are not finite.
            NoSpace: The disk is full.
        """
        if self._waiting is None:
            raise ValueError("a Writer takes blocks only inside of its `with` block")
        audio, peak = usable(audio, self.path)
        channels, time = audio.samples.shape
        if (audio.rate, channels) != (self.rate, self.channels):
            raise BadAudio(
                f"{self.path}: a block of {audio.rate} Hz and {channels} channels came to a file of {self.rate} Hz"
                f" and {self.channels} channels"
            )
        if not time:
            return
        self._peak = max(self._peak, peak)
        self._time += time
        rest = memoryview(audio.samples.T.contiguous().numpy().tobytes())
        with typed_errors(self.path):
            while rest:
                rest = rest[self._waiting.write(rest) :]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                encode(*self._sound(self._gain()))
        finally:
            self._close()

    def _open(self) -> None:
        with typed_errors(self.path):
            folder = None if is_pipe(self.path) else self.path.parent
            if folder:
                folder.mkdir(parents=True, exist_ok=True)
            self._waiting = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed by `_close`

    def _close(self) -> None:
        if self._waiting is not None:
            self._waiting.close()
            self._waiting = None

    def _gain(self) -> float:
        return gain_for(self._peak, self._peak_db, lossless_float=self._bits == 32)

    def _sound(self, gain: float) -> tuple[Iterator[Audio], Path, Format, int | None, int, int]:
        """What an encoder wants to know.

        Raises:
            BadAudio: Nothing was pushed.
        """
        if not self._time:
            raise BadAudio(f"{self.path}: not written, because there is no sound to write")
        return self._blocks(gain), self.path, self._format, self._bits, self.channels, self._time

    def _blocks(self, gain: float) -> Iterator[Audio]:
        assert self._waiting is not None
        self._waiting.seek(0)
        while len(raw := np.fromfile(self._waiting, np.float32, BLOCK * self.channels)):
            samples = torch.from_numpy(raw.reshape(-1, self.channels).T)
            yield Audio(samples * gain if gain < 1 else samples, self.rate)


@contextmanager
def together(
    paths: Mapping[str, Path | str],
    rate: int,
    channels: int,
    *,
    bits: int | None = None,
    peak_db: float | None = PEAK_DB,
) -> Iterator[dict[str, Writer]]:
    """Writers by name for recordings that belong together, such as stems: one gain for all, so they keep their balance.

    Where one would exceed the ceiling, all are scaled alike. They appear together when the block ends well, or none
    does, and no empty folder either.

    Args:
        paths: Where each of them goes.
        rate: As for `Writer`, and so are the others.
        channels: Of each.
        bits: Of each.
        peak_db: For all.

    Raises:
        BadAudio: As for `Writer`.
        BadOption: As for `Writer`; or two of them are one file.
        NoSpace: The disk is full.

    Example:

        >>> with tempfile.TemporaryDirectory() as folder:
        ...     paths = {name: Path(folder) / f"{name}.wav" for name in ("loud", "soft")}
        ...     with together(paths, rate=8000, channels=1, peak_db=None) as writers:
        ...         writers["loud"].push(Audio(torch.full((1, 800), 2.0), 8000))
        ...         writers["soft"].push(Audio(torch.full((1, 800), 0.5), 8000))
        ...     [round(read(path).samples.max().item(), 4) for path in paths.values()]
        [1.0, 0.25]
    """
    places = [Path(path).absolute() for path in paths.values()]
    if twice := [place for place in places if places.count(place) > 1]:
        raise BadOption(f"{twice[0]} cannot hold two recordings: give each its own name")
    writers = {name: Writer(path, rate, channels, bits=bits, peak_db=peak_db) for name, path in paths.items()}
    with ExitStack() as stack:
        with typed_errors(next(iter(paths.values()), "")):
            stack.enter_context(tidy(place.parent for place in places))
        for writer in writers.values():
            stack.callback(writer._close)
            writer._open()
        yield writers
        gain = min((writer._gain() for writer in writers.values()), default=1.0)
        for writer in writers.values():
            encode_into(stack.enter_context(target(writer.path)), *writer._sound(gain))


def _reconciled(source: Source, rate: int, mono: bool) -> Iterator[Tensor]:
    resampler = Resampler(source.rate, rate)
    for block in source.blocks():
        samples = torch.from_numpy(block.T)
        yield resampler.push(Audio(samples.mean(0, keepdim=True) if mono else samples, source.rate)).samples
    yield resampler.flush().samples


def _room(source: Source, rate: int) -> int:
    """Samples to make room for. A header may claim any length; beyond belief, room grows as the sound comes."""
    believable = 512 * source.bytes  # digital silence in flac, the emptiest of all, is 340 frames a byte
    return resampled_length(min(source.frames or 0, believable), source.rate, rate)


def _check_rate(rate: int | None) -> None:
    low, high = RATES_HZ
    if rate is not None and not low <= rate <= high:
        raise BadOption(f"a rate of {rate} Hz: from {low} to {high} Hz can be used")


def _checked(path: Path | str, channels: int, bits: int | None) -> Format:
    with typed_errors(path):
        if Path(path).is_dir():
            raise BadOption(f"cannot write to {path}: it is a folder; add a file name")
    return format_of(path, channels, bits)
