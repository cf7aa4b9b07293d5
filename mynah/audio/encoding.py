"""Encoders: what each format of file can hold, and how sound gets into it."""

from __future__ import annotations

import math
import shutil
import sys
import tempfile
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from torch import Tensor

from mynah.audio.aac import LAYOUTS, RATES_HZ, encode_aac
from mynah.audio.chunks import regroup
from mynah.audio.containers import forget_chance, forget_clock
from mynah.audio.disk import Disk, typed_errors
from mynah.audio.resample import Resampler
from mynah.core.atomic import replacing
from mynah.core.errors import BadAudio, BadOption
from mynah.core.types import Audio

STEP = 4096  # frames per call; libsndfile's Vorbis keeps a whole call on the stack, and dies of long ones
LIMIT_BYTES = 0xF000_0000  # wav and aiff count their bytes with 32 bits


@dataclass(frozen=True)
class Format:
    """What a kind of file can hold.

    Attributes:
        major: libsndfile's name of it; `"M4A"`, which that cannot write, is FFmpeg's.
        subtypes: libsndfile's names of its encodings, by bits per sample; `None` is the default.
        channels: At most so many.
        rates: In Hz, ascending; those between are resampled to the next above.
        any_rate: Whether every rate from the first to the last of `rates` will do.
        compression: 0 for the best quality, 1 for the smallest file; `None` where it does not change what is heard.
    """

    major: str
    subtypes: dict[int | None, str]
    channels: int
    rates: tuple[int, ...]
    any_rate: bool = True
    compression: float | None = None

    def fitting_rate(self, rate: int) -> int:
        """The rate to write at: the same if the format has it, else the next above, else the highest.

        Example:

            >>> [FORMATS["opus"].fitting_rate(rate) for rate in (16_000, 44_100, 192_000)]
            [16000, 48000, 48000]
        """
        if self.any_rate:
            return min(max(rate, self.rates[0]), self.rates[-1])
        return self.rates[min(bisect_left(self.rates, rate), len(self.rates) - 1)]


