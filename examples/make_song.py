"""The demo song: made from nothing but a score, a speech synthesiser and arithmetic, so that it belongs to nobody else.

The melody is "Ah ! vous dirai-je, maman" (France, 1761), the words are Jane Taylor's (1806): both in the public domain.
espeak-ng speaks each line at an even pitch and says where its phonemes lie; WORLD takes the pitch off, the vowels are
stretched to the notes (consonants come before the beat, as singers do it), and WORLD puts the melody on. The band is a
sum of sines.

    apt-get install espeak-ng; pip install 'mynah[world]'
    python examples/make_song.py        # writes voice.ogg, band.ogg, song.ogg and score.csv beside this file

The same machine gives the same bytes every time. voice.ogg and band.ogg lie in the package, for `mynah demo`.
"""

from __future__ import annotations

import argparse
import csv
import ctypes
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyworld
import torch

from mynah.audio.files import write
from mynah.core.types import Audio

Array = np.ndarray[Any, np.dtype[Any]]

HERE = Path(__file__).resolve().parent

RATE = 32_000  # Hz
TEMPO = 112  # quarter notes per minute
BEAT = 60 / TEMPO  # seconds
LEAD_IN = 1.0  # beats before the first note
FRAME = 0.005  # seconds between WORLD's frames
VOICE = "en+anika"  # British English with the variant that DNSMOS (a judge of speech quality) likes best when sung

# Each syllable has one note: (MIDI note, beats). The fourth line ends on the tonic, so that one verse makes a song.
LINES: list[tuple[str, list[tuple[int, float]]]] = [
    ("twinkle twinkle little star", [(60, 1), (60, 1), (67, 1), (67, 1), (69, 1), (69, 1), (67, 2)]),
    ("how I wonder what you are", [(65, 1), (65, 1), (64, 1), (64, 1), (62, 1), (62, 1), (60, 2)]),
    ("up above the world so high", [(67, 1), (67, 1), (65, 1), (65, 1), (64, 1), (64, 1), (62, 2)]),
    ("like a diamond in the sky", [(65, 1), (65, 1), (64, 1), (64, 1), (62, 1), (62, 1), (60, 2)]),
]
CHORDS = "C C F C  F C G C  C F C G  F C G C"  # one for each half bar of two beats
DIPHTHONGS = ("aU", "aI", "oU", "aI@")
VOWELS = ("I", "@L", "A:", "A@", "V", "3", "3:", "0", "u:", "@", "a#", *DIPHTHONGS)


@dataclass(frozen=True)
class Phoneme:
    """A sound of espeak-ng's, and where it lies, in seconds."""

    name: str
    start: float
    end: float


class _Id(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_ms", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    ]


class Speaker:
    """espeak-ng through its C interface, because only that tells where the phonemes are."""

    def __init__(self, voice: str) -> None:
        self.engine = ctypes.CDLL("libespeak-ng.so.1")
        self.rate: int = self.engine.espeak_Initialize(1, 0, None, 1)  # to memory; with an event for each phoneme
        if self.engine.espeak_SetVoiceByName(voice.encode()) != 0:
            raise SystemExit(f"espeak-ng has no voice {voice!r}")
        for parameter, value in ((1, 115), (3, 40), (4, 0)):  # words per minute, pitch, pitch range (0: even)
            self.engine.espeak_SetParameter(parameter, value, 0)

    def say(self, text: str) -> tuple[Array, list[Phoneme]]:
        """The waveform, float in [-1, 1], and its phonemes."""
        blocks: list[Array] = []
        marks: list[tuple[str, float]] = []

        @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))
        def collect(wave: Any, count: int, events: Any) -> int:
            if count > 0:
                blocks.append(np.ctypeslib.as_array(wave, (count,)).copy())
            index = 0
            while events[index].type != 0:
                if events[index].type == 7:
                    marks.append((events[index].id.string.decode(), events[index].sample / self.rate))
                index += 1
            return 0

        self.engine.espeak_SetSynthCallback(collect)
        data = text.encode()
        self.engine.espeak_Synth(data, len(data) + 1, 0, 0, 0, 1, None, None)
        self.engine.espeak_Synchronize()
        named = [(name, start) for name, start in marks if not name.startswith("_")]
        ends = [start for _, start in marks[1 : len(named)]] + [marks[len(named)][1]]
        phonemes = [Phoneme(name, start, end) for (name, start), end in zip(named, ends, strict=True)]
        return np.concatenate(blocks) / 32768, phonemes


