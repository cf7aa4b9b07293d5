"""An electronic band: plays the parts of a piece with oscillators, filters and drum machines made by lot.

What soundfonts lack and electronic pop is made of: detuned saws, filters that open, squashed basses, drums of sine and
noise, everything ducking under the kick, echoes, and patches with the formants or vibrato of a voice that are none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from composition import Dice, Part, Plan

RATE = 44_100
TABLE = 2048
Wave = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


@dataclass(frozen=True)
class Patch:
    """One sound.

    Attributes:
        tables: Waveforms, `[brightness, octave, TABLE]`, the darkest first.
        unison: Detunings of the voices in cents.
        attack, decay, sustain, release: Of loudness; seconds, and for `sustain` a share.
        opening: How bright a note begins and ends (0 to 1), and how fast it goes from one to the other in seconds.
        vibrato: Depth in cents and speed in Hz.
        drive: How hard the sum is squashed.
        slide: Seconds that a note takes from the pitch of the one before.
    """

    tables: Wave
    unison: tuple[float, ...]
    attack: float
    decay: float
    sustain: float
    release: float
    opening: tuple[float, float, float]
    vibrato: tuple[float, float]
    drive: float
    slide: float


def patch(dice: Dice, kind: str) -> Patch:
    """Draw a patch for `bass`, `lead` or `chords`."""
    harmonics = np.arange(1, TABLE // 2)
    shape = int(dice.integers(6))
    level = 1 / harmonics
    if shape == 1:  # square
        level = level * (harmonics % 2)
    elif shape == 2:  # pulse
        level = level * np.abs(np.sin(np.pi * harmonics * dice.uniform(0.08, 0.4)))
    elif shape == 3:  # triangle
        level = level**2 * (harmonics % 2)
    elif shape == 4:  # something of a few harmonics, as frequency modulation or an organ gives
        level = level**0.5 * (dice.random(len(harmonics)) < 0.5) * np.exp(-harmonics / dice.uniform(3, 25))
        level[0] = 1
    phases = dice.uniform(0, 2 * np.pi, len(harmonics)) if dice.random() < 0.5 else np.full(len(harmonics), -np.pi / 2)
    cuts = np.geomspace(dice.uniform(1.5, 4), dice.uniform(20, 120), 6)
    slope, peak = float(dice.choice([2, 4])), float(dice.choice([0, 0, 1.0, 3.0]))
    formants = [(dice.uniform(250, 3000), dice.uniform(80, 300)) for _ in range(3)] if dice.random() < 0.25 else []
    tables = np.zeros((len(cuts), 10, TABLE), np.float32)
    for bright, cut in enumerate(cuts):
        low = level / np.sqrt(1 + (harmonics / cut) ** (2 * slope))
        low = low * (1 + peak * np.exp(-(((harmonics - cut) / (0.15 * cut + 0.5)) ** 2)))
        for octave in range(tables.shape[1]):
            lowest = 27.5 * 2**octave
            spoken = low.copy()
            if formants:
                hz = harmonics * lowest * 1.4
                spoken *= 0.1 + sum(1 / (1 + ((hz - centre) / width) ** 2) for centre, width in formants)
            spoken[harmonics * lowest * 2 > RATE / 2] = 0
            spectrum = np.zeros(TABLE // 2 + 1, complex)
            spectrum[1:-1] = spoken * np.exp(1j * phases)
            wave = np.fft.irfft(spectrum)
            tables[bright, octave] = wave / max(1e-9, np.abs(wave).max())
    voices = 1 if kind == "bass" and dice.random() < 0.6 else int(dice.choice([1, 2, 3, 5, 7]))
    spread = dice.uniform(3, 30)
    plucked = dice.random() < (0.5 if kind != "lead" else 0.25)
    opening = (dice.uniform(0.3, 1), dice.uniform(0, 0.8), float(np.exp(dice.uniform(np.log(0.03), np.log(1.5)))))
    if dice.random() < 0.2:
        opening = (opening[1], opening[0], opening[2])
    return Patch(
        tables,
        tuple(np.linspace(-spread, spread, voices) if voices > 1 else [0.0]),
        0.003 if plucked else float(np.exp(dice.uniform(np.log(0.003), np.log(0.15)))),
        float(np.exp(dice.uniform(np.log(0.08), np.log(0.8)))),
        0.0 if plucked else float(dice.uniform(0.4, 1.0)),
        float(np.exp(dice.uniform(np.log(0.02), np.log(0.8)))),
        opening,
        (float(dice.uniform(10, 60)), float(dice.uniform(4, 7))) if dice.random() < 0.35 else (0.0, 0.0),
        float(dice.choice([0, 0, 1.5, 4])),
        float(dice.uniform(0.03, 0.12)) if kind != "chords" and dice.random() < 0.35 else 0.0,
    )


def note(dice: Dice, patch: Patch, seconds: float, pitch: float, before: float) -> Wave:
    """One note, `[time, 2]`; `before` is the pitch of the one before it."""
    length = int((seconds + patch.release) * RATE)
    time = np.arange(length) / RATE
    loud = np.minimum(time / patch.attack, 1) * (
        patch.sustain + (1 - patch.sustain) * np.exp(-np.maximum(time - patch.attack, 0) / patch.decay)
    )
    loud *= np.where(time < seconds, 1, np.exp(-5 * (time - seconds) / patch.release))
    depth, speed = patch.vibrato
    cents = depth * np.clip((time - 0.2) / 0.3, 0, 1) * np.sin(2 * np.pi * speed * time)
    if patch.slide:
        cents = cents + 100 * (before - pitch) * np.exp(-time / patch.slide)
    first, last, pace = patch.opening
    bright = np.clip(last + (first - last) * np.exp(-time / pace), 0, 0.999) * (len(patch.tables) - 1)
    lower, share = bright.astype(int), (bright % 1).astype(np.float32)
    hz = 440 * 2 ** ((pitch - 69) / 12)
    octave = int(np.clip(np.log2(hz / 27.5), 0, patch.tables.shape[1] - 1))
    tables = patch.tables[:, octave]
    out = np.zeros((length, 2), np.float32)
    for voice, detuned in enumerate(patch.unison):
        turns = np.cumsum(hz * 2 ** ((cents + detuned) / 1200) / RATE) + dice.random()
        place = (turns % 1) * TABLE
        left = place.astype(int)
        between = (place - left).astype(np.float32)
        right = (left + 1) % TABLE
        dark = tables[lower, left] * (1 - between) + tables[lower, right] * between
        light = tables[lower + 1, left] * (1 - between) + tables[lower + 1, right] * between
        side = 0.0 if len(patch.unison) == 1 else 0.7 * (2 * voice / (len(patch.unison) - 1) - 1)
        out += np.outer(dark * (1 - share) + light * share, [1 - side, 1 + side])
    out *= (loud / len(patch.unison) ** 0.5)[:, None]
    if patch.drive:
        out = np.tanh(patch.drive * out) / patch.drive**0.5
    return out


def drum(dice: Dice, key: int) -> Wave:
    """One sound of a drum machine for a key of the General MIDI drum map, `[time, 2]`."""
    time = np.arange(int(0.6 * RATE)) / RATE
    noise = dice.standard_normal((len(time), 2)).astype(np.float32)
    if key in (35, 36):
        low, sweep, pace = dice.uniform(38, 65), dice.uniform(60, 400), dice.uniform(0.01, 0.05)
        turns = np.cumsum(low + sweep * np.exp(-time / pace)) / RATE
        body = np.sin(2 * np.pi * turns) * np.exp(-time / dice.uniform(0.08, 0.3))
        click = noise * np.exp(-time / 0.003)[:, None] * dice.uniform(0, 0.4)
        return np.float32(1) * np.tanh(dice.uniform(1, 4) * (body[:, None] + click))
    if key in (37, 38, 39, 40):
        tone = np.sin(2 * np.pi * np.cumsum(dice.uniform(150, 260) * (1 + np.exp(-time / 0.02))) / RATE)
        hiss = _highpass(noise, dice.uniform(300, 2500)) * np.exp(-time / dice.uniform(0.04, 0.2))[:, None]
        if key == 39:
            late = sum(np.where(time > at, np.exp(-(time - at) / 0.008), 0) for at in (0, 0.011, 0.023))
            return np.float32(0.7) * hiss * (late[:, None] + 0.3)
        return np.float32(0.7) * (hiss + (tone * np.exp(-time / 0.07))[:, None] * dice.uniform(0.2, 1))
    if key in (41, 43, 45, 47, 48, 50):
        turns = np.cumsum((60 + 4 * (key - 35)) * (1 + 0.6 * np.exp(-time / 0.05))) / RATE
        return np.float32(0.8) * (np.sin(2 * np.pi * turns) * np.exp(-time / 0.15))[:, None].repeat(2, 1)
    long = {46: 0.25, 49: 0.5, 51: 0.3, 55: 0.4, 57: 0.5}.get(key, dice.uniform(0.01, 0.06))
    return np.float32(0.35) * _highpass(noise, dice.uniform(4000, 9000)) * np.exp(-time / long)[:, None]


def _highpass(sound: Wave, hz: float) -> Wave:
    spectrum = np.fft.rfft(sound, axis=0)
    spectrum *= (1 / (1 + (hz / np.fft.rfftfreq(len(sound), 1 / RATE).clip(1)) ** 4))[:, None]
    return np.fft.irfft(spectrum, len(sound), axis=0).astype(np.float32)


def roomed(dice: Dice, sound: Wave, plan: Plan) -> Wave:
    """With echoes in time and a tail of noise."""
    if dice.random() < 0.4:
        beat = 60 / plan.tempo
        delay, back = int(beat * dice.choice([0.5, 0.75, 1]) * RATE), dice.uniform(0.2, 0.5)
        for turn in range(1, 5):
            if turn * delay < len(sound):
                late = sound[: len(sound) - turn * delay]
                sound[turn * delay :] += back**turn * (late[:, ::-1] if turn % 2 else late) * 0.7
    if dice.random() < 0.6:
        decay = float(dice.uniform(0.3, 3.0))
        time = np.arange(int(decay * RATE)) / RATE
        tail = dice.standard_normal((len(time), 2)) * (10 ** (-3 * time / decay))[:, None]
        tail /= np.linalg.norm(tail, axis=0)
        size = len(sound) + len(tail)
        wet = np.fft.irfft(np.fft.rfft(sound, size, axis=0) * np.fft.rfft(tail, size, axis=0), size, axis=0)
        sound = sound + dice.uniform(0.1, 0.8) * wet[: len(sound)]
    return np.asarray(sound, np.float32)


def synthesised(dice: Dice, plan: Plan, parts: list[Part]) -> Wave:
    """All parts of a piece, `[time, 2]`."""
    step = 60 / plan.tempo / 4
    length = int((len(plan.chords) * plan.steps * step + 3) * RATE)
    total = np.zeros((length, 2), np.float32)
    ducked = dice.random() < 0.6
    beats = (np.arange(length) / RATE) % (4 * step) / (4 * step)
    duck = (1 - dice.uniform(0.3, 0.95) * np.exp(-beats / dice.uniform(0.1, 0.35))).astype(np.float32)
    for part in parts:
        out = np.zeros((length, 2), np.float32)
        if part.drums:
            sounds = {key: drum(dice, key) for key in sorted({pitch for _, _, pitch, _ in part.notes})}
        else:
            low = bool(part.notes) and np.median([pitch for _, _, pitch, _ in part.notes]) < 48
            own = patch(dice, "bass" if low else "lead" if part.expressive else "chords")
        before, made = 60.0, {}
        for start, steps, pitch, velocity in part.notes:
            late = plan.style.swing * 0.66 if int(start) % 2 else 0.0
            at = round((start + late) * step * RATE)
            if part.drums:
                sound = sounds[pitch]
            else:
                # The same note again is the same recording, as a sampler or a frozen track gives it.
                key = (pitch, round(steps, 1), before if own.slide else None)
                if key not in made:
                    made[key] = note(dice, own, min(6.0, steps * step), pitch, before)
                sound, before = made[key], float(pitch)
            room = out[at : at + len(sound)]
            room += (velocity / 100) ** 1.5 * sound[: len(room)]
        out /= max(1e-3, float(np.abs(out).max()))
        if not part.drums:
            out = roomed(dice, out, plan)
            if ducked or part.pump:
                out *= duck[:, None]
            pan = (part.pan - 64) / 64 * 0.7
            out *= np.array([1 - pan, 1 + pan], np.float32)
        total += (part.volume / 100) * dice.uniform(0.3, 1.0) * out
    if dice.random() < 0.4:  # noise that rises into the next part
        for bar in range(4, len(plan.chords), 8):
            end, span = int(bar * plan.bar_seconds * RATE), int(2 * plan.bar_seconds * RATE)
            begin = max(0, end - span)
            rise = np.linspace(0, 1, end - begin)[:, None] ** 2 * dice.uniform(0.05, 0.3)
            total[begin:end] += _highpass(dice.standard_normal((end - begin, 2)), dice.uniform(500, 3000)) * rise
    return total