_PCM: dict[int | None, str] = {None: "PCM_24", 16: "PCM_16", 24: "PCM_24"}
_MP3_RATES = (8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
FORMATS = {
    "wav": Format("WAV", {**_PCM, 32: "FLOAT"}, 1024, (1, 768_000)),
    "flac": Format("FLAC", _PCM, 8, (1, 655_350)),
    "mp3": Format("MP3", {None: "MPEG_LAYER_III"}, 2, _MP3_RATES, False, compression=0.0),
    "ogg": Format("OGG", {None: "VORBIS"}, 255, (8000, 192_000), compression=0.3),
    "opus": Format("OGG", {None: "OPUS"}, 255, (8000, 12_000, 16_000, 24_000, 48_000), False, compression=0.6),
    "m4a": Format("M4A", {None: "AAC"}, len(LAYOUTS), RATES_HZ, False),
    "aiff": Format("AIFF", {**_PCM, 32: "FLOAT"}, 1024, (1, 768_000)),
}


def format_of(path: Path | str, channels: int, bits: int | None) -> Format:
    """The format that a file's suffix asks for; wav for pipes and devices.

    Raises:
        BadOption: The suffix is none of ours, or the format does not hold so many channels or bits.
    """
    suffix = Path(path).suffix.lower().removeprefix(".")
    if not suffix and is_pipe(path):
        suffix = "wav"
    name = {"aif": "aiff", "oga": "ogg"}.get(suffix, suffix)
    if name not in FORMATS:
        raise BadOption(f"cannot write {path}: the name must end in one of .{', .'.join(FORMATS)}")
    format = FORMATS[name]
    if channels > format.channels:
        raise BadOption(f"{name} holds at most {format.channels} channels, not {channels}: choose wav or mix down")
    if bits not in format.subtypes:
        offered = ", ".join(str(each) for each in format.subtypes if each) or "none"
        raise BadOption(f"{name} cannot hold {bits} bits per sample (choices: {offered})")
    return format


def is_pipe(path: Path | str) -> bool:
    """Whether this is standard output, a named pipe or a device, which cannot be replaced by a finished file."""
    return str(path) == "-" or (Path(path).exists() and not Path(path).is_file() and not Path(path).is_dir())


def encode(
    blocks: Iterable[Audio], path: Path | str, format: Format, bits: int | None, channels: int, time: int
) -> None:
    """Write blocks of one rate as a file that appears whole or not at all.

    Integer samples are rounded to the nearest step, without dither: what was read from a file of as many bits is
    written back unchanged, and equal sound gives equal bytes.

    Args:
        blocks: The sound, nowhere above full scale; shape of samples `[channels, any]`.
        path: Where to; `"-"` is standard output.
        format: Of the file.
        bits: Per sample; one of the format's.
        channels: How many.
        time: Samples per channel, all blocks together.

    Raises:
        NoSpace: The disk is full.
        BadOption: The place cannot be written to, or the sound is too long for an aiff.
    """
    with target(path) as half:
        encode_into(half, blocks, path, format, bits, channels, time)


def encode_into(
    half: Path, blocks: Iterable[Audio], path: Path | str, format: Format, bits: int | None, channels: int, time: int
) -> None:
    """As `encode`, for whoever has a `target` open: writes the file `half`; errors speak of `path`."""
    blocks = iter(blocks)
    first = next(blocks)
    rate = format.fitting_rate(first.rate)
    subtype = format.subtypes[bits]
    width = {"PCM_16": 2, "PCM_24": 3, "FLOAT": 4}.get(subtype, 0)
    major = format.major
    if width * channels * time > LIMIT_BYTES:
        if major == "AIFF":
            raise BadOption(f"{path}: an aiff file holds at most 4 GB; choose wav or flac")
        major = "RF64" if major == "WAV" else major
    steps = _steps(_chain(first, blocks), rate)
    with typed_errors(path), half.open("w+b", buffering=0) as file:
        if major == "M4A":
            encode_aac(steps, file, rate, channels)
            return
        disk = Disk(file)
        try:
            with soundfile.SoundFile(
                disk,
                "w",
                rate,
                channels,
                subtype,
                format=major,
                compression_level=format.compression,
                bitrate_mode="VARIABLE" if major == "MP3" else None,
            ) as sound:
                for step in steps:
                    sound.write(_quantised(step, 8 * width if width in (2, 3) else None))
                    if disk.error:
                        break
        except (soundfile.LibsndfileError, AssertionError):  # soundfile asserts that all was written
            if disk.error is None:
                raise
        if disk.error:
            raise disk.error
        if major == "OGG":
            forget_chance(file)
        elif subtype == "FLOAT":
            forget_clock(file)


@contextmanager
def target(path: Path | str) -> Iterator[Path]:
    """Where to write so that `path` gets the finished file and never half of one.

    Raises:
        NoSpace: The disk is full.
        BadOption: The place cannot be written to.
    """
    if not is_pipe(path):
        with typed_errors(path), replacing(path) as half:
            yield half
        return
    with typed_errors(path), tempfile.TemporaryDirectory() as folder:
        half = Path(folder, "sound")
        yield half
        with half.open("rb") as whole:
            if str(path) == "-":
                shutil.copyfileobj(whole, sys.stdout.buffer)
                sys.stdout.buffer.flush()
            else:
                with Path(path).open("wb", buffering=0) as device:
                    shutil.copyfileobj(whole, device)


def _chain(first: Audio, rest: Iterable[Audio]) -> Iterator[Audio]:
    yield first
    yield from rest


def _steps(blocks: Iterable[Audio], rate: int) -> Iterator[Tensor]:
    def resampled() -> Iterator[Tensor]:
        resampler: Resampler | None = None
        for block in blocks:
            resampler = resampler or Resampler(block.rate, rate)
            yield resampler.push(block).samples
        if resampler:
            yield resampler.flush().samples

    return regroup(resampled(), STEP)


def _quantised(samples: Tensor, bits: int | None) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Interleaved samples on the grid of so many bits: libsndfile by itself would round toward minus infinity."""
    if bits:
        full = 2.0 ** (bits - 1)
        samples = (samples * full).round().clamp(-full, full - 1) / full
    return np.ascontiguousarray(samples.numpy().T)


def gain_for(peak: float, peak_db: float | None, lossless_float: bool) -> float:
    """By what to multiply so that a peak stays under the ceiling; 1 where it does already.

    Args:
        peak: Largest absolute sample.
        peak_db: The ceiling in dB below full scale; `None` for full scale itself.
        lossless_float: Whether the file holds any value, so that without a ceiling nothing has to give way.
    """
    if peak_db is None:
        return 1.0 if lossless_float else min(1.0, 1.0 / max(peak, 1e-9))
    if peak_db > 0:
        raise BadOption(f"a peak of {peak_db:g} dB would clip: choose 0 or less")
    return min(1.0, 10 ** (peak_db / 20) / max(peak, 1e-9))


def usable(audio: Audio, path: Path | str) -> tuple[Audio, float]:
    """The same on the CPU, if it is fit to be written, and its largest absolute sample (0 where there is none).

    Raises:
        BadAudio: Wrong shape, or a sample that is NaN or infinite.
    """
    samples = audio.samples.detach().cpu().float()
    if samples.dim() != 2 or not samples.shape[0]:
        raise BadAudio(f"{path}: samples of shape {list(samples.shape)}, which must be [channel, time]")
    if not samples.numel():
        return Audio(samples, audio.rate), 0.0
    low, high = samples.aminmax()
    peak = max(-low.item(), high.item())
    if not (math.isfinite(low.item()) and math.isfinite(high.item())):
        raise BadAudio(f"{path}: not written, because the sound has samples that are not finite numbers")
    return Audio(samples, audio.rate), peak
