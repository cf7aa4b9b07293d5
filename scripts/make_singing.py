"""Sing what songs there are with many voices, alone and in choirs: vocals that a separator learns from.

    python scripts/make_singing.py OUT --data AUDIO --seed 0

AUDIO holds `singing/` (songs and notes without accompaniment), `stems/*/lead.opus` and `speech/`. Our own converter
sings each song again with voices enrolled from the readers. Every file is made of its own name and the seed alone, so
the work can be shared by several processes (`--first`, `--every`).
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatch
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mynah.audio.files import read, write
from mynah.convert.mynah import Mynah, MynahOptions
from mynah.core.types import Audio, Contour, Voice
from mynah.features import speaker
from mynah.features.melody import semitones_to_fit
from mynah.features.pitch import pitch

RATE = 44_100
# Never trained on: they are what results are measured with.
HELD_OUT = ("7_francium", "pjs08[1-9]_*", "pjs090_*", "9643", "9609", "9615", "9616", "9622", "9634", "9614", "9623")
FEMALE, MALE = (180.0, 700.0), (90.0, 350.0)
BETWEEN_HZ = 160.0  # readers above this are counted as high voices
AIR_HZ = (7_000.0, 9_000.0)  # most readers were recorded without what is above, so the source's own air is laid over
HARMONIES = (3, 4, 5, 7, 12, -5, -8, -12)
VOICES = 44
Dice = np.random.Generator


def kept(paths: Sequence[Path]) -> list[Path]:
    """Those that are not held out, in order."""
    return sorted(path for path in paths if not any(fnmatch(part, held) for part in path.parts for held in HELD_OUT))


def readers(data: Path) -> dict[str, list[Path]]:
    """Clips of everybody who could be enrolled."""
    people: dict[str, list[Path]] = {}
    for folder in kept(list((data / "speech" / "speechocean").iterdir()))[::3]:
        people[folder.name] = sorted(folder.glob("*.opus"))[:4]
    for path in kept(list((data / "speech" / "librispeech").glob("*.opus")))[::5]:
        people[path.stem.split("-")[0]] = [path]
    for name in ("kerstin", "philipp"):
        people[name] = sorted((data / "speech" / name).glob("*.opus"))[:5]
    people["iona"] = sorted((data / "singing" / "iona").glob("?a.opus"))[:12]
    people["martin"] = sorted((data / "singing" / "martin").glob("*.opus"))[:12]
    return people


def enrolled(data: Path, count: int) -> list[Voice]:
    """Voices that are as unlike each other as can be, chosen one after another.

    They have no clips, so that the converter gives them all its highs: most readers were recorded without any.
    """
    encoder, names, vectors, ranges = speaker.load(), [], [], []
    for name, paths in readers(data).items():
        clips = [read(path, mono=True) for path in paths]
        sung = torch.cat([pitch(clip).values for clip in clips])
        sung = sung[sung.isfinite()]
        if len(sung) < 50:
            continue
        names.append(name)
        vectors.append(encoder.embed(clips))
        ranges.append(FEMALE if sung.median() > BETWEEN_HZ else MALE)
    likeness = torch.stack(vectors) @ torch.stack(vectors).T
    chosen = [0]
    while len(chosen) < min(count, len(names)):
        chosen.append(int(likeness[chosen].amax(0).argmin()))
    return [Voice(names[k], ranges[k], embedding=vectors[k], encoder=speaker.ENCODER) for k in chosen]


class Song:
    """Something sung, of a file; the melody is heard once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.parent.name if path.stem == "lead" else path.stem

    @property
    def sound(self) -> Audio:
        """As many channels as there are, at 44.1 kHz, without rumble and the hiss of its pauses."""
        samples = above(read(self.path, rate=RATE).samples, 60.0)
        return Audio(gated(samples, samples.mean(0)), RATE)

    @cached_property
    def melody(self) -> Contour:
        """Of the channels' mean."""
        return pitch(read(self.path, rate=RATE, mono=True))


def blended(dice: Dice, voices: Sequence[Voice]) -> Voice:
    """One of the voices, or somebody between two of the same sex; both are as likely, however many there are."""
    high, low = ([voice for voice in voices if voice.range_hz == wanted] for wanted in (FEMALE, MALE))
    alike = (high if dice.random() < 0.5 else low) or low or high
    one = alike[dice.integers(len(alike))]
    if dice.random() < 0.6:
        return one
    other, share = alike[dice.integers(len(alike))], float(dice.uniform(0.3, 0.7))
    assert one.embedding is not None and other.embedding is not None
    vector = torch.nn.functional.normalize(torch.lerp(one.embedding, other.embedding, share), dim=0)
    name = f"{one.name}-{other.name}"
    return Voice(name, one.range_hz, embedding=vector, encoder=speaker.ENCODER)


