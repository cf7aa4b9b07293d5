"""What studios do to voices in electronic music, and noise that drums and risers are made of: chances to learn from.

Voices there are cut into slices and played as a rhythm, held for seconds like an organ, vocoded, gated. A separator
that never heard this leaves them to the band. Slices, gates and effects are for instruments too, so that an effect
alone does not tell a voice.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mynah.audio.mixing import faded
from mynah.train.variety import transposed

WINDOW = 4096  # of the spectra below
EDGE_SECONDS = 0.004  # slices fade in and out, or they would click


def processed(sound: Tensor, rate: int, dice: np.random.Generator, *, voice: bool) -> Tensor:
    """A recording as a producer of electronic music might use it, `[channel, time]`.

    Args:
        sound: Of a few seconds, `[channel, time]`; what is shorter than a second comes back as it is.
        rate: In Hz.
        dice: Decides what is done.
        voice: Held and vocoded are voices alone: of an instrument nobody could tell.
    """
    if sound.shape[-1] < max(rate, 2 * WINDOW):
        return sound
    luck = dice.random()
    if voice and luck < 0.45:
        sound = held(sound, rate, dice)
        if dice.random() < 0.7:
            sound = gated(sound, rate, dice)
    elif voice and luck < 0.55:
        sound = vocoded(sound, rate, dice)
        if dice.random() < 0.3:
            sound = gated(sound, rate, dice)
    elif luck < 0.85:
        sound = sliced(sound, rate, dice)
    elif luck < 0.92:
        sound = gated(sound, rate, dice)
    for effect, chance in ((driven, 0.15), (flanged, 0.2), (narrowed, 0.6 if voice else 0.2), (echoed, 0.3)):
        if dice.random() < chance:
            sound = effect(sound, rate, dice)
    return sound


def sliced(sound: Tensor, rate: int, dice: np.random.Generator) -> Tensor:
    """One to four slices of it, played as a rhythm: again and again, at other pitches, backwards, with pauses."""
    channels, time = sound.shape
    beats, step = _rhythm(time, rate, dice)
    kept = []
    for _ in range(dice.integers(1, 5)):
        length = min(int(step * dice.choice([1, 1, 2, 3])), time // 2)
        begin = min(_loud(sound, rate, dice), time - length - 1)
        semitones = float(dice.integers(-5, 8)) if dice.random() < 0.3 else 0.0
        shorter = int((length - 2) / 2 ** (semitones / 12)) if semitones > 0 else length
        piece = transposed(sound[:, begin : begin + length], semitones, shorter)
        kept.append(faded(piece.flip(-1) if dice.random() < 0.15 else piece, rate, EDGE_SECONDS))
    out = torch.zeros(channels, time)
    for number in np.flatnonzero(beats):
        begin = min(int(number * step), time)
        piece = kept[dice.integers(len(kept))][:, : time - begin]
        out[:, begin : begin + piece.shape[-1]] += piece
    return out


def held(sound: Tensor, rate: int, dice: np.random.Generator) -> Tensor:
    """One moment of it for as long as it lasts: the magnitudes of a spectrum whose phases go on turning."""
    time = sound.shape[-1]
    hop = WINDOW // 4
    window = torch.hann_window(WINDOW)
    begin = min(_loud(sound, rate, dice), time - WINDOW - hop - 1)
    first, second = (torch.fft.rfft(sound[:, begin + late : begin + late + WINDOW] * window) for late in (0, hop))
    turn = (second / second.abs().clamp_min(1e-6)) * (first.conj() / first.abs().clamp_min(1e-6))
    frames = time // hop + 4
    angles = first.angle()[..., None] + turn.angle()[..., None] * torch.arange(frames)
    spectra = torch.polar(first.abs()[..., None].expand_as(angles).contiguous(), angles)
    return torch.istft(spectra, WINDOW, hop, window=window)[:, :time].contiguous()


def vocoded(sound: Tensor, rate: int, dice: np.random.Generator) -> Tensor:
    """A chord of saws, or noise, with the voice's bands laid over it (channel vocoder, H. Dudley 1939)."""
    time = sound.shape[-1]
    when = torch.arange(time) / rate
    carrier = torch.zeros(time)
    root = float(np.exp(dice.uniform(math.log(70), math.log(250))))
    for _ in range(dice.integers(1, 4)):
        hertz = root * 2 ** (float(dice.choice([0, 3, 4, 7, 12])) / 12 + dice.uniform(-0.006, 0.006))
        carrier += 2 * torch.remainder(when * hertz + dice.random(), 1) - 1
    noise = torch.from_numpy(dice.standard_normal(time).astype(np.float32))
    carrier = carrier + float(dice.choice([0.0, 0.05, 0.3, 3.0])) * noise
    window = torch.hann_window(WINDOW // 2)
    spectra = [
        torch.stft(each, WINDOW // 2, WINDOW // 8, window=window, return_complex=True)
        for each in (sound, carrier[None])
    ]
    width = int(dice.choice([9, 17, 33]))
    bands = [
        torch.nn.functional.avg_pool1d(each.abs().transpose(1, 2), width, 1, width // 2).transpose(1, 2)
        for each in spectra
    ]
    robot = spectra[1] * (bands[0] / bands[1].clamp_min(1e-4))
    return torch.istft(robot, WINDOW // 2, WINDOW // 8, window=window, length=time)


def gated(sound: Tensor, rate: int, dice: np.random.Generator) -> Tensor:
    """Louder and softer, or there and not there, by a rhythm."""
    time = sound.shape[-1]
    beats, step = _rhythm(time, rate, dice)
    floor = 0.0 if dice.random() < 0.6 else 10 ** (dice.uniform(-20, -4) / 20)
    share = torch.remainder(torch.arange(time) / step, 1) < dice.uniform(0.4, 1.2)
    on = torch.from_numpy(beats)[(torch.arange(time) / step).long()] & share
    level = torch.where(on, 1.0, floor)
    soft = int(dice.uniform(0.002, 0.04) * rate) | 1
    return sound * torch.nn.functional.avg_pool1d(level[None], soft, 1, soft // 2)


def driven(sound: Tensor, rate: int, dice: np.random.Generator) -> Tensor:
    """Distorted; its level stays."""
    level = sound.square().mean().sqrt().clamp_min(1e-5)
    hot = (sound / level * float(dice.uniform(0.5, 4))).tanh()
    return hot * (level / hot.square().mean().sqrt().clamp_min(1e-5))


def flanged(sound: Tensor, rate: int, dice: np.random.Generator) -> Tensor:
    """With itself a few milliseconds later, at a delay that sways; left and right sway apart."""
    channels, time = sound.shape
    middle, depth = dice.uniform(0.001, 0.02), dice.uniform(0.1, 0.9)
    phase = 2 * math.pi * (torch.arange(time) / rate * dice.uniform(0.1, 3) + dice.random())
    late = torch.stack([middle * rate * (1 + depth * torch.sin(phase + side)) for side in range(channels)])
    places = (torch.arange(time) - late).clamp(min=0)
    first = places.long().clamp(max=time - 2)
    fraction = places - first
    echo = sound.gather(1, first) * (1 - fraction) + sound.gather(1, first + 1) * fraction
    return sound + float(dice.uniform(-0.9, 0.9)) * echo


def narrowed(sound: Tensor, rate: int, dice: np.random.Generator) -> Tensor:
    """Without its lows, its highs, or both, as through a telephone; and perhaps with one band that rings."""
    spectrum = torch.fft.rfft(sound)
    octaves = torch.log2(torch.linspace(1, rate / 2, spectrum.shape[-1]))
    low, high = (math.log2(np.exp(dice.uniform(math.log(a), math.log(b)))) for a, b in ((100, 1000), (1200, 12_000)))
    steep_db = dice.uniform(6, 36, 2)  # for each octave
    loss_db = steep_db[0] * (low - octaves).clamp(min=0) + steep_db[1] * (octaves - high).clamp(min=0)
    if dice.random() < 0.5:
        ring, width = dice.uniform(low, high), dice.uniform(0.1, 0.8)
        loss_db = loss_db - float(dice.uniform(3, 15)) * torch.exp(-0.5 * ((octaves - ring) / width) ** 2)
    changed: Tensor = torch.fft.irfft(spectrum * 10 ** (-loss_db.clamp(max=80) / 20), sound.shape[-1])
    return changed


def echoed(sound: Tensor, rate: int, dice: np.random.Generator) -> Tensor:
    """With echoes in time that die away, from side to side."""
    out = sound.clone()
    late = int(dice.uniform(0.1, 0.5) * rate)
    feedback = dice.uniform(0.2, 0.7)
    for number in range(1, 6):
        at, level = number * late, float(feedback**number)
        if at < sound.shape[-1]:
            out[:, at:] += level * (sound.flip(0) if number % 2 else sound)[:, :-at]
    return out


def noises(channels: int, time: int, rate: int, dice: np.random.Generator) -> Tensor:
    """Coloured noise, `[channel, time]`: hits in a rhythm that die away, or one that swells (a riser)."""
    noise = torch.from_numpy(dice.standard_normal((1 if dice.random() < 0.5 else channels, time)).astype(np.float32))
    spectrum = torch.fft.rfft(noise.expand(channels, -1))
    hertz = torch.linspace(1, rate / 2, spectrum.shape[-1])
    # One or two broad humps, as a filter that rings has them.
    colour = torch.zeros_like(hertz)
    for _ in range(dice.integers(1, 3)):
        centre, width = np.exp(dice.uniform(math.log(150), math.log(9000))), dice.uniform(0.3, 2.0)
        colour += torch.exp(-0.5 * (torch.log2(hertz / centre) / width) ** 2)
    noise = torch.fft.irfft(spectrum * colour, time)
    if dice.random() < 0.3:
        swell = torch.linspace(0, 1, time) ** float(dice.uniform(0.5, 4))
        noise = noise * (swell if dice.random() < 0.7 else swell.flip(0))
    else:
        beats, step = _rhythm(time, rate, dice)
        place = torch.remainder(torch.arange(time) / step, 1)
        dying = torch.exp(-place * step / rate / float(np.exp(dice.uniform(math.log(0.02), math.log(1.0)))))
        hit = torch.from_numpy(beats)[(torch.arange(time) / step).long()]
        noise = noise * dying * hit
    even: Tensor = noise / noise.square().mean().sqrt().clamp_min(1e-6)
    return even


def _rhythm(time: int, rate: int, dice: np.random.Generator) -> tuple[np.ndarray[Any, Any], float]:
    """Which steps of a pattern that repeats are played, at least one; and how many samples a step takes."""
    step = 60 / dice.uniform(70, 180) / dice.choice([1, 2, 3, 4, 4]) * rate
    pattern = dice.random(int(dice.choice([3, 4, 8, 16]))) < dice.uniform(0.1, 0.9)
    pattern[dice.integers(len(pattern))] = True
    steps = int(time / step) + 2
    beats = np.resize(np.roll(pattern, dice.integers(len(pattern))), steps)
    beats[dice.integers(min(steps, max(1, steps - 2)))] = True
    return beats, float(step)


def _loud(sound: Tensor, rate: int, dice: np.random.Generator) -> int:
    """Where it is as loud as it ever is, or nearly, in samples."""
    size = int(0.05 * rate)
    power = torch.nn.functional.avg_pool1d(sound.square().mean(0, keepdim=True), size)[0]
    places = torch.nonzero(power >= 0.1 * power.max()).flatten()
    return int(places[dice.integers(len(places))]) * size if len(places) else 0
