"""Compose accompaniments without any voice, and play them with fluidsynth: material that a separator learns from.

    python scripts/make_accompaniment.py OUT --pieces 150 --seed 0 --loops LOOPS

Every piece is made of its own number and the seed alone, so pieces can be made in any order and by several processes
(`--first`, `--every`). Wants `mido` and the program `fluidsynth` with a General MIDI soundfont, which `--electronic`
does without: then oscillators and drum machines play. LOOPS is a folder of drum loops and single drum sounds, named as
those of Sonic Pi are.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

import mido
import numpy as np
import soundfile
import soxr
from composition import STYLES, VOICES, Dice, Part, Plan, Style, arrange, pick, plan
from synthesizer import synthesised

from mynah.core.atomic import replacing

RATE = 44_100
TICKS = 480
SOUNDFONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
ELECTRONIC = ["pop", "ballad", "house", "house", "techno", "beats", "beats", "breaks", "funk", "solo"]
Wave = np.ndarray[tuple[int, ...], np.dtype[np.float32]]
Events = list[tuple[int, mido.Message]]


def score(dice: Dice, plan: Plan, parts: list[Part]) -> mido.MidiFile:
    """The piece as MIDI: notes with their swing and haste, bends, swells."""
    loose = float(dice.choice([0.0, 0.01, 0.03, 0.06]))
    file = mido.MidiFile(ticks_per_beat=TICKS)
    beats = TICKS / 4
    clock = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(plan.tempo))])
    file.tracks.append(clock)
    free = iter(channel for channel in range(16) if channel != 9)
    for part in parts:
        if part.program in VOICES and not part.drums:
            raise ValueError(f"program {part.program} is a voice")
        channel = 9 if part.drums else next(free)
        events: Events = [(0, mido.Message("program_change", channel=channel, program=part.program))]

        def control(at: float, number: int, value: float, channel: int = channel, events: Events = events) -> None:
            value = int(np.clip(value, 0, 127))
            message = mido.Message("control_change", channel=channel, control=number, value=value)
            events.append((max(0, int(at)), message))

        for number, value in ((7, part.volume), (10, part.pan), (91, part.reverb), (93, part.chorus)):
            control(0, number, value)
        if part.pump:
            for beat in range(len(plan.chords) * plan.steps // 4):
                for moment in range(8):
                    control((beat + moment / 8) * TICKS, 11, 40 + 87 * moment / 5)
        wide, fast, scoop = dice.uniform(0.05, 0.6), dice.uniform(4.5, 6.8), dice.uniform(0, 0.8)
        swells = dice.random() < 0.6
        for start, length, pitch, velocity in part.notes:
            late = plan.style.swing * 0.66 if int(start) % 2 else 0.0
            begin = max(0, int((start + late + dice.normal(0, loose)) * beats))
            end = begin + max(20, int(length * beats))
            events.append((begin, mido.Message("note_on", channel=channel, note=pitch, velocity=velocity)))
            events.append((end, mido.Message("note_off", channel=channel, note=pitch)))
            if part.expressive:
                seconds = (end - begin) / TICKS * 60 / plan.tempo
                bent = scoop if dice.random() < 0.5 else 0.0
                for now in np.arange(0, seconds, 0.015):
                    onset = np.clip((now - 0.2) / 0.4, 0, 1)
                    semitones = onset * wide * np.sin(2 * np.pi * fast * now) - bent * np.exp(-now / 0.06)
                    tick = int(begin + now * plan.tempo / 60 * TICKS)
                    bend = int(np.clip(semitones / 2 * 8191, -8191, 8191))
                    events.append((tick, mido.Message("pitchwheel", channel=channel, pitch=bend)))
                    if swells:
                        control(tick, 11, 70 + 55 * np.sin(np.pi * min(1.0, (now + 0.15) / (seconds + 0.15))))
        track, now = mido.MidiTrack(), 0
        for tick, message in sorted(events, key=lambda event: event[0]):
            track.append(message.copy(time=tick - now))
            now = tick
        file.tracks.append(track)
    return file


def played(dice: Dice, file: mido.MidiFile, soundfont: Path) -> Wave:
    """What fluidsynth makes of it, `[time, 2]`."""
    with tempfile.TemporaryDirectory() as folder:
        sheet, sound = Path(folder) / "piece.mid", Path(folder) / "piece.wav"
        file.save(sheet)
        room, level = dice.uniform(0.1, 0.9), dice.uniform(0.2, 0.9)
        options = [f"synth.reverb.room-size={room:.2f}", f"synth.reverb.level={level:.2f}"]
        options.append("synth.dynamic-sample-loading=1")
        command = ["fluidsynth", "-n", "-i", "-q", "-r", str(RATE), "-g", "0.4", "-O", "float", "-F", str(sound)]
        command += [word for option in options for word in ("-o", option)] + [str(soundfont), str(sheet)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return np.asarray(soundfile.read(sound, dtype="float32", always_2d=True)[0])


# Those without anything that speaks, sings or hums.
BEATS = (
    "amen", "amen_full", "breakbeat", "compus", "electric", "garzul", "industrial", "mehackit1", "mehackit2", "mika",
    "perc1", "perc2", "tabla",
)  # fmt: skip
LOOPS = tuple(f"loop_{name}" for name in BEATS) + tuple(f"arovane_beat_{letter}" for letter in "abcde")
PLACES = (
    "ambi_dark_woosh", "ambi_drone", "ambi_glass_hum", "ambi_glass_rub", "ambi_piano", "ambi_soft_buzz", "ambi_swoosh",
    "loop_drone_g_97", "vinyl_hiss", "vinyl_scratch", "vinyl_rewind", "misc_cineboom",
)  # fmt: skip


def recording(path: Path, seconds: float | None = None) -> Wave:
    """A recording at our rate, `[time, 2]`; as on a tape, another length is another pitch."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    into = RATE if seconds is None else RATE * seconds * rate / len(samples)
    sound = soxr.resample(samples, rate, into)
    return np.asarray(np.repeat(sound, 2, axis=1) if sound.shape[1] == 1 else sound, np.float32)


