"""Pieces of music drawn by lot: a plan of chords, and the parts of instruments that follow it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

Dice = np.random.Generator

# Voices are what a separator has to find, so nothing here may hold any. In FluidR3, Goblin (101) and Echo Drops (102)
# are made of choir samples as well.
VOICES = {52, 53, 54, 85, 91, 101, 102}
MODES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "harmonic": (0, 2, 3, 5, 7, 8, 11),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
}
PROGRESSIONS = [
    "0453", "5304", "0534", "0345", "0545", "3405", "0565", "0354", "0656", "0635", "0306", "0363", "1400", "1405",
    "5140", "0514", "3625", "0142", "0000", "0606", "0033", "05", "03", "06", "01", "04530451", "02340545", "05310536",
]  # fmt: skip
PIANOS, ELECTRIC, ORGANS = (0, 1, 2, 3), (4, 5, 6, 7), (16, 17, 18, 19, 20, 21, 23)
CLEAN, DIRTY = (24, 25, 26, 27, 28), (29, 30)
STRINGS, PADS = (40, 44, 45, 48, 49, 50, 51), (88, 89, 90, 92, 93, 94, 95, 99)
BELLS, BRASS = (8, 9, 10, 11, 12, 13, 14, 15, 46, 108, 112, 114), (61, 62, 63)
FOLKISH = (15, 21, 22, 23, 46, 104, 105, 106, 107, 108)
SINGING = (22, *range(40, 43), *range(56, 61), *range(64, 80), *range(109, 112))
LEADS = (80, 81, 82, 83, 84, 86, 87)
BASSES = {"plucked": (32, 33, 34, 35, 36, 37), "synth": (38, 39, 38, 39, 87), "upright": (32, 43), "low": (43, 58, 70)}


@dataclass(frozen=True)
class Style:
    """What a kind of music likes.

    Attributes:
        tempo: Beats a minute, lowest and highest.
        drums: Kinds of patterns; see `drums`.
        kits: Programs of the drum channel.
        bass: Which basses.
        comps: Programs that play chords.
        manners: How they play them.
        solos: Programs that play melodies.
        swing: How much later every second step may be, as a part of a step.
        loops: Chance that recorded loops join in.
        drive: Chance of a loud, squashed sum, as mastering makes.
    """

    tempo: tuple[int, int]
    drums: tuple[str, ...]
    kits: tuple[int, ...]
    bass: str
    comps: tuple[int, ...]
    manners: tuple[str, ...]
    solos: tuple[int, ...]
    swing: float = 0.0
    loops: float = 0.0
    drive: float = 0.4


STYLES = {
    "pop": Style(
        (80, 130), ("back", "back", "half", "four"), (0, 1, 2, 8, 16), "plucked",
        PIANOS + ELECTRIC + CLEAN + PADS + STRINGS, ("block", "eighths", "broken", "arp", "strum"), LEADS + SINGING,
        loops=0.25,
    ),
    "rock": Style(
        (95, 165), ("back",), (0, 3, 8, 12, 16, 17), "plucked",
        DIRTY * 6 + CLEAN + (16, 18), ("power", "eighths", "strum", "block"), (29, 30, 30, 27, 84, 65, 22),
        drive=0.8,
    ),
    "ballad": Style(
        (60, 85), ("half", "back", "brush", "none"), (0, 8, 40), "plucked",
        PIANOS + ELECTRIC + CLEAN + STRINGS + PADS, ("block", "broken", "arp", "strum"), SINGING, drive=0.2,
    ),
    "house": Style(
        (118, 130), ("four",), (24, 25, 8), "synth",
        PIANOS + ELECTRIC + PADS + LEADS + ORGANS, ("offbeat", "stabs", "pump", "arp"), LEADS, loops=0.5, drive=0.8,
    ),
    "techno": Style(
        (125, 150), ("four",), (24, 25), "synth",
        PADS + LEADS + (62, 63), ("arp", "stabs", "pump"), LEADS, loops=0.5, drive=0.8,
    ),
    "beats": Style(
        (65, 100), ("trap", "half", "back"), (24, 25, 25, 8), "synth",
        BELLS + PADS + PIANOS + ELECTRIC + STRINGS, ("arp", "block", "stabs"), (*LEADS, 73, 75, 77, 107),
        loops=0.5, drive=0.7,
    ),
    "breaks": Style(
        (150, 170), ("breaks",), (24, 16, 8), "synth",
        PADS + ELECTRIC + STRINGS, ("block", "pump", "stabs"), LEADS, loops=0.7, drive=0.7,
    ),
    "funk": Style(
        (90, 120), ("funk",), (0, 4, 8), "plucked",
        (7, 16, 17, 27, 28, 4, 61), ("stabs", "offbeat"), (56, 57, 65, 66, 67, 81, 27),
        swing=0.2, loops=0.15,
    ),
    "folk": Style(
        (70, 140), ("brush", "waltz", "none", "back"), (40, 0, 32), "upright",
        (24, 25, 0, *FOLKISH), ("strum", "arp", "broken"), (22, 40, 73, 74, 75, 78, 79, 110, 109, 105, 21),
        drive=0.1,
    ),
    "orchestra": Style(
        (60, 150), ("orchestra", "none", "waltz"), (48,), "low",
        (*STRINGS, 46, 60, 61, 68, 71, 11, 0), ("block", "arp", "eighths", "tremolo"),
        (40, 41, 42, 56, 57, 60, 68, 69, 70, 71, 72, 73),
        drive=0.1,
    ),
    "jazz": Style(
        (70, 170), ("jazz",), (32, 33, 40, 41), "upright",
        (0, 1, 4, 11, 16, 26), ("stabs", "block"), (56, 59, 57, 64, 65, 66, 67, 71, 73, 26, 11), swing=0.6, drive=0.1,
    ),
    "reggae": Style(
        (65, 95), ("half", "back"), (0, 8, 40), "plucked",
        (16, 17, 18, 0, 27, 28), ("offbeat",), (56, 57, 65, 22, 80), swing=0.2,
    ),
    "solo": Style(
        (60, 120), ("none",), (0,), "upright",
        (0, 24, 25, 46, 48, 89, 19), ("block", "arp", "broken"), SINGING + LEADS, drive=0.1,
    ),
}  # fmt: skip


@dataclass
class Part:
    """One instrument.

    Attributes:
        notes: Start and length in steps (a quarter of a beat), pitch, velocity.
        expressive: Bends into its notes, swells, and has vibrato.
        pump: Ducks under every beat.
    """

    program: int
    notes: list[tuple[float, float, int, int]] = field(default_factory=list)
    volume: int = 100
    pan: int = 64
    reverb: int = 40
    chorus: int = 0
    drums: bool = False
    expressive: bool = False
    pump: bool = False


@dataclass(frozen=True)
class Plan:
    """What all parts of a piece share: its clock and its chords (pitch classes, root first; one for each bar)."""

    style: Style
    tempo: float
    steps: int
    chords: list[tuple[int, ...]]
    scale: tuple[int, ...]
    energy: list[float]

    @property
    def bar_seconds(self) -> float:
        return self.steps / 4 * 60 / self.tempo


def pick(dice: Dice, things: Sequence[int] | Sequence[str]) -> int | str:
    """One of them, as Python's own type."""
    return things[int(dice.integers(len(things)))]


