"""A report on recordings before anything is trained on them: how much of whom, how good, and what to mend."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from mynah.core.atomic import replacing
from mynah.core.errors import BadAudio, BadData
from mynah.train.data import Clip, Prepared, Take
from mynah.train.survey import HIGHEST, LOWEST, OUTLINE, Facts, survey
from mynah.train.twice import duplicates

LEAST_SECONDS = 10.0  # of singing, below which a singer cannot be learnt
GOOD_MINUTES = 10.0
_CLIPS = 1e-4  # share of samples
_NOISY_DB = 30.0  # between the voice and its pauses
_ECHO = (0.4, -25.0)  # seconds and dB of a reverb that will be learnt
_DULL_HZ = 11_000.0
_RARE = 0.005  # of the notes at either end, which trackers and shouts account for
NOTES = HIGHEST - LOWEST + 1


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


@dataclass
class _Tally:
    """What is added up of one singer."""

    recordings: int = 0
    seconds: float = 0.0
    sung: float = 0.0
    slices: int = 0
    clipping: int = 0
    echoing: int = 0
    dull: int = 0
    notes: list[int] = field(default_factory=lambda: [0] * NOTES)
    floors: list[float] = field(default_factory=list)
    distances: list[float] = field(default_factory=list)
    decays: list[float] = field(default_factory=list)
    rates: set[int] = field(default_factory=set)

    def add(self, take: Take, fact: Facts) -> None:
        self.recordings += 1
        self.seconds += fact.seconds
        self.sung += fact.sung
        self.slices += fact.slices
        self.clipping += fact.clipped > _CLIPS
        self.echoing += fact.decay_seconds >= _ECHO[0] and fact.wet_db >= _ECHO[1]
        self.dull += take.bandwidth_hz < _DULL_HZ
        self.notes = [before + more for before, more in zip(self.notes, fact.notes, strict=True)]
        self.floors.append(fact.floor_db)
        self.distances.append(fact.distance_db)
        if fact.decay_seconds:
            self.decays.append(fact.decay_seconds)
        self.rates.add(fact.rate)

    def singer(self, name: str) -> Singer:
        counts = [count / 100 for count in self.notes]
        return Singer(
            name=name,
            recordings=self.recordings,
            minutes=self.seconds / 60,
            sung=self.sung / 60,
            slices=self.slices,
            range_hz=_range(counts),
            notes=tuple(counts),
            clipping=self.clipping,
            noise_db=_median(self.floors),
            distance_db=_median(self.distances),
            decay_seconds=_median(self.decays),
            echoing=self.echoing,
            dull=self.dull,
            rates=tuple(sorted(self.rates)),
        )


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
    skipped = {str(path): why for path, why in prepared.skipped.items()}
    takes = prepared.takes
    tallies = {clip.speaker: _Tally() for clip in clips}
    # Of hundreds of thousands only what is compared is kept, and sums.
    outlines, notes = torch.zeros(len(takes), OUTLINE), torch.zeros(len(takes), NOTES, dtype=torch.int32)
    good = []
    for place, (take, fact) in enumerate(zip(takes, survey(takes, workers=workers), strict=True)):
        if isinstance(fact, BadAudio):
            skipped[str(take.clip.path)] = str(fact)
        else:
            tallies[take.clip.speaker].add(take, fact)
            outlines[place], notes[place] = torch.tensor(fact.outline), torch.tensor(fact.notes)
            good.append(place)
        progress((place + 1) / len(takes))
    twice = duplicates([takes[place] for place in good], outlines[good], notes[good])
    singers = tuple(tallies[name].singer(name) for name in sorted(tallies))
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
