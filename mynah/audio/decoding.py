"""Decoders: soundfile for what musicians keep, PyAV (FFmpeg) for what phones and browsers record.

The content decides which one reads, never the suffix.
"""

from __future__ import annotations

import os
import sys
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import soundfile

from mynah.audio.containers import promised_frames
from mynah.audio.disk import Disk, spooled
from mynah.core.errors import BadAudio

Samples = np.ndarray[tuple[int, int], np.dtype[np.float32]]

BLOCK = 65_536  # frames per block
STEP = 4096  # frames per call of the decoder: what a damaged file may lose of its whole part

LOUDEST = 1e6  # 120 dB above full scale: no microphone, a wrong number
RATES_HZ = (4000, 768_000)
_UNKNOWN = 1 << 40  # libsndfile's count of frames where the header gives none lies above this

# FFmpeg also reads lists of addresses, which it would fetch; only files that hold their sound themselves may pass.
CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,aac,asf,avi,flv,mpegts,mpeg,amr,ac3,eac3,wav,mp3,ogg,flac,wv,ape,tta"
)
_PADDING = 4096  # frames that an encoder may have added to fill its last packet


class CutShort(UserWarning):
    """A recording ends, or is damaged, before the end that its header promises. What comes before was read."""


class Source(ABC):
    """A recording, opened.

    Attributes:
        name: For messages.
        format: `"wav"`, `"flac"`, `"mp3"`, `"ogg"`, `"opus"`, `"aiff"`, `"mp4"`, `"webm"` and so on.
        bytes: Size of the file.
        rate: In Hz.
        channels: How many.
        frames: How many are there, as far as can be known without decoding.
        promised: How many should be there.
    """

    format: str
    rate: int
    channels: int
    frames: int | None = None
    promised: int | None = None

    def __init__(self, file: IO[bytes], name: str) -> None:
        self.name = name
        self.bytes = file.seek(0, os.SEEK_END)
        file.seek(0)
        self._damaged = False

    def blocks(self) -> Iterator[Samples]:
        """The sound in blocks `[time, channel]` of at most about `BLOCK` frames.

        Raises:
            BadAudio: There is no sound at all, or a sample is NaN, infinite or absurdly large.
        """
        at = 0
        for block in self._decode():
            # A NaN makes the maximum NaN, and every comparison with it false.
            if not (np.abs(block).max() <= LOUDEST):
                raise BadAudio(self._absurd(block, at))
            at += len(block)
            yield block
        if not at:
            raise BadAudio(f"{self.name}: {'too damaged to read' if self._damaged else 'there is no sound in it'}")
        promised = self.promised or at
        # Lossy encoders fill up their last packet, and not every header takes that into account.
        if self._damaged or promised - at > 0.1 * self.rate:
            what = f"of {promised / self.rate:.2f} s" if promised > at else "before the damage"
            message = f"{self.name}: cut short or damaged; only {at / self.rate:.2f} s {what} could be read"
            warnings.warn(message, CutShort, stacklevel=2)

    def _absurd(self, block: Samples, at: int) -> str:
        frame = int(np.argmin((np.abs(block) <= LOUDEST).all(1)))
        value = block[frame][~(np.abs(block[frame]) <= LOUDEST)][0]
        what = "not a number" if np.isnan(value) else f"{value:g}, and full scale is 1"
        return f"{self.name}: the sample at {(at + frame) / self.rate:.2f} s is {what}; repair or export the file anew"

    def _check(self) -> None:
        low, high = RATES_HZ
        if not low <= self.rate <= high:
            raise BadAudio(f"{self.name}: a rate of {self.rate} Hz; from {low} to {high} Hz can be used")
        if self.channels < 1:
            raise BadAudio(f"{self.name}: no channels")

    @abstractmethod
    def _decode(self) -> Iterator[Samples]:
        """Blocks of at least one frame; stops where the decoder fails, after setting `_damaged`."""


class _Onward(soundfile.SoundFile):  # type: ignore[misc]  # it brings no types
    """Reads on from where it is. soundfile seeks after each read, which in an mp3 of variable bitrate goes astray."""

    def seekable(self) -> bool:
        return False


class _Recording(Source):
    """What libsndfile reads."""

    def __init__(self, file: IO[bytes], name: str, stack: ExitStack) -> None:
        super().__init__(file, name)
        self._disk = Disk(file)
        self._sound = stack.enter_context(_Onward(self._disk))
        kind = self._sound.subtype if self._sound.format == "OGG" else self._sound.format
        self.format = {"VORBIS": "ogg", "WAVEX": "wav", "RF64": "wav"}.get(kind, kind.lower())
        self.rate, self.channels = self._sound.samplerate, self._sound.channels
        self._check()
        if self._sound.frames < _UNKNOWN:
            self.frames = self._sound.frames
            at = file.tell()
            self.promised = promised_frames(file, self.frames)
            file.seek(at)

    def _decode(self) -> Iterator[Samples]:
        while not self._damaged:
            block = np.empty((BLOCK, self.channels), np.float32)
            end = 0
            while end < BLOCK:
                step = block[end : end + STEP]
                step[:, -1] = np.nan  # where the decoder fails it does not say how far it came
                try:
                    got = len(self._sound.read(out=step))
                except soundfile.LibsndfileError:
                    got = int(np.argmax(np.isnan(step[:, -1])))
                    # A flac of unknown length ends by an error even where it is whole.
                    self._damaged = self.promised is not None or self._disk.tell() < self.bytes
                end += got
                if got < STEP:
                    break
            if self._disk.error:
                raise self._disk.error
            if end:
                yield block[:end]
            if end < BLOCK:
                return


