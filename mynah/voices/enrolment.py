"""From recordings to a voice: what is usable is cut out, measured and heard."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from mynah.audio.files import stream
from mynah.audio.mixing import faded
from mynah.audio.resample import Resampler
from mynah.core.errors import BadAudio, BadVoice
from mynah.core.types import Audio, Contour
from mynah.voices.ears import CONTENT_HZ, Ears
from mynah.voices.quality import (
    FRAME_SECONDS,
    at_times,
    clipped,
    levels,
    music_under,
    noise_distance_db,
    sounding,
    sounds_like_music,
)  # fmt: skip

RATE = 32_000
LEAST_VOICED_SECONDS = 3.0
GOOD_SECONDS = 30.0
MOST_SECONDS = 900.0
BANK_FRAMES = 3000
# What in a folder is taken for a recording.
SUFFIXES = frozenset({
    ".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aiff", ".aif", ".aifc", ".m4a", ".mp4", ".webm", ".aac", ".wma",
    ".mov", ".mkv", ".au", ".caf", ".w64", ".3gp",
})  # fmt: skip

_GAP_SECONDS = 0.3  # shorter pauses are left in
_EDGE_SECONDS = 0.1  # of every pause that stay on either side
_LEAST_PHRASE_SECONDS = 0.15
_CLIP_SECONDS = 12.0  # phrases are joined into clips of about this length
_FADE_SECONDS = 0.005
_MOSTLY_CLIPPED, _SOMEWHAT_CLIPPED = 0.2, 0.002  # shares of the sounding samples
_NOISY_DB = 15.0

Progress = Callable[[float], None]


@dataclass(frozen=True, eq=False)
class Take:
    """What recordings of a voice amount to.

    Attributes:
        clips: Mono, 32 kHz, without silences.
        seconds: Of the clips together.
        range_hz: 5th and 95th percentile of the pitch.
        embedding: Shape `[feature]`, unit length.
        bank: Content frames that are voiced, float16, shape `[frame, feature]`, at most `BANK_FRAMES`.
        advice: One sentence for each thing that could be better.
    """

    clips: tuple[Audio, ...]
    seconds: float
    range_hz: tuple[float, float]
    embedding: Tensor
    bank: Tensor
    advice: tuple[str, ...]


def take(recordings: Sequence[Path | str | Audio], ears: Ears, progress: Progress | None = None) -> Take:
    """Cut, measure and hear recordings of one voice.

    Args:
        recordings: Files, folders of files, or sound in memory.
        ears: What to listen with.
        progress: Told the fraction that is done, 0 to 1.

    Raises:
        BadAudio: A file that is no recording, or sound that is empty or not finite.
        BadVoice: Silent, mostly clipped, or with less than three seconds of voiced sound.
    """
    tell = progress or (lambda fraction: None)
    sources = list(expanded(recordings))
    if not sources:
        raise BadVoice("a voice needs at least one recording, and there is none")
    clips: list[Audio] = []
    flat = loud = 0
    room = MOST_SECONDS
    heard_seconds = 0.0
    for number, source in enumerate(sources):
        if room <= 0:
            break
        whole, flat_here, loud_here = _at_rate(source, room)
        heard_seconds += whole.seconds
        flat, loud = flat + flat_here, loud + loud_here
        for clip in phrases(whole):
            if room > 0:
                clips.append(clip)
                room -= clip.seconds
        tell(0.2 * (number + 1) / len(sources))
    if not clips:
        raise BadVoice(f"the recording is silent: nothing in its {heard_seconds:.1f} s is loud enough to be a voice")
    if flat > _MOSTLY_CLIPPED * loud:
        raise BadVoice("the recording is mostly clipped: record again with less gain, or farther from the microphone")
    contours = []
    for number, clip in enumerate(clips):
        contours.append(ears.pitch(clip))
        tell(0.2 + 0.5 * (number + 1) / len(clips))
    sung = [(clip, contour) for clip, contour in zip(clips, contours, strict=True) if contour.values.isfinite().any()]
    voiced_seconds = sum(int(contour.values.isfinite().sum()) * contour.hop_seconds for _, contour in sung)
    if voiced_seconds < LEAST_VOICED_SECONDS:
        raise BadVoice(
            f"the recording has {voiced_seconds:.1f} s of voiced sound in {heard_seconds:.1f} s, and a voice needs"
            f" {LEAST_VOICED_SECONDS:.0f} s at least, better {GOOD_SECONDS:.0f}: record more speech or singing"
        )
    clips = [clip for clip, _ in sung]
    hz = torch.cat([contour.values[contour.values.isfinite()] for _, contour in sung]).float()
    low, high = hz.quantile(torch.tensor([0.05, 0.95])).tolist()
    embedding = ears.embed(clips).float()
    tell(0.85)
    bank = _bank(sung, ears)
    seconds = sum(clip.seconds for clip in clips)
    tell(1.0)
    return Take(
        tuple(clips), seconds, (low, high), embedding, bank, tuple(_advice(sung, seconds, room <= 0, flat, loud))
    )


def hear_again(clips: Sequence[Audio], ears: Ears) -> tuple[Tensor, Tensor]:
    """Embedding and bank, as in a `Take`, of clips that were cut before."""
    sung = [(clip, contour) for clip in clips if (contour := ears.pitch(clip)).values.isfinite().any()]
    if not sung:
        raise BadVoice("the clips of the voice hold no voiced sound: enrol it again")
    return ears.embed([clip for clip, _ in sung]).float(), _bank(sung, ears)


def expanded(recordings: Sequence[Path | str | Audio]) -> Iterator[Path | Audio]:
    """The recordings, with every folder replaced by the recordings in it, sorted by path.

    Raises:
        BadVoice: A folder without any.
    """
    for recording in recordings:
        if isinstance(recording, Audio):
            yield recording
            continue
        path = Path(recording).expanduser()
        if not path.is_dir():
            yield path
            continue
        inside = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
        if not inside:
            raise BadVoice(f"the folder {path} holds no recordings")
        yield from inside


def phrases(audio: Audio) -> list[Audio]:
    """What is not silence, in clips of about twelve seconds; pauses shrink to a fifth of a second.

    Args:
        audio: One channel.
    """
    level = levels(audio)
    active = sounding(level)
    size = round(FRAME_SECONDS * audio.rate)
    edge = round(_EDGE_SECONDS / FRAME_SECONDS)
    spans: list[tuple[int, int]] = []
    for start, stop in _runs(active):
        if spans and (start - spans[-1][1]) * FRAME_SECONDS < _GAP_SECONDS:
            spans[-1] = spans[-1][0], stop
        else:
            spans.append((start, stop))
    spans = [(start, stop) for start, stop in spans if (stop - start) * FRAME_SECONDS >= _LEAST_PHRASE_SECONDS]
    spans = [part for start, stop in spans for part in _short(start, stop, level)]
    clips: list[Audio] = []
    parts: list[Tensor] = []
    for start, stop in spans:
        part = audio.samples[:, max(0, start - edge) * size : (stop + edge) * size]
        if parts and sum(p.shape[-1] for p in parts) + part.shape[-1] > _CLIP_SECONDS * audio.rate:
            clips.append(Audio(torch.cat(parts, -1), audio.rate))
            parts = []
        parts.append(faded(part, audio.rate, _FADE_SECONDS))
    if parts:
        clips.append(Audio(torch.cat(parts, -1), audio.rate))
    return clips


def spread(count: int, most: int) -> Tensor:
    """At most `most` of `count` positions, evenly spread.

    Example:

        >>> spread(10, 3)
        tensor([1, 5, 8])
    """
    kept = min(count, most)
    return ((torch.arange(kept, dtype=torch.float64) + 0.5) * count / max(1, kept)).long()


def _bank(sung: Sequence[tuple[Audio, Contour]], ears: Ears) -> Tensor:
    kept = []
    for clip, contour in sung:
        frames = ears.frames(clip)
        # Frame i stands for the time from i to i + 1.
        times = (torch.arange(len(frames)) + 0.5) / CONTENT_HZ
        kept.append(frames[contour.values[at_times(times, contour)].isfinite()])
    bank = torch.cat(kept)
    return bank[spread(len(bank), BANK_FRAMES)].half()


def _advice(sung: Sequence[tuple[Audio, Contour]], seconds: float, full: bool, flat: int, loud: int) -> Iterator[str]:
    if seconds < GOOD_SECONDS:
        yield f"only {seconds:.0f} s remain without the silences; {GOOD_SECONDS:.0f} s or more make a better likeness"
    if full:
        yield f"only the first {MOST_SECONDS / 60:.0f} minutes of voice are kept"
    if flat > _SOMEWHAT_CLIPPED * loud:
        yield f"{100 * flat / loud:.1f} % of the sound is clipped; record with less gain"
    level, voiced = [], []
    for clip, contour in sung:
        level.append(levels(clip))
        times = (torch.arange(len(level[-1])) + 0.5) * FRAME_SECONDS
        voiced.append(contour.values[at_times(times, contour)].isfinite())
    distance = noise_distance_db(torch.cat(level), torch.cat(voiced))
    noisy = distance < _NOISY_DB
    if noisy:
        yield f"the room or the microphone is noisy: the voice is only {max(0.0, distance):.0f} dB above it"
    found = torch.tensor([(*music_under(clip, contour), clip.seconds) for clip, contour in sung])
    found = found[found.isfinite().all(1)]
    if len(found):
        below, between, flatness = ((found[:, :3] * found[:, 3:]).sum(0) / found[:, 3].sum()).tolist()
        if sounds_like_music(below, 0.0 if noisy else between, flatness):
            yield "there seems to be music or rumble under the voice; a recording of the voice alone is better"


def _at_rate(source: Path | Audio, most_seconds: float) -> tuple[Audio, int, int]:
    """A source in mono at `RATE`, and how many of its own samples are clipped and how many sound."""
    if isinstance(source, Audio):
        if not source.samples.numel():
            raise BadAudio("the recording is empty")
        if not source.samples.isfinite().all():
            raise BadAudio("the recording holds samples that are not numbers (NaN or infinite)")
        blocks = iter([Audio(source.samples.float(), source.rate)])
    else:
        blocks = stream(source)
    resampler: Resampler | None = None
    parts: list[Tensor] = []
    flat = loud = 0
    done = 0.0
    for block in blocks:
        flat += int(clipped(block).sum())
        loud += int(sounding(levels(block)).sum()) * round(FRAME_SECONDS * block.rate)
        resampler = resampler or Resampler(block.rate, RATE)
        parts.append(resampler.push(Audio(block.samples.mean(0, keepdim=True), block.rate)).samples)
        done += block.seconds
        # Pauses do not count towards what is kept, so a little more is read than may be needed.
        if done > 1.2 * most_seconds + 60:
            break
    if resampler:
        parts.append(resampler.flush().samples)
    wave = torch.cat(parts, -1) if parts else torch.zeros(1, 0)
    return Audio(wave, RATE), flat, max(1, loud)


def _runs(active: Tensor) -> list[tuple[int, int]]:
    edges = torch.cat([torch.zeros(1), active.float(), torch.zeros(1)]).diff()
    return list(zip((edges > 0).nonzero()[:, 0].tolist(), (edges < 0).nonzero()[:, 0].tolist(), strict=True))


def _short(start: int, stop: int, level: Tensor) -> Iterator[tuple[int, int]]:
    """Cut a span where it is quietest, so that no part is much longer than a clip should be."""
    early, late = round(0.8 * _CLIP_SECONDS / FRAME_SECONDS), round(1.2 * _CLIP_SECONDS / FRAME_SECONDS)
    while stop - start > late + early:
        cut = start + early + int(level[start + early : start + late].argmin())
        yield start, cut
        start = cut
    yield start, stop
