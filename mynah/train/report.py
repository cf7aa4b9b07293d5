"""A report on recordings before anything is trained on them: how much of whom, how good, and what to mend."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mynah.audio.files import probe
from mynah.core.atomic import replacing
from mynah.core.errors import BadAudio, BadData, NoSpace
from mynah.train.data import Clip, Prepared
from mynah.train.survey import HIGHEST, LOWEST, Facts, duplicates, survey

LEAST_SECONDS = 10.0  # of singing, below which a singer cannot be learnt
GOOD_MINUTES = 10.0
BYTES_PER_SECOND = 100_000  # of what is prepared: 32 and 16 kHz, and pitch
_CLIPS = 1e-4  # share of samples
_NOISY_DB = 30.0  # between the voice and its pauses
_ECHO = (0.4, -25.0)  # seconds and dB of a reverb that will be learnt
_DULL_HZ = 11_000.0
_RARE = 0.005  # of the notes at either end, which trackers and shouts account for
_SHOWN = 3


@dataclass(frozen=True)
class Singer:
    """What there is of one singer.

    Attributes:
        name: Of the folder.
        recordings: That can be used.
        minutes: As recorded.
        sung: Minutes without pauses.
        slices: How many phrases that is.
        range_hz: Lowest and highest note, but for half a percent at either end; zeros where nothing has a pitch.
        notes: Seconds on each MIDI note from 24 to 96.
        clipping: Recordings with flat tops.
        noise_db: Median level of pauses against full scale; NaN where nobody pauses.
        distance_db: Median distance of the voice to it.
        decay_seconds: Median reverb of those recordings that have one.
        echoing: How many have one that will be learnt.
        dull: How many hold nothing above 11 kHz.
        rates: Of the files, in Hz.
    """

    name: str
    recordings: int
    minutes: float
    sung: float
    slices: int
    range_hz: tuple[float, float]
    notes: tuple[float, ...]
    clipping: int
    noise_db: float
    distance_db: float
    decay_seconds: float
    echoing: int
    dull: int
    rates: tuple[int, ...]


@dataclass(frozen=True)
class Report:
    """What there is of all.

    Attributes:
        singers: By name.
        skipped: Why recordings cannot be used, by path.
        duplicates: Pairs of paths.
        stops: Why it cannot be trained on as it is.
        mend: What would make the result better.
    """

    singers: tuple[Singer, ...]
    skipped: dict[str, str]
    duplicates: tuple[tuple[str, str], ...]
    stops: tuple[str, ...]
    mend: tuple[str, ...]

    def check(self) -> None:
        """Stop before training does.

        Raises:
            BadData: Naming every reason, one a line.
        """
        if self.stops:
            raise BadData("\n".join(self.stops))

    def save(self, path: Path) -> Path:
        """Write it as JSON, whole or not at all; what is no number is null."""
        with replacing(path) as half:
            half.write_text(json.dumps(_plain(asdict(self)), indent=1, ensure_ascii=False), "utf-8")
        return path


def enough_room(clips: Sequence[Clip], folder: Path, bytes_per_second: int = BYTES_PER_SECOND) -> float:
    """Hours of recordings, for which there is room; recordings that cannot be opened count for nothing.

    Raises:
        NoSpace: What has to be kept of them will not fit the disk of `folder`.
    """
    seconds = 0.0
    for clip in clips:
        try:
            seconds += probe(clip.path).seconds
        except BadAudio:
            continue
    place = folder.resolve()
    while not place.exists():
        place = place.parent
    need, free = seconds * bytes_per_second, shutil.disk_usage(place).free
    kept = sum(path.stat().st_size for path in folder.rglob("*.i16")) if folder.exists() else 0
    if need - kept > free:
        raise NoSpace(
            f"{seconds / 3600:.0f} hours of recordings need {need / 1e9:.0f} GB in {folder}, and {free / 1e9:.0f} GB "
            "are free: choose another folder with --out, or fewer recordings"
        )
    return seconds / 3600


def report(
    clips: Sequence[Clip],
    prepared: Prepared,
    *,
    workers: int = 2,
    progress: Callable[[float], None] = lambda fraction: None,
) -> Report:
    """Look at what was prepared of some clips.

    Args:
        clips: All that were found, to know of whom nothing could be used.
        prepared: What became of them.
        workers: Processes to do it in.
        progress: Told the fraction done.
    """
    found = survey(prepared.takes, workers=workers, progress=progress)
    skipped = {str(path): why for path, why in prepared.skipped.items()}
    pairs = list(zip(prepared.takes, found, strict=True))
    skipped |= {str(take.clip.path): str(fact) for take, fact in pairs if isinstance(fact, BadAudio)}
    good = [(take, fact) for take, fact in pairs if isinstance(fact, Facts)]
    by_singer: dict[str, list[tuple[Facts, float]]] = {clip.speaker: [] for clip in clips}
    for take, fact in good:
        by_singer[take.clip.speaker].append((fact, take.bandwidth_hz))
    twice = duplicates([take for take, _ in good], [fact for _, fact in good])
    singers = tuple(_singer(name, by_singer[name]) for name in sorted(by_singer))
    doubles = tuple((str(one.clip.path), str(other.clip.path)) for one, other in twice)
    two_names = [(one, other) for one, other in twice if one.clip.speaker != other.clip.speaker]
    mend = [line for singer in singers for line in _mend(singer)]
    if doubles:
        mend.append(f"{len(doubles)} recordings are there twice, such as {doubles[0][1]}: remove one of each")
    if two_names:
        one, other = two_names[0]
        mend.append(f"{one.clip.path} is also sung by {other.clip.speaker!r}: one of the two folders is wrong")
    if skipped:
        mend.append(f"{len(skipped)} recordings cannot be used, such as: {next(iter(skipped.values()))}")
    return Report(singers, skipped, doubles, tuple(filter(None, map(_stop, singers))), tuple(mend))


def _singer(name: str, found: Sequence[tuple[Facts, float]]) -> Singer:
    facts = [fact for fact, _ in found]
    counts = [sum(column) / 100 for column in zip(*(fact.notes for fact in facts), strict=True)]
    counts = counts or [0.0] * (HIGHEST - LOWEST + 1)
    echoes = [fact.decay_seconds for fact in facts if fact.decay_seconds >= _ECHO[0] and fact.wet_db >= _ECHO[1]]
    return Singer(
        name=name,
        recordings=len(facts),
        minutes=sum(fact.seconds for fact in facts) / 60,
        sung=sum(fact.sung for fact in facts) / 60,
        slices=sum(fact.slices for fact in facts),
        range_hz=_range(counts),
        notes=tuple(counts),
        clipping=sum(fact.clipped > _CLIPS for fact in facts),
        noise_db=_median([fact.floor_db for fact in facts]),
        distance_db=_median([fact.distance_db for fact in facts]),
        decay_seconds=_median([fact.decay_seconds for fact in facts if fact.decay_seconds]),
        echoing=len(echoes),
        dull=sum(bandwidth < _DULL_HZ for _, bandwidth in found),
        rates=tuple(sorted({fact.rate for fact in facts})),
    )


def _range(counts: Sequence[float]) -> tuple[float, float]:
    total, run, ends = sum(counts), 0.0, []
    if not total:
        return 0.0, 0.0
    for place, count in enumerate(counts):
        before, run = run, run + count
        if before <= _RARE * total < run or before < (1 - _RARE) * total <= run:
            ends.append(440 * 2 ** ((place + LOWEST - 69) / 12))
    return round(ends[0], 1), round(ends[-1], 1)


def _median(values: Sequence[float]) -> float:
    known = sorted(value for value in values if math.isfinite(value))
    return known[len(known) // 2] if known else float("nan")


def _stop(singer: Singer) -> str:
    if not singer.recordings:
        return f"{singer.name}: not one recording can be used: record anew, or remove the folder"
    if singer.sung * 60 < LEAST_SECONDS:
        return (
            f"{singer.name}: {60 * singer.sung:.1f} s of singing without pauses: at least {LEAST_SECONDS:g} s are "
            f"needed, and {GOOD_MINUTES:g} minutes are good; add recordings, or remove the folder"
        )
    return ""


def _mend(singer: Singer) -> list[str]:
    name, every = singer.name, singer.recordings
    lines = []
    if LEAST_SECONDS / 60 <= singer.sung < GOOD_MINUTES:
        lines.append(f"{name}: {singer.sung:.1f} minutes of singing; {GOOD_MINUTES:g} and more are better")
    if singer.clipping:
        lines.append(f"{name}: {singer.clipping} of {every} recordings clip: record them again with less gain")
    if singer.distance_db < _NOISY_DB:
        lines.append(
            f"{name}: pauses are only {singer.distance_db:.0f} dB quieter than the voice: take the noise or the "
            "accompaniment off"
        )
    if singer.echoing:
        lines.append(
            f"{name}: {singer.echoing} of {every} recordings have reverb ({singer.decay_seconds:.1f} s), which would "
            "be learnt as part of the voice: use dry ones"
        )
    if singer.dull:
        lines.append(f"{name}: {singer.dull} of {every} recordings hold nothing above 11 kHz: use the originals")
    return lines


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def draw(found: Report, path: Path) -> Path:
    """A picture: minutes of every singer, and how long each sings on which note.

    Raises:
        MissingExtra: matplotlib is not installed.
        BadOption: A format that cannot be drawn.
    """
    from mynah.metrics.picture import new_figure, save

    rows = found.singers
    figure = new_figure(path, 10.0, 1.5 + 1.1 * len(rows))
    left, right = figure.subplots(1, 2, width_ratios=(1, 2), squeeze=True)
    places = [place - 0.45 for place in range(len(rows))]
    left.barh(places, [singer.minutes for singer in rows], 0.7, color="#cccccc", label="recorded")
    left.barh(places, [singer.sung for singer in rows], 0.7, color="#d1495b", label="sung")
    left.set_yticks(places, [singer.name.replace("$", r"\$") for singer in rows])
    left.set_xlabel("minutes")
    left.set_ylim(len(rows) - 0.9, -1.5)
    left.legend(frameon=False, loc="upper left", ncols=2)
    numbers = range(LOWEST, HIGHEST + 1)
    for place, singer in enumerate(rows):
        most = max(singer.notes) or 1.0
        right.fill_between(
            numbers, place, [place - 0.9 * count / most for count in singer.notes], step="mid", color="#30638e"
        )
    right.set_xticks([24, 36, 48, 60, 72, 84, 96], ["C1", "C2", "C3", "C4", "C5", "C6", "C7"])
    right.set_xlabel("note")
    right.set_yticks([])
    right.set_ylim(len(rows) - 0.9, -1.5)
    return save(figure, path)