def fit(song: Song, voice: Voice) -> float:
    """Semitones from the song to the middle of the voice."""
    return float(semitones_to_fit(song.melody.values, voice.range_hz, 1))


def sung(dice: Dice, system: Mynah, song: Song, voice: Voice, semitones: float) -> Tensor:
    """`[time]`: the song in this voice, with the source's own air."""
    options = MynahOptions(
        transpose=float(np.clip(semitones, -36, 36)),
        formants=float(dice.uniform(-1.5, 1.5)),
        breath_db=float(dice.uniform(-14, -4)),
        protect=float(dice.choice([0.0, 0.0, 0.5])),
        tune=float(dice.choice([0.0, 0.0, 0.5, 1.0])),
        seed=int(dice.integers(2**31 - 1)),
    )
    source = song.sound.samples.mean(0)
    out = system.convert(Audio(source[None], RATE), voice, options, melody=song.melody).samples[0]
    air = torch.fft.rfft(source)
    air *= (torch.fft.rfftfreq(len(source), 1 / RATE) - AIR_HZ[0]).div(AIR_HZ[1] - AIR_HZ[0]).clamp(0, 1)
    return gated(out + float(dice.uniform(0.3, 1.0)) * torch.fft.irfft(air, n=len(source)), source)


def above(wave: Tensor, hertz: float) -> Tensor:
    """`[..., time]` without what lies below."""
    spectrum = torch.fft.rfft(wave)
    spectrum *= (torch.fft.rfftfreq(wave.shape[-1], 1 / RATE) / hertz * 2 - 1).clamp(0, 1)
    return torch.fft.irfft(spectrum, n=wave.shape[-1])


def gated(voice: Tensor, source: Tensor) -> Tensor:
    """Silence wherever the source `[time]` only hisses: a vocal stem has to be still when nobody sings."""
    hop = RATE // 50
    frames = torch.nn.functional.pad(above(source, 150.0), (0, -len(source) % hop)).view(-1, hop)
    level = 10 * (frames.square().mean(1) + 1e-12).log10()
    low, high = level.quantile(torch.tensor([0.05, 0.95])).tolist()
    floor = max(high - 55, min(low + 10, high - 38))
    wide = torch.nn.functional.max_pool1d((level > floor).float()[None], 13, stride=1, padding=6)
    soft = torch.nn.functional.avg_pool1d(wide, 3, stride=1, padding=1, count_include_pad=False)
    gain = torch.nn.functional.interpolate(soft[None], size=frames.numel(), mode="linear", align_corners=False)
    return voice * gain[0, 0, : len(source)]


def placed(voice: Tensor, side: float) -> Tensor:
    """`[2, time]`, from -1 (left) to 1, of equal power."""
    angle = (side + 1) * torch.pi / 4
    return torch.stack([np.cos(angle) * voice, np.sin(angle) * voice]) * 2**0.5


def late(voice: Tensor, seconds: float) -> Tensor:
    """Moved to the right, of the same length."""
    by = round(seconds * RATE)
    return torch.nn.functional.pad(voice, (by, 0))[..., : voice.shape[-1]]


def echoed(dice: Dice, voice: Tensor) -> Tensor:
    """Sometimes with echoes, or as through a telephone."""
    luck = dice.random()
    if luck < 0.15:
        every, gain = float(dice.uniform(0.1, 0.5)), float(dice.uniform(0.2, 0.5))
        return voice + sum((gain**turn * late(voice, turn * every) for turn in range(1, 5)), torch.zeros(()))
    if luck < 0.2:
        spectrum = torch.fft.rfft(voice)
        hertz = torch.fft.rfftfreq(voice.shape[-1], 1 / RATE)
        spectrum *= 1 / (1 + (300 / hertz.clamp(min=1)) ** 4) / (1 + (hertz / 3500) ** 4)
        return torch.tanh(float(dice.uniform(2, 6)) * torch.fft.irfft(spectrum, n=voice.shape[-1]))
    return voice


