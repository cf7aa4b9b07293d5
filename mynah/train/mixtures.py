"""Mixtures of stems to learn separation from: drawn anew at every step, across songs, keys, places and rooms."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mynah.audio.files import read, stream
from mynah.audio.mixing import match_channels, mix
from mynah.core.atomic import replacing
from mynah.core.errors import BadData
from mynah.core.recipe import Batch
from mynah.core.types import Audio
from mynah.train.data import SUFFIXES
from mynah.train.studio import noises, processed
from mynah.train.variety import placed, roomy, tinted, transposed

VOCALS = ("vocals", "lead", "backing")
INSTRUMENTS = ("drums", "bass", "other", "piano", "guitar", "accompaniment")
WINDOW_SECONDS = 0.5  # over which a track is asked whether it sounds
SOUNDS_DB = -42.0  # of full scale
EVEN_DB = {"vocals": -24.0}  # of full scale; in most songs the voice is softer than all the rest together
OTHERS_DB = -20.0
WHOLE = 0.4  # of what is heard of a stem is from songs, however many solos there are
LULL = 0.03  # of the loudest power in a clip: below it a stem counts as silent
Files = dict[str, list[Path]]


@dataclass(frozen=True)
class Track:
    """One recording of one stem, on the disk.

    Attributes:
        samples: Int16, `[time, channel]`, at the rate of the mixtures.
        sounds: Whether each window does.
    """

    samples: np.ndarray[Any, Any]
    sounds: np.ndarray[Any, Any]


@dataclass(frozen=True)
class Variety:
    """How much mixtures are varied. Every chance is that of one stem of one clip.

    Attributes:
        gain_db: Stems are made louder or softer by up to this.
        even: Chance that a stem is first brought to the loudness that such stems have, whatever its song gave it.
        across: Chance that the stems of a clip are from different songs.
        transposed: Chance of another speed and pitch, by up to four semitones.
        roomy: Chance of reverberation, for vocals alone.
        tinted: Chance of another equaliser.
        doubled: Chance that the same stem of another place or song joins in.
        processed: Chance that vocals are sliced, held, vocoded or gated; two fifths of it for the rest.
        noisy: Chance of noise that hits or swells, for all but vocals; a third of it that there is nothing else.
        drop: Chance that a clip has no vocals, and half of it that it has nothing but vocals.
    """

    gain_db: float = 8.0
    even: float = 0.85
    across: float = 0.6
    transposed: float = 0.7
    roomy: float = 0.3
    tinted: float = 0.6
    doubled: float = 0.3
    processed: float = 0.5
    noisy: float = 0.12
    drop: float = 0.08


PLAIN = Variety(
    gain_db=3.0, even=0.0, transposed=0.0, roomy=0.0, tinted=0.0, doubled=0.0, processed=0.0, noisy=0.0, drop=0.0
)


def found(data: Path) -> dict[str, Files]:
    """The songs of a folder by their path in it: for each its files by what they hold.

    A file called after a stem (`vocals.wav`, `lead.wav`, `drums.wav`, ...) is that stem of the song that its folder is;
    any file in a folder that is called after a stem is a recording of that stem alone.

    Raises:
        BadData: No such folder, or no stems in it.
    """
    songs: dict[str, Files] = {}
    for path in sorted(data.rglob("*")):
        if path.suffix.lower() not in SUFFIXES or path.name.startswith(".") or not path.is_file():
            continue
        folder = path.parent
        if path.stem in VOCALS + INSTRUMENTS:
            song, what = folder, path.stem
        elif folder.name in VOCALS + INSTRUMENTS:
            song, what = path, folder.name
        else:
            continue
        songs.setdefault(song.relative_to(data).as_posix(), {}).setdefault(what, []).append(path)
    if not songs:
        raise BadData(f"there are no stems in {data}: it takes a folder for each song, with vocals, drums, bass, ...")
    return songs


def held_out(data: Path, patterns: Sequence[str], rate: int = 44_100) -> dict[str, tuple[Audio, Audio]]:
    """Vocals and accompaniment of the songs that fit one of the patterns and have both, by name, in stereo.

    Raises:
        BadData: No song fits.
    """
    songs = {}
    for name, files in found(data).items():
        if any(fnmatch(name, pattern) for pattern in patterns):
            sides: list[list[Audio]] = [[], []]
            for what, paths in files.items():
                sides[what in INSTRUMENTS] += [match_channels(read(path, rate=rate), 2) for path in paths]
            if all(sides):
                vocals, rest = (mix([(part, 0.0, 0.0) for part in parts]).samples for parts in sides)
                time = min(vocals.shape[-1], rest.shape[-1])
                songs[name] = Audio(vocals[:, :time], rate), Audio(rest[:, :time], rate)
    if patterns and not songs:
        raise BadData(f"no song in {data} with vocals and instruments fits {', '.join(patterns)}")
    return songs


class Mixtures:
    """Batches of random mixtures, as a function of seed and step alone.

    Args:
        data: Folder of songs in stems, see `found`.
        cache: Where recordings are kept as plain samples; about 10 MB for each stereo minute.
        stems: What a net is to tell apart: `"vocals"` and instruments; `"accompaniment"` means all of these.
        rate: In Hz.
        channels: 1 or 2.
        hold_out: Patterns of songs (folders, or files of one stem) to leave out.
        variety: How much mixtures are varied.
        seed: Another one gives other mixtures.
        progress: Told the fraction of the recordings that is prepared.

    Raises:
        BadData: A stem of which no recording was found.
    """

    def __init__(
        self,
        data: Path,
        cache: Path,
        stems: Sequence[str],
        *,
        rate: int = 44_100,
        channels: int = 2,
        hold_out: Sequence[str] = (),
        variety: Variety = PLAIN,
        seed: int = 0,
        progress: Callable[[float], None] = lambda fraction: None,
    ) -> None:
        self.stems, self.rate, self.channels, self.variety, self.seed = tuple(stems), rate, channels, variety, seed
        songs = found(data)
        songs = {name: songs[name] for name in songs if not any(fnmatch(name, pattern) for pattern in hold_out)}
        every = sum(len(paths) for files in songs.values() for paths in files.values())
        done = 0
        self.songs: list[dict[str, list[Track]]] = []
        for files in songs.values():
            tracks: dict[str, list[Track]] = {}
            for what, paths in files.items():
                kept = tracks.setdefault(self._stem_of(what), [])
                for path in paths:
                    kept.append(self._prepared(path, cache))
                    done += 1
                    progress(done / every)
            tracks.pop("", None)
            self.songs.append({stem: kept for stem, kept in tracks.items() if any(t.sounds.any() for t in kept)})
        for stem in stems:
            if not any(stem in song for song in self.songs):
                raise BadData(f"no recording in {data} holds {stem}")

        self._whole = [song for song in self.songs if all(stem in song for stem in self.stems)]

    def batch(self, step: int, clips: int, samples: int) -> Batch:
        """Mixtures of one step.

        Returns:
            `mix` `[clip, channel, time]` and `stems` `[clip, stem, channel, time]`, which add up to it.
        """
        dice = np.random.default_rng((self.seed, step))
        stems = torch.stack([self._clip(dice, samples) for _ in range(clips)])
        return {"mix": stems.sum(1), "stems": stems}

    def _clip(self, dice: np.random.Generator, samples: int) -> Tensor:
        together = self._whole and dice.random() > self.variety.across
        song = self._whole[dice.integers(len(self._whole))] if together else None
        at = self._place(dice, song) if song else 0.0
        parts = [self._part(dice, stem, samples, song, at) for stem in self.stems]
        if "vocals" in self.stems and (luck := dice.random()) < 1.5 * self.variety.drop:
            for stem, part in zip(self.stems, parts, strict=True):
                if (stem == "vocals") == (luck < self.variety.drop):
                    part.zero_()
        clip = torch.stack(parts)
        # No louder than a record is; and not always as loud.
        peak = clip.sum(0).abs().max().item()
        return clip * (10 ** (-dice.uniform(0, 12) / 20) / max(peak, 1e-4))

    def _place(self, dice: np.random.Generator, song: dict[str, list[Track]]) -> float:
        """Seconds into a song, mostly where somebody sings: elsewhere there is less to learn."""
        stem = "vocals" if "vocals" in self.stems and dice.random() < 0.8 else dice.choice(self.stems)
        tracks = song[stem]
        return self._sounding(dice, tracks[dice.integers(len(tracks))])

    def _sounding(self, dice: np.random.Generator, track: Track) -> float:
        """Seconds into a track, where it sounds."""
        places = np.flatnonzero(track.sounds)
        return float(places[dice.integers(len(places))] + dice.random()) * WINDOW_SECONDS if len(places) else 0.0

    def _part(
        self, dice: np.random.Generator, stem: str, samples: int, song: dict[str, list[Track]] | None, at: float
    ) -> Tensor:
        """One stem of one clip; `at` says how many seconds into the song its middle is."""
        vary = self.variety
        semitones = dice.uniform(-4, 4) if dice.random() < vary.transposed else 0.0
        length = int(samples * 2 ** (semitones / 12)) + 2
        part = self._cut(dice, stem, length, song, at)
        if dice.random() < vary.doubled:
            part = part + dice.uniform(0.3, 1.0) * self._cut(dice, stem, length, None, at)
        part = transposed(part, semitones, samples)
        if dice.random() < vary.processed * (1.0 if stem == "vocals" else 0.4):
            part = processed(part, self.rate, dice, voice=stem == "vocals")
        if stem != "vocals" and dice.random() < vary.noisy:
            hits = noises(self.channels, samples, self.rate, dice)
            music = part.square().mean().sqrt().clamp_min(10 ** (SOUNDS_DB / 20))
            part = part * (dice.random() > 1 / 3) + hits * music * float(10 ** (dice.uniform(-12, 6) / 20))
        if dice.random() < vary.tinted:
            part = tinted(part, self.rate, dice)
        if vary.transposed:
            part = placed(part, dice)
        if stem == "vocals" and dice.random() < vary.roomy:
            part = roomy(part, self.rate, dice)
        if self.channels == 2 and dice.random() < 0.5:
            part = part.flip(0)
        if dice.random() < vary.even:
            level = 10 ** (EVEN_DB.get(stem, OTHERS_DB) / 20)
            part = part * (level / _sounding_level(part, self.rate).clamp_min(10 ** (SOUNDS_DB / 20)))
        sign = 1 if dice.random() < 0.5 else -1
        return part * float(sign * 10 ** (dice.uniform(-vary.gain_db, vary.gain_db) / 20))

    def _cut(
        self, dice: np.random.Generator, stem: str, length: int, song: dict[str, list[Track]] | None, at: float
    ) -> Tensor:
        """`[channel, length]` of a stem, where it sounds; its tracks are balanced anew."""
        if song is None:
            able = [song for song in self.songs if stem in song]
            # A long recording has more to say than a short one, and those that were made to be mixed more than solos.
            weights = np.array([self._minutes(song, stem) for song in able])
            whole = np.array([len(song) > 1 for song in able])
            if whole.any() and not whole.all():
                weights[whole] *= WHOLE / weights[whole].sum()
                weights[~whole] *= (1 - WHOLE) / weights[~whole].sum()
            song = able[dice.choice(len(able), p=weights / weights.sum())]
            at = -1.0
        tracks = song[stem]
        leader = tracks[dice.integers(len(tracks))]
        anew = at < 0
        begin = int((self._sounding(dice, leader) if anew else at) * self.rate) - length // 2
        total = torch.zeros(self.channels, length)
        for track in tracks:
            at_track = begin
            if track is not leader and anew and self._whole:
                if dice.random() < 0.15:
                    continue
                if dice.random() < 0.5:  # the drums of one song with the bass of another
                    others = self._whole[dice.integers(len(self._whole))].get(stem, tracks)
                    track = others[dice.integers(len(others))]
                    at_track = int(self._sounding(dice, track) * self.rate) - length // 2
            total += self._slice(track, at_track, length) * 10 ** (dice.uniform(-3, 3) * (len(tracks) > 1) / 20)
        return total

    def _minutes(self, song: dict[str, list[Track]], stem: str) -> float:
        return max(len(track.samples) for track in song[stem]) / self.rate / 60

    def _slice(self, track: Track, begin: int, length: int) -> Tensor:
        begin = max(0, min(begin, len(track.samples) - length))
        part = np.asarray(track.samples[begin : begin + length], np.float32).T / 32768
        sound = torch.from_numpy(np.ascontiguousarray(part))
        if sound.shape[0] != self.channels:
            sound = sound.expand(self.channels, -1) if self.channels == 2 else sound.mean(0, keepdim=True)
        return torch.nn.functional.pad(sound, (0, length - sound.shape[-1]))

    def _stem_of(self, what: str) -> str:
        if what in VOCALS:
            return "vocals" if "vocals" in self.stems else ""
        if what in self.stems:
            return what
        return next((stem for stem in ("accompaniment", "other") if stem in self.stems and what != "accompaniment"), "")

    def _prepared(self, path: Path, cache: Path) -> Track:
        with path.open("rb") as file:
            key = hashlib.file_digest(file, "sha256").hexdigest()[:32]
        kept = cache / f"{key}-{self.rate}.npy"
        if not kept.exists():
            blocks = []
            for block in stream(path, rate=self.rate):
                samples = block.samples if block.samples.shape[0] == 1 else match_channels(block, 2).samples
                blocks.append((samples.clamp(-1, 1) * 32767).round().to(torch.int16).T.numpy())
            with replacing(kept) as half, half.open("wb") as file:
                np.save(file, np.concatenate(blocks))
        samples = np.load(kept, mmap_mode="r")
        return Track(samples, _sounds(samples, int(WINDOW_SECONDS * self.rate)))


def _sounding_level(part: Tensor, rate: int) -> Tensor:
    """Mean level (RMS) of the moments in which it sounds."""
    moment = min(int(0.05 * rate), part.shape[-1])
    power = torch.nn.functional.avg_pool1d(part.square().mean(0, keepdim=True), moment)
    return power[power >= LULL * power.max()].mean().sqrt()


def _sounds(samples: np.ndarray[Any, Any], window: int) -> np.ndarray[Any, Any]:
    floor = 10 ** (SOUNDS_DB / 20) * 32768
    # Every seventh sample tells as much about loudness as all of them.
    return np.array(
        [
            np.sqrt(np.mean(np.square(samples[begin : begin + window : 7], dtype=np.float64))) > floor
            for begin in range(0, len(samples), window)
        ]
    )