def looped(dice: Dice, plan: Plan, length: int, folder: Path) -> Wave:
    """Recorded loops at the piece's speed, machines of single sounds, and noises of places."""
    out = np.zeros((length, 2), np.float32)
    beat, bar = 60 / plan.tempo, plan.bar_seconds

    def lay(sound: Wave, seconds: float, gain: float) -> None:
        at = round(seconds * RATE)
        part = out[at : at + len(sound)]
        part += gain * sound[: len(part)]

    sections = len(plan.chords) // 4
    if plan.steps == 16:
        for name in dice.choice(LOOPS, size=int(dice.integers(1, 3)), replace=False):
            path = folder / f"{name}.opus"
            own = soundfile.info(path).duration
            beats = 2.0 ** round(np.log2(own / beat))
            loop, gain = recording(path, beats * beat), float(dice.uniform(0.2, 0.7))
            loop = loop / max(1e-3, np.abs(loop).max())
            for section in np.flatnonzero(dice.random(sections) < 0.6):
                times = max(1, int(16 // beats))
                for turn in range(times):
                    lay(loop[: round(16 * beat * RATE)], (16 * section + turn * beats) * beat, gain)
    if dice.random() < 0.5:
        for row, density in (("bd_*", 0.25), ("sn_*", 0.15), ("hat_*", 0.5), ("elec_*", 0.2), ("tabla_*", 0.2)):
            if dice.random() < 0.6:
                one = recording(Path(str(pick(dice, [str(path) for path in sorted(folder.glob(row))]))))
                steps = np.flatnonzero(dice.random(plan.steps) < density)
                gain = float(dice.uniform(0.15, 0.6))
                for place in range(len(plan.chords)):
                    for step in steps:
                        lay(one, place * bar + step * beat / 4, gain * float(dice.uniform(0.6, 1)))
    if dice.random() < 0.5:
        place = recording(folder / f"{pick(dice, PLACES)}.opus")
        for start in range(0, len(plan.chords), int(dice.choice([2, 4, 8]))):
            lay(place, start * bar, float(dice.uniform(0.1, 0.4)))
    return out


def finished(dice: Dice, sound: Wave, style: Style) -> Wave:
    """Trimmed, coloured a little, perhaps squashed as mastering does, at a level of its own."""
    loud = np.abs(sound).max(1) > 1e-3
    sound = sound[: len(loud) - int(np.argmax(loud[::-1]))]
    spectrum = np.fft.rfft(sound, axis=0)
    octaves = np.log2(np.maximum(np.fft.rfftfreq(len(sound), 1 / RATE), 40) / 1000)
    tilt, depth, width, phase = dice.uniform((-1, 0, 0.5, 0), (1, 3, 1.5, 6))
    curve = tilt * octaves + depth * np.cos(octaves * width + phase)
    sound = np.fft.irfft(spectrum * 10 ** (curve / 20)[:, None], n=len(sound), axis=0)
    sound = sound / np.abs(sound).max()
    if dice.random() < style.drive:
        hard = float(dice.uniform(1.5, 5))
        sound = np.tanh(hard * sound) / np.tanh(hard)
    return np.asarray(sound * 10 ** (dice.uniform(-7, -1) / 20), np.float32)


def piece(number: int, seed: int, loops: Path | None, soundfont: Path | None) -> tuple[str, Wave]:
    """The name of the style, and the sound, of one piece; without a soundfont an electronic one."""
    dice = np.random.default_rng((seed, number))
    styles = list(STYLES) if soundfont else ELECTRONIC
    name = styles[int(dice.permutation(len(styles))[0])]
    style = STYLES[name]
    kind = str(pick(dice, style.drums))
    sheet = plan(dice, style, float(dice.uniform(30, 45)), kind)
    parts = arrange(dice, sheet, kind)
    sound = played(dice, score(dice, sheet, parts), soundfont) if soundfont else synthesised(dice, sheet, parts)
    if loops and dice.random() < style.loops:
        sound = sound / max(1e-3, np.abs(sound).max())
        sound = sound + looped(dice, sheet, len(sound), loops)
    return name, finished(dice, sound, style)


def main() -> None:
    """Parse, compose, play, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--pieces", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number to begin with, for several processes")
    parser.add_argument("--every", type=int, default=1, help="make only every so many, for several processes")
    parser.add_argument("--loops", type=Path, help="folder of recorded loops and drum sounds")
    parser.add_argument("--soundfont", type=Path, default=SOUNDFONT)
    parser.add_argument("--electronic", action="store_true", help="played by oscillators; wants no soundfont")
    arguments = parser.parse_args()
    mark, soundfont = ("e", None) if arguments.electronic else ("", arguments.soundfont)
    for number in range(arguments.first, arguments.pieces, arguments.every):
        if any(arguments.out.glob(f"{mark}{number:04d}_*.flac")):
            continue  # a run that was stopped goes on where it was
        name, sound = piece(number, arguments.seed, arguments.loops, soundfont)
        with replacing(arguments.out / f"{mark}{number:04d}_{name}.flac") as half:
            soundfile.write(half, sound, RATE, subtype="PCM_16")
        print(f"{number:04d} {name}: {len(sound) / RATE:.1f} s", flush=True)


if __name__ == "__main__":
    main()