class _Film(Source):
    """What FFmpeg reads, pictures left aside."""

    def __init__(self, file: IO[bytes], name: str, stack: ExitStack) -> None:
        import av

        super().__init__(file, name)
        try:
            options = {"format_whitelist": CONTAINERS}
            self._container = stack.enter_context(av.open(file, "r", options=options, metadata_errors="ignore"))
        except av.FFmpegError as error:
            raise BadAudio(f"{name}: not a recording, or one too damaged to read") from error
        stream: Any = self._container.streams.best("audio")
        # Sound that FFmpeg has no decoder for, or that never begins, leaves the stream without a context or a rate.
        if getattr(stream, "codec_context", None) is None or not stream.rate or not stream.channels:
            raise BadAudio(f"{name}: there is no sound in it that can be decoded")
        self._stream = stream
        self.rate, self.channels = stream.rate, stream.channels
        self._check()
        kinds = self._container.format.name.split(",")
        self.format = next((kind for kind in ("mp4", "webm") if kind in kinds), kinds[0])
        if stream.duration and stream.time_base:
            self.frames = round(stream.duration * stream.time_base * self.rate)
        elif self._container.duration:
            self.frames = round(self._container.duration * self.rate / 1_000_000)  # FFmpeg counts in microseconds
        self.promised = self.frames

    def _decode(self) -> Iterator[Samples]:
        held: list[Samples] = []
        length = total = 0
        for packet in self._packets():
            held.append(packet)
            length += len(packet)
            total += len(packet)
            if length > BLOCK + _PADDING:
                joined = np.concatenate(held)
                yield joined[:BLOCK]
                held, length = [joined[BLOCK:]], length - BLOCK
        # MP4 alone says to the sample where its sound ends inside of the last packet.
        surplus = total - self.frames if self.frames and self.format == "mp4" else 0
        if 0 < surplus <= min(_PADDING, length):
            length -= surplus
        if length:
            yield np.concatenate(held)[:length]

    def _packets(self) -> Iterator[Samples]:
        import av

        resampler = av.AudioResampler(format="flt", layout=self._stream.layout, rate=self.rate)
        try:
            for frame in self._container.decode(self._stream):
                yield from self._converted(resampler.resample(frame))
            yield from self._converted(resampler.resample(None))
        except av.FFmpegError:
            self._damaged = True

    def _converted(self, frames: list[Any]) -> Iterator[Samples]:
        for frame in frames:
            if frame.samples:
                yield frame.to_ndarray().reshape(-1, self.channels)


@contextmanager
def opened(path: Path | str) -> Iterator[Source]:
    """A recording, ready to decode; `"-"` is standard input, of any format.

    Raises:
        BadAudio: No such file, a folder, not a recording, nothing in it, or at a rate that nobody can hear.
        NoSpace: A pipe's contents do not fit the folder of temporary files.
    """
    with ExitStack() as stack:
        name = "standard input" if str(path) == "-" else str(path)
        file = _bytes(path, name, stack)
        if not file.read(1):
            raise BadAudio(f"{name}: empty (0 bytes)")
        yield _source(file, name, stack)


def _bytes(path: Path | str, name: str, stack: ExitStack) -> IO[bytes]:
    if str(path) == "-":
        return stack.enter_context(spooled(sys.stdin.buffer))
    try:
        file = Path(path).open("rb")  # noqa: SIM115 - closed by the stack
    except FileNotFoundError as error:
        raise BadAudio(f"{name}: there is no such file") from error
    except IsADirectoryError as error:
        raise BadAudio(f"{name}: a folder, not a recording") from error
    except OSError as error:
        raise BadAudio(f"{name}: cannot be read ({error.strerror})") from error
    stack.enter_context(file)
    return file if file.seekable() else stack.enter_context(spooled(file))


def _source(file: IO[bytes], name: str, stack: ExitStack) -> Source:
    try:
        recording = _Recording(file, name, stack)
    except soundfile.LibsndfileError:
        return _Film(file, name, stack)
    if recording.frames != 0:
        return recording
    # A recorder that was switched off leaves a length of zero in its header; FFmpeg reads on regardless.
    try:
        return _Film(file, name, stack)
    except BadAudio:
        return recording
