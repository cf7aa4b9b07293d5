"""Sound that is heard while it is still being made: encoders whose bytes are final as soon as they are written."""

from __future__ import annotations

from fractions import Fraction
from types import TracebackType
from typing import IO, Any, Self

import numpy as np

from mynah.audio.encoding import FORMATS, gain_for, usable
from mynah.audio.resample import Resampler
from mynah.core.errors import BadOption
from mynah.core.types import Audio

PCM_RATE = 24_000  # of sound without a header, as OpenAI has it: 16 bits, one channel, the lower byte first
PEAK_DB = -1.0
# FFmpeg's names of container, encoder and samples; of some, how many bits a second, and what else it is to be told.
_FFMPEG: dict[str, tuple[str, str, str, int, dict[str, str]]] = {
    "mp3": ("mp3", "libmp3lame", "fltp", 96_000, {"write_xing": "0", "id3v2_version": "0"}),
    "opus": ("ogg", "libopus", "flt", 48_000, {"page_duration": "20000"}),
    "aac": ("adts", "aac", "fltp", 96_000, {}),
    "wav": ("wav", "pcm_s16le", "s16", 0, {}),
    "pcm": ("s16le", "pcm_s16le", "s16", 0, {}),
}
FLOWING = tuple(_FFMPEG)


class Flow:
    """One channel of sound, written piece by piece into a file that somebody reads already.

    Nothing is ever written over, and no header knows the length: that of a wav tells the largest there is, as those
    that come through pipes do. (A flac that does not tell its length is refused by libsndfile, so there is none.) The
    same pieces give the same bytes. A piece that is too loud is made softer by itself.

    Args:
        file: Opened for writing; it is not closed.
        format: One of `FLOWING`.
        rate: Of the pieces, in Hz.

    Raises:
        BadOption: No such format.
    """

    _container: Any
    _stream: Any

    def __init__(self, file: IO[bytes], format: str, rate: int) -> None:
        import av

        if format not in _FFMPEG:
            raise BadOption(f"{format} cannot be heard before it is whole: choose among {', '.join(FLOWING)}")
        container, codec, self._kind, bits, extra = _FFMPEG[format]
        self.rate = PCM_RATE if format == "pcm" else FORMATS.get(format, FORMATS["m4a"]).fitting_rate(rate)
        self._file, self._at = file, 0
        self._resampler = Resampler(rate, self.rate)
        options = {"fflags": "+bitexact", "flush_packets": "1", **extra}
        self._container = av.open(_Forward(file), "w", format=container, options=options)
        self._stream = self._container.add_stream(codec, rate=self.rate, layout="mono")
        self._stream.codec_context.flags |= av.codec.context.Flags.bitexact
        if bits:
            self._stream.bit_rate = min(bits, 5 * self.rate) if codec == "aac" else bits

    def push(self, audio: Audio) -> None:
        """Write a piece, of any length; channels are mixed down to one.

        Raises:
            BadAudio: It is not finite, or of another rate.
        """
        audio, peak = usable(Audio(audio.samples.mean(0, keepdim=True), audio.rate), "the stream")
        self._encode(self._resampler.push(Audio(audio.samples * gain_for(peak, PEAK_DB, False), audio.rate)))
        self._file.flush()

    def close(self) -> None:
        """Write what the encoder still holds."""
        self._encode(self._resampler.flush())
        self._container.mux(self._stream.encode(None))
        self._container.close()
        self._file.flush()

    def _encode(self, audio: Audio) -> None:
        import av

        samples = audio.samples.numpy()
        if not samples.size:
            return
        if self._kind == "s16":
            samples = np.rint(samples * 32_767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format=self._kind, layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = self.rate, self._at, Fraction(1, self.rate)
        self._at += frame.samples
        self._container.mux(self._stream.encode(frame))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()


class _Forward:
    """What FFmpeg may do with the file: write on. Having no `seek`, it never goes back."""

    def __init__(self, file: IO[bytes]) -> None:
        self.write = file.write
