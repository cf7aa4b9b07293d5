"""What flows through the house: sound, contours, voices."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Audio:
    """A stretch of sound.

    Attributes:
        samples: Float32 waveform in [-1, 1], shape `[channel, time]`.
        rate: Sample rate in Hz.
    """

    samples: Tensor
    rate: int

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return self.samples.shape[-1] / self.rate


class Stems(dict[str, Audio]):
    """The parts of a mix by name, such as `"vocals"` and `"accompaniment"`: each as long as the mix and at its rate."""


@dataclass(frozen=True, eq=False)
class Contour:
    """One value per frame, such as a melody. Frame `i` is centred at `i * hop_seconds`.

    Attributes:
        values: Float32, shape `[frame]`. NaN where the thing is absent (pitch of an unvoiced frame).
        hop_seconds: Time between neighbouring frames.
        unit: What the values are in, for instance `"Hz"` or `"dB"`.
        confidence: Shape `[frame]`, 0 to 1, where the extractor knows how sure it is.
    """

    values: Tensor
    hop_seconds: float
    unit: str
    confidence: Tensor | None = None


@dataclass(frozen=True)
class Word:
    """One word of a transcript with the mark that follows it, from when to when in seconds.

    `confidence` is how probable the listener found it, 0 to 1.
    """

    text: str
    start_seconds: float
    end_seconds: float
    confidence: float | None = None


@dataclass(frozen=True)
class Line:
    """One line of a transcript: what is said or sung, from when to when in seconds.

    Attributes:
        words: With their times, where these were asked for.
        confidence: How probable the listener found it, 0 to 1: the geometric mean over its tokens.
        silence: How probable it is that nobody says anything here, 0 to 1.
    """

    text: str
    start_seconds: float
    end_seconds: float
    words: tuple[Word, ...] = ()
    confidence: float | None = None
    silence: float | None = None


@dataclass(frozen=True)
class Transcript:
    """The words of a recording.

    Attributes:
        text: All of them.
        language: That they are in, as ISO 639-1 has it, such as `"en"`; empty when it is not known.
        seconds: Length of the recording.
        lines: In order; empty when only the whole is known.
    """

    text: str
    language: str = ""
    seconds: float = 0.0
    lines: tuple[Line, ...] = ()


@dataclass(frozen=True)
class Terms:
    """Under what conditions a voice may be used.

    Attributes:
        license: SPDX identifier, such as `"CC0-1.0"`; empty for a private voice.
        attribution: Who is to be named, and where the recordings come from.
    """

    license: str = ""
    attribution: str = ""


@dataclass(frozen=True, eq=False)
class Voice:
    """Whoever should be heard: somebody just recorded, a trained singer, a community model, or a mixture.

    Attributes:
        name: As listed in the voice library.
        range_hz: Lowest and highest comfortable pitch, measured at enrolment; `(0, 0)` where nobody knows.
        clips: The recordings that the voice was enrolled from; empty for a shipped one.
        embedding: Shape `[feature]`, unit length, of the voice encoder named in `encoder`.
        encoder: Which voice encoder made the embedding; vectors of different encoders cannot be compared.
        bank: Content frames of the target, shape `[frame, feature]`, for retrieval.
        system: The one system that this voice belongs to, such as `"convert/rvc"`; empty when it suits any-to-any ones.
        weights: File with parameters trained for this voice alone.
        parts: Of a mixture, names and shares, for systems that know voices by name; the shares add up to 1.
        terms: Licence and attribution.
    """

    name: str
    range_hz: tuple[float, float]
    clips: tuple[Audio, ...] = ()
    embedding: Tensor | None = None
    encoder: str = ""
    bank: Tensor | None = None
    system: str = ""
    weights: Path | None = None
    parts: tuple[tuple[str, float], ...] = ()
    terms: Terms = field(default_factory=Terms)