def onsets() -> list[tuple[float, int, float]]:
    """Every note as (start in seconds, MIDI note, length in seconds)."""
    notes, beat = [], LEAD_IN
    for _, line in LINES:
        for note, beats in line:
            notes.append((beat * BEAT, note, beats * BEAT))
            beat += beats
    return notes


def melody(seconds: float, rng: np.random.Generator) -> Array:
    """Pitch in Hz at every frame: glides between notes, vibrato on the long ones, and the unsteadiness of a throat."""
    time = np.arange(round(seconds / FRAME)) * FRAME
    notes = onsets()
    semitones = np.full(time.shape, float(notes[0][1]))
    for (_, before, _), (start, note, _) in pairwise(notes):
        # A glide of about 80 ms that is half way on the beat's edge, with the small overshoot that singers make.
        x = np.clip((time - start + 0.02) / 0.022, -40, 40)
        step = 1 / (1 + np.exp(-x))
        overshoot = 0.06 * np.exp(-(((time - start - 0.07) / 0.03) ** 2))
        semitones += (note - before) * (step + overshoot * (abs(note - before) > 0))
    for start, _, length in notes:
        here = (time >= start) & (time < start + length)
        age = time[here] - start
        depth = np.clip((age - 0.22) / 0.35, 0, 1) * (0.35 if length > BEAT else 0.18)
        fade = np.clip((length - age) / 0.12, 0, 1)
        semitones[here] += depth * fade * np.sin(2 * np.pi * 5.6 * age)
        semitones[here] -= 0.5 * np.exp(-age / 0.035) * (start == notes[0][0])  # the first note is scooped
    drift = np.convolve(rng.standard_normal(time.size + 80), np.hanning(81) / np.hanning(81).sum(), "valid")
    jitter = np.convolve(rng.standard_normal(time.size + 4), np.hanning(7)[1:-1] / 3, "valid")
    semitones += 0.35 * drift[: time.size] + 0.02 * jitter[: time.size]
    return np.asarray(440 * 2 ** ((semitones - 69) / 12))