def alone(dice: Dice, system: Mynah, song: Song, voices: Sequence[Voice]) -> Tensor:
    """The song in one other voice."""
    voice = blended(dice, voices)
    semitones = fit(song, voice) + float(dice.uniform(-4, 3))
    return echoed(dice, sung(dice, system, song, voice, semitones))[None]


def choir(dice: Dice, system: Mynah, song: Song, voices: Sequence[Voice]) -> Tensor:
    """The song in two to four voices, doubled or in parallel, left and right, perhaps under the original."""
    led = dice.random() < 0.5
    base = 0.0
    source = song.sound.samples
    total = torch.zeros(2, source.shape[-1])
    if led:
        total += source  # a mono one is heard in the middle
    else:
        voice = blended(dice, voices)
        base = fit(song, voice)
        total += placed(sung(dice, system, song, voice, base), float(dice.uniform(-0.2, 0.2)))
    doubling = dice.random() < 0.4
    for place in range(int(dice.integers(1, 4))):
        away = float(dice.uniform(-0.15, 0.15)) if doubling else float(dice.choice(HARMONIES))
        voice = blended(dice, voices)
        if not doubling:
            # Whoever can sing that high or low does.
            able = [other for other in voices if abs(fit(song, other) - base - away) < 8]
            voice = blended(dice, able) if able else voice
        part = late(sung(dice, system, song, voice, base + away), float(dice.uniform(0, 0.035)))
        side = (1 if place % 2 else -1) * float(dice.uniform(0.3, 1))
        total += float(dice.uniform(0.3, 0.9)) * placed(part, side)
    return echoed(dice, total)


def strung(dice: Dice, paths: Sequence[Path], seconds: float = 40.0) -> Tensor:
    """Short recordings one after another, at one level, with pauses between some."""
    pieces: list[Tensor] = []
    while sum(len(piece) for piece in pieces) < seconds * RATE:
        wave = read(paths[dice.integers(len(paths))], rate=RATE, mono=True).samples[0]
        level = wave.square().mean().sqrt().clamp(min=1e-3)
        pieces += [wave * float(0.08 / level), torch.zeros(int(max(0.0, dice.uniform(-0.5, 0.6)) * RATE))]
    return torch.cat(pieces)[None]


def jobs(
    data: Path, system: Mynah, voices: Sequence[Voice], first: int, every: int
) -> Iterator[tuple[str, Callable[[Dice], Tensor]]]:
    """What this process makes: names, and how."""
    songs = [
        Song(path)
        for path in kept([*(data / "singing" / "pjs").glob("*_song.opus"), *(data / "stems").glob("*/lead.opus")])
    ][first::every]
    for song in songs:
        yield f"original_{song.name}", lambda dice, song=song: song.sound.samples
    iona = [path for path in sorted((data / "singing" / "iona").glob("*.opus")) if path.stem != "silence"]
    martin = sorted((data / "singing" / "martin").glob("*.opus"))
    reader = sorted((data / "speech" / "philipp").glob("*.opus"))
    reader = reader[: len(reader) * 9 // 10]
    for name, paths, count in (("iona", iona, 6), ("martin", martin, 4), ("spoken", reader, 11)):
        for number in range(count)[first::every]:
            yield f"{name}_{number}", partial(strung, paths=paths)
    for name, how in (("voice1", alone), ("choir1", choir), ("voice2", alone), ("choir2", choir)):
        for song in songs:
            yield f"{name}_{song.name}", partial(how, system=system, song=song, voices=voices)


def main() -> None:
    """Parse, enrol, sing, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="folder of recordings")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number to begin with, for several processes")
    parser.add_argument("--every", type=int, default=1, help="make only every so many, for several processes")
    arguments = parser.parse_args()
    system = Mynah.load()
    voices = enrolled(arguments.data, VOICES)
    print(f"{len(voices)} voices, {sum(voice.range_hz == FEMALE for voice in voices)} of them high", flush=True)
    for name, make in jobs(arguments.data, system, voices, arguments.first, arguments.every):
        path = arguments.out / f"{name}.flac"
        if path.exists():
            continue  # a run that was stopped goes on where it was
        sound = make(np.random.default_rng((arguments.seed, zlib.crc32(name.encode()))))
        sound = sound * (0.7 / sound.abs().max().clamp(min=0.1))
        write(Audio(sound, RATE), path, bits=16)
        print(f"{name}: {sound.shape[-1] / RATE:.1f} s", flush=True)


if __name__ == "__main__":
    main()