def plan(dice: Dice, style: Style, seconds: float, metre: str) -> Plan:
    """Draw a key, chords, and how full every four bars are."""
    tempo = float(dice.uniform(*style.tempo))
    steps = 12 if metre == "waltz" else 16
    bars = max(8, round(seconds / (steps / 4 * 60 / tempo) / 4) * 4)
    key, mode = int(dice.integers(12)), MODES[str(pick(dice, list(MODES) + ["major", "minor"] * 3))]
    scale = tuple((key + step) % 12 for step in mode)
    turns = [str(pick(dice, PROGRESSIONS)) for _ in range(2)]
    rich = float(dice.choice([0.0, 0.2, 0.6, 1.0]))
    chords = []
    for bar in range(bars):
        turn = turns[(bar // 8) % 2]
        degree = int(turn[bar % len(turn)])
        sizes = 4 if dice.random() < rich else 3
        chord = [scale[(degree + 2 * third) % 7] for third in range(sizes)]
        if dice.random() < 0.08:
            chord[1] = scale[(degree + 3) % 7]  # suspended
        chords.append(tuple(chord))
    energy = [float(dice.uniform(0.35, 1.0)) for _ in range(bars // 4)]
    energy[0] *= 0.6
    return Plan(style, tempo, steps, chords, scale, energy)


def near(classes: Sequence[int], centre: int, count: int) -> list[int]:
    """Pitches of a chord around one pitch, lowest first."""
    pitches = [pitch for pitch in range(centre - 12, centre + 13) if pitch % 12 in classes]
    return sorted(sorted(pitches, key=lambda pitch: abs(pitch - centre + 0.1))[:count])


def chords(dice: Dice, plan: Plan, program: int, manner: str) -> Part:
    """A part that plays the chords in one manner."""
    part = Part(program, volume=int(dice.integers(60, 100)), pan=int(dice.integers(20, 108)), pump=manner == "pump")
    part.reverb, part.chorus = int(dice.integers(0, 90)), int(dice.choice([0, 0, 40, 80]))
    centre, count = int(dice.integers(52, 70)), int(dice.integers(3, 6))
    rhythm = [step for step in range(plan.steps) if dice.random() < (0.45 if step % 2 == 0 else 0.22)] or [0]
    rate, order = int(dice.choice([1, 2, 2, 4])), dice.permutation(8)
    kind = int(dice.integers(4))
    length = float(dice.uniform(0.4, 1.0))
    for bar, classes in enumerate(plan.chords):
        at, loud = bar * plan.steps, int(50 + 40 * plan.energy[bar // 4])
        pitches = near(classes, centre, count)

        def play(step: float, length: float, pitch: int, velocity: float, at: int = at) -> None:
            velocity = np.clip(velocity + dice.normal(0, 5), 15, 127)
            part.notes.append((at + step, length, int(np.clip(pitch, 24, 104)), int(velocity)))

        if manner in ("block", "pump"):
            halves = 2 if dice.random() < 0.2 else 1
            for half in range(halves):
                for pitch in pitches:
                    play(half * plan.steps / 2, plan.steps / halves * 0.98, pitch, loud)
        elif manner == "eighths":
            for step in range(0, plan.steps, 2):
                for pitch in pitches:
                    play(step, 1.9 * length, pitch, loud + (10 if step % 4 == 0 else -5))
        elif manner == "stabs":
            for step in rhythm:
                for pitch in pitches:
                    play(step, 0.6 + 2 * length * (step % 4 == 0), pitch, loud)
        elif manner == "offbeat":
            for step in range(2, plan.steps, 4):
                for pitch in pitches:
                    play(step, 1.6 * length, pitch, loud)
        elif manner == "strum":
            for step in [0, *rhythm]:
                down = step % 4 == 0
                for place, pitch in enumerate(pitches if down else pitches[::-1][:3]):
                    play(step + 0.12 * place, 3.5 if down else 1.5, pitch, loud - (0 if down else 12))
        elif manner == "power":
            root = 40 + (classes[0] - 40) % 12
            steps = range(0, plan.steps, 2) if kind < 2 else rhythm if kind == 2 else [0]
            for step in steps:
                for pitch in (root, root + 7, root + 12):
                    play(step, plan.steps * 0.97 if kind == 3 else 1.7 * length, pitch, loud + 15)
        elif manner == "tremolo":
            for step in range(plan.steps):
                for pitch in pitches[:3]:
                    play(step, 0.9, pitch, loud - 10)
        elif manner == "broken":
            play(0, plan.steps, 36 + classes[0], loud)
            for step in range(0, plan.steps, 2):
                play(step, 3.0, pitches[(0, 2, 1, 2)[step // 2 % 4] % len(pitches)], loud - 5)
        else:  # arp
            wide = pitches + [pitch + 12 for pitch in pitches[:2]]
            for place, step in enumerate(range(0, plan.steps, rate)):
                turn = (place, -1 - place, int(order[place % 8]), min(place % 8, 8 - place % 8))[kind]
                play(step, rate * (0.5 + length), wide[turn % len(wide)], loud - 5)
    return part


def bass(dice: Dice, plan: Plan) -> Part:
    """A bass line."""
    part = Part(int(pick(dice, BASSES[plan.style.bass])), volume=int(dice.integers(80, 120)), reverb=5)
    manner = str(pick(dice, ("root", "eighths", "octaves", "rhythm", "offbeat", "sixteenths")))
    if plan.style is STYLES["jazz"]:
        manner = "walking"
    rhythm = sorted({0} | {step for step in range(plan.steps) if dice.random() < 0.28})
    low = int(dice.integers(28, 34))
    for bar, classes in enumerate(plan.chords):
        at, root = bar * plan.steps, low + (classes[0] - low) % 12
        fifth = root + 7 if root < 38 else root - 5
        if manner == "root":
            line = [(0, plan.steps * 0.95, root)]
        elif manner == "walking":
            tones = [root, *(low + (tone - low) % 12 for tone in dice.permutation(classes[1:])), root + 12, fifth]
            line = [(4 * beat, 3.6, int(tones[beat])) for beat in range(plan.steps // 4)]
        elif manner == "offbeat":
            line = [(step, 1.7, root) for step in range(2, plan.steps, 4)]
        elif manner == "octaves":
            line = [(step, 1.6, root + 12 * (step // 2 % 2)) for step in range(0, plan.steps, 2)]
        elif manner == "rhythm":
            line = [(step, 1.8, int(dice.choice([root, root, fifth, root + 12]))) for step in rhythm]
        else:
            every = 2 if manner == "eighths" else 1
            line = [(step, every * 0.85, root) for step in range(0, plan.steps, every)]
        for step, length, pitch in line:
            part.notes.append((at + step, length, pitch, int(np.clip(85 + dice.normal(0, 8), 40, 127))))
    return part


def melody(dice: Dice, plan: Plan, program: int) -> Part:
    """A solo that breathes: phrases from two motifs, moved to the chords."""
    part = Part(program, volume=int(dice.integers(85, 120)), pan=int(dice.integers(44, 84)), expressive=True)
    part.reverb, part.chorus = int(dice.integers(10, 110)), int(dice.choice([0, 0, 30]))
    centre = int(dice.integers(45, 60) if program in (32, 42, 43, 57, 58, 66, 67, 70) else dice.integers(58, 76))
    ladder = [pitch for pitch in range(24, 104) if pitch % 12 in plan.scale]
    motifs = []
    for _ in range(3):
        step, motif = float(dice.choice([0, 0, 2, 4])), []
        while step < 2 * plan.steps - 4:
            length = float(dice.choice([1, 2, 2, 3, 4, 4, 6, 8, 12]))
            motif.append((step, length, int(dice.choice([-3, -2, -1, -1, 0, 1, 1, 2, 4]))))
            step += length + float(dice.choice([0, 0, 0, 0, 2, 4]))
        motifs.append(motif)
    for bar in range(0, len(plan.chords) - 1, 2):
        if dice.random() < 0.2:
            continue
        place = int(np.argmin([abs(pitch - centre) for pitch in ladder]))
        for step, length, move in motifs[int(dice.choice([0, 0, 1, 2]))]:
            place = int(np.clip(place + move, 8, len(ladder) - 8))
            pitch = ladder[place]
            tones = plan.chords[bar + int(step >= plan.steps)]
            if length >= 4:
                pitch = near(tones, pitch, 1)[0]
            if abs(pitch - centre) > 13:
                place += 4 if pitch < centre else -4
            velocity = int(np.clip(60 + 40 * plan.energy[bar // 4] + dice.normal(0, 8), 30, 127))
            part.notes.append((bar * plan.steps + step, length * float(dice.uniform(0.8, 1.02)), pitch, velocity))
    return part


def drums(dice: Dice, plan: Plan, kind: str) -> Part:
    """A drum part of one kind: a bar that is varied, with ghost notes and fills."""
    part = Part(int(pick(dice, plan.style.kits)), volume=int(dice.integers(85, 120)), drums=True)
    part.reverb = int(dice.integers(0, 50))
    last = plan.steps
    kicks = {0} | {step for step in (3, 6, 7, 8, 10, 11, 14) if step < last and dice.random() < 0.35}
    snare, side = int(dice.choice([38, 38, 40, 37, 39])), int(dice.choice([42, 42, 42, 51, 54, 69, 70, 53]))
    every, busy = int(dice.choice([1, 2, 2, 4])), float(dice.uniform(0, 0.5))
    rows: dict[int, dict[int, float]] = {36: dict.fromkeys(kicks, 105.0), snare: dict.fromkeys((4, 12), 105.0)}
    rows[side] = {step: 85.0 - 20 * (step % 4 != 0) for step in range(0, last, every)}
    if kind == "four":
        rows[36] = dict.fromkeys(range(0, last, 4), 112.0)
        rows[46] = dict.fromkeys(range(2, last, 4), 85.0)
    elif kind in ("half", "trap"):
        rows[snare] = {8: 108.0}
        if kind == "trap":
            rows[42] = {step / 2: 70.0 for step in range(2 * last) if step % 2 == 0 or dice.random() < busy}
    elif kind in ("funk", "breaks"):
        rows[snare] |= {step: 38.0 for step in (1, 3, 6, 7, 9, 11, 13, 15) if dice.random() < 0.4}
    elif kind == "jazz":
        rows = {51: {0: 85, 4: 95, 7: 70, 8: 85, 12: 95, 15: 70}, 44: {4: 80, 12: 80}, 35: {0: 45, 8: 40}}
        rows[38] = {step: 45.0 for step in range(16) if dice.random() < busy / 2}
    elif kind in ("brush", "waltz"):
        rows[36], rows[snare] = {0: 85.0}, dict.fromkeys(range(4, last, 4), 60.0)
    elif kind == "orchestra":
        rows = {35: {0: 90.0}, int(dice.choice([47, 41])): {0: 80.0, 8: 60.0}, 81: {4: 50.0, 12: 50.0}}
    if kind not in ("orchestra", "jazz") and dice.random() < 0.4:
        hand = int(dice.choice([54, 56, 60, 62, 63, 64, 69, 70, 75, 76, 82]))
        rows[hand] = {step: float(dice.uniform(45, 85)) for step in range(last) if dice.random() < 0.4}
    for bar in range(len(plan.chords)):
        at, loud = bar * last, 0.75 + 0.3 * plan.energy[bar // 4]
        fill = bar % 4 == 3 and kind != "orchestra" and dice.random() < 0.5
        begin = last - int(dice.choice([4, 8, 12])) if fill else last
        if bar % 8 == 0 and bar and dice.random() < 0.6:
            part.notes.append((at, 8, int(dice.choice([49, 57, 55])), 100))
        for key, row in rows.items():
            for step, velocity in row.items():
                if step < begin and dice.random() < 0.96:
                    velocity = np.clip(velocity * loud + dice.normal(0, 7), 10, 127)
                    part.notes.append((at + step, 1, key, int(velocity)))
        for step in range(begin, last):
            if dice.random() < 0.8:
                key = int(dice.choice([38, 38, 50, 48, 45, 43, 41]))
                part.notes.append((at + step, 1, key, int(dice.integers(60, 120))))
    return part


def arrange(dice: Dice, plan: Plan, kind: str) -> list[Part]:
    """All parts, some of which are silent for four bars here and there."""
    style, parts = plan.style, []
    solo = style is STYLES["solo"]
    for _ in range(1 if solo else int(dice.integers(1, 4))):
        manner = str(pick(dice, style.manners))
        parts.append(chords(dice, plan, int(pick(dice, style.comps)), manner))
    if solo and dice.random() < 0.3:
        parts = []
    leads = [melody(dice, plan, int(pick(dice, style.solos))) for _ in range(1 + (dice.random() < 0.25))]
    if solo or dice.random() < 0.65:
        parts += leads
    if not solo and dice.random() < 0.92:
        parts.append(bass(dice, plan))
    if kind != "none" and dice.random() < 0.95:
        parts.append(drums(dice, plan, kind))
    sections = len(plan.chords) // 4
    on = dice.random((len(parts), sections)) < (0.95 if solo else 0.85)
    if dice.random() < 0.6:
        on[:, 0] = False
    if dice.random() < 0.3:
        on[:, int(dice.integers(sections))] = False
    for section in np.flatnonzero(~on.any(0)):
        on[dice.integers(len(parts), size=2), section] = True
    for part, there in zip(parts, on, strict=True):
        part.notes = [note for note in part.notes if there[min(int(note[0]) // (4 * plan.steps), sections - 1)]]
    return parts