def plan(phonemes: list[Phoneme], beats: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Pairs of (time in the song, time in the spoken line), to be joined by straight lines.

    `beats` holds (start, length) of each note; a line has as many vowels as notes.
    """
    nuclei = [index for index, phoneme in enumerate(phonemes) if phoneme.name in VOWELS]
    if len(nuclei) != len(beats):
        raise SystemExit(f"{len(beats)} notes for {len(nuclei)} vowels in {[phoneme.name for phoneme in phonemes]}")
    first = phonemes[nuclei[0]].start
    knots = [(beats[0][0] - first, 0.0)]
    for order, index in enumerate(nuclei):
        vowel, (start, length) = phonemes[index], beats[order]
        spoken = vowel.end - vowel.start
        if order + 1 < len(nuclei):  # the consonants up to the next vowel are sung at the end of this note
            tail = phonemes[nuclei[order + 1]].start - vowel.end
            end = start + length - min(tail, 0.5 * length)
        else:
            end = start + 0.85 * length
        slides = vowel.name in DIPHTHONGS
        attack, release = min(0.06, 0.3 * spoken), (0.5 if slides else 0.25) * spoken
        knots += [
            (start, vowel.start),
            (start + attack, vowel.start + attack),
            (max(start + 1.2 * attack, end - release), vowel.end - release),
            (end, vowel.end),
        ]
    last = phonemes[-1].end - phonemes[nuclei[-1]].end
    if last > 0:
        knots.append((knots[-1][0] + last, phonemes[-1].end))
    return knots


def widened(envelope: Array, noise: Array, rate: int) -> tuple[Array, Array]:
    """Envelope (power) and aperiodicity carried on to half of RATE: espeak-ng ends near 10 kHz, a singer does not.

    Above 9 kHz the level goes on from where it was, falling by 3 dB for every kHz, and becomes breath. Below 500 Hz it
    is raised: a sung vowel has a stronger fundamental than a spoken one.
    """
    spoken = np.linspace(0, rate / 2, envelope.shape[1])
    wanted = np.linspace(0, RATE / 2, pyworld.get_cheaptrick_fft_size(RATE) // 2 + 1)
    edge = 9_000.0
    level = np.log(envelope[:, (spoken > 7_500) & (spoken < edge)]).mean(1)
    wide, breath = np.empty((len(envelope), wanted.size)), np.empty((len(envelope), wanted.size))
    fall = np.log(10) * 0.3 * np.clip(wanted - edge + 1_000, 0, None) / 1_000
    warm = np.log(10) * 0.6 * np.clip((700 - wanted) / 400, 0, 1)
    blend = np.clip((wanted - edge + 1_000) / 1_000, 0, 1)
    for index in range(len(envelope)):
        inside = np.interp(wanted, spoken, np.log(envelope[index]))
        wide[index] = np.exp(warm + (1 - blend) * inside + blend * (level[index] - fall))
        # Nobody's voice is as clean as a formula: breath rises with frequency.
        floor = np.interp(wanted, [0, 2_000, 5_000, 9_000, 16_000], [0.003, 0.02, 0.12, 0.5, 0.95])
        breath[index] = np.maximum(np.interp(wanted, spoken, noise[index]), floor)
    return wide, breath


def sing(voice: str = VOICE, seed: int = 7) -> Array:
    """The sung verse, mono at RATE, silence where nobody sings."""
    rng = np.random.default_rng(seed)
    speaker = Speaker(voice)
    total = onsets()[-1][0] + onsets()[-1][2] + 0.6
    hz = melody(total, rng)
    bins = pyworld.get_cheaptrick_fft_size(RATE) // 2 + 1
    envelope = np.full((hz.size, bins), 1e-12)
    noise = np.ones((hz.size, bins))
    voiced = np.zeros(hz.size)
    notes = iter(onsets())
    for text, line in LINES:
        wave, phonemes = speaker.say(text)
        beats = [(start, length) for start, _, length in (next(notes) for _ in line)]
        spoken_hz, times = pyworld.harvest(wave, speaker.rate, f0_floor=60, f0_ceil=500, frame_period=1000 * FRAME)
        wide, breath = widened(
            pyworld.cheaptrick(wave, spoken_hz, times, speaker.rate),
            pyworld.d4c(wave, spoken_hz, times, speaker.rate),
            speaker.rate,
        )
        sung, said = np.array(plan(phonemes, beats)).T
        frames = np.arange(max(0, round(sung[0] / FRAME)), min(hz.size, round((sung[-1] + 0.08) / FRAME)))
        where = np.interp(frames * FRAME, sung, said, right=said[-1]) / FRAME
        low = np.clip(where.astype(int), 0, len(wide) - 2)
        part = np.clip(where - low, 0, 1)[:, None]
        envelope[frames] = np.exp((1 - part) * np.log(wide[low]) + part * np.log(wide[low + 1]))
        noise[frames] = (1 - part) * breath[low] + part * breath[low + 1]
        voiced[frames] = spoken_hz[np.clip(np.round(where).astype(int), 0, len(wide) - 1)] > 0
        fade = np.clip((sung[-1] + 0.08 - frames * FRAME) / 0.12, 0, 1)
        swell = 0.75 + 0.25 * np.sin(np.pi * np.linspace(0.1, 0.9, frames.size))
        envelope[frames] *= ((fade * swell) ** 2)[:, None]
    # A burst of a consonant hides the first 15 ms of the voice: pulses that nobody could hear would puzzle a tracker.
    voiced *= np.minimum(np.minimum(np.roll(voiced, 1), np.roll(voiced, 2)), np.roll(voiced, 3))
    shimmer = np.convolve(rng.standard_normal(hz.size + 8), np.hanning(9) / 4, "same")[: hz.size]
    envelope *= 10 ** (0.4 * shimmer / 10)[:, None]
    wave = pyworld.synthesize(hz * voiced, envelope, noise, RATE, frame_period=1000 * FRAME)
    return np.asarray(0.5 * wave / np.abs(wave).max())


def pluck(note: float, seconds: float, *, bright: float = 1.0) -> Array:
    """A string: harmonics that die the sooner the higher they are."""
    time = np.arange(round(seconds * RATE)) / RATE
    hz = 440 * 2 ** ((note - 69) / 12)
    wave = np.zeros(time.size)
    for harmonic in range(1, 13):
        if hz * harmonic < RATE / 2.2:
            stretch = harmonic * np.sqrt(1 + 0.0004 * harmonic**2)
            wave += (
                bright ** (harmonic - 1)
                / harmonic**1.4
                * np.exp(-time * (1.2 + 0.7 * harmonic))
                * np.sin(2 * np.pi * hz * stretch * time)
            )
    ends = np.minimum(np.clip(time / 0.004, 0, 1), np.clip((seconds - time) / 0.05, 0, 1))
    return np.asarray(wave * ends)


def play(seconds: float) -> Array:
    """Bass, broken chords and a soft bell on top, stereo `[time, 2]` at RATE."""
    chords = {"C": (48, 52, 55), "F": (48, 53, 57), "G": (47, 50, 55)}
    roots = {"C": 36, "F": 41, "G": 43}
    band = np.zeros((round(seconds * RATE), 2))

    def add(wave: Array, beat: float, left: float, right: float) -> None:
        at = round(beat * BEAT * RATE)
        piece = wave[: max(0, len(band) - at), None] * np.array([left, right])
        band[at : at + len(piece)] += piece

    for half_bar, name in enumerate(CHORDS.split()):
        beat = LEAD_IN + 2 * half_bar
        add(pluck(roots[name], 2 * BEAT, bright=0.6), beat, 0.5, 0.5)
        for eighth, step in enumerate((0, 1, 2, 1)):
            add(pluck(chords[name][step], 1.5 * BEAT, bright=0.8), beat + eighth / 2, 0.32, 0.16)
        add(pluck(chords[name][2] + 24, 2 * BEAT, bright=0.4), beat + 1, 0.03, 0.09)
    add(pluck(60, LEAD_IN * BEAT, bright=0.6), 0, 0.15, 0.15)  # gives the singer the note
    return 0.5 * band / np.abs(band).max()


def mixed(voice: Array, band: Array) -> Array:
    """Voice in the middle, a little room around it, over the band: stereo `[time, 2]`, peak at -1 dB."""
    room = sum(
        gain * np.roll(voice, round(delay * RATE)) for delay, gain in ((0.031, 0.12), (0.047, 0.09), (0.073, 0.06))
    )
    song = (voice + room)[:, None] + 0.55 * band[: len(voice)]
    return np.asarray(song * 10 ** (-1 / 20) / np.abs(song).max())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=HERE, help="folder for the files")
    parser.add_argument("--voice", default=VOICE, help="voice of espeak-ng (default %(default)s)")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)

    voice = sing(args.voice)
    band = play(len(voice) / RATE)
    for name, wave in (("voice", voice[:, None]), ("band", band), ("song", mixed(voice, band))):
        path = (args.out / f"{name}.ogg").resolve()  # two are links into the package, for `mynah demo`
        write(Audio(torch.from_numpy(wave.T.astype(np.float32)), RATE), path)
    with (args.out / "score.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["start_seconds", "midi_note", "seconds"])
        writer.writerows([f"{start:.4f}", note, f"{length:.4f}"] for start, note, length in onsets())


if __name__ == "__main__":
    main()
