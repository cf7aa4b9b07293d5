"""Octave repair: what the sound itself says about a pitch that may be an octave off.

A tone whose odd harmonics are gone is heard an octave higher, and one that has them is not. Their share of the power is
read from the autocorrelation, which at half a period is lower by twice that share than at the whole one.
The cheapest path through "as tracked", "an octave up" and "an octave down" then weighs that against leaps.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

RATE = 16_000
WINDOW = 1024  # samples: 64 ms, three periods at 47 Hz
_FFT = 2048
_BAND_HZ = (40.0, 3000.0)  # outside there is more rumble and hiss than harmonics
_FAINT = 0.01  # odd harmonics at -20 dB or less: the pitch is the octave above
_PLAIN = 0.12  # odd harmonics (of the octave below) at -9 dB or more: the pitch is the octave below
_PERIODIC = 0.85  # below this autocorrelation, noise hides what the shares say
_LEAP = 2.0  # cost of an octave from frame to frame
_SHIFTS = (0, 1, -1)  # octaves


def evidence(wave: Tensor, pitch_hz: Tensor, hop: int) -> Tensor:
    """Level and periodicity around each frame of a tracked pitch.

    Args:
        wave: 16 kHz, shape `[time]`; frame `i` is centred at sample `i * hop`.
        pitch_hz: Shape `[frame]`, finite and above zero.
        hop: Samples between frames.

    Returns:
        Shape `[4, frame]`: level in dB below full scale, then the normalised autocorrelation at the period of the
        pitch, of twice the pitch and of half the pitch.
    """
    window = torch.hann_window(WINDOW)
    short = max(0, (len(pitch_hz) - 1) * hop + WINDOW // 2 - len(wave))
    framed = F.pad(wave, (WINDOW // 2, WINDOW // 2 + short)).unfold(0, WINDOW, hop)[: len(pitch_hz)] * window
    level_db = 10 * (framed.square().mean(1) / window.square().mean()).clamp(min=1e-12).log10()
    hz = torch.arange(_FFT // 2 + 1) * (RATE / _FFT)
    band = (hz >= _BAND_HZ[0]) & (hz <= _BAND_HZ[1])
    power = torch.fft.rfft(framed, _FFT)[:, band].abs().square()
    own = torch.fft.irfft(torch.fft.rfft(window, _FFT).abs().square())[: WINDOW // 2 + 1]
    total = power.sum(1).clamp(min=1e-12)
    rows = [level_db]
    for octaves in _SHIFTS:
        lag = RATE / (pitch_hz * 2.0**octaves)
        place = lag.clamp(max=WINDOW // 2 - 1)
        below = place.long()
        taper = torch.lerp(own[below], own[below + 1], place - below) / own[0]
        waves = torch.cos(2 * torch.pi / RATE * hz[band] * lag[:, None])
        rows.append((power * waves).sum(1) / total / taper)
    return torch.stack(rows)


def costs(periodicity: Tensor) -> Tensor:
    """What the sound says against each shift: `[3, frame]` (as tracked, up, down) from rows 1 to 3 of `evidence`."""
    whole, double, half = periodicity
    odd = ((whole - double) / 2).clamp(min=1e-6)
    odd_below = ((half - whole) / 2).clamp(min=1e-6)
    up = (1.5 * (odd / _FAINT).log2()).clamp(-1.5, 6.0)
    up = torch.where(double < _PERIODIC, up.clamp(min=3.0), up)
    down = (1.5 * (_PLAIN / odd_below).log2()).clamp(-1.5, 6.0)
    down = torch.where(half < _PERIODIC, down.clamp(min=3.0), down)
    return torch.stack([torch.zeros_like(up), up, down])


def repaired(pitch_hz: Tensor, voiced: Tensor, periodicity: Tensor, low_hz: float, high_hz: float) -> Tensor:
    """The pitch with wrong octaves put right; frames that are not voiced stay as they are.

    Args:
        pitch_hz: As tracked, shape `[frame]`.
        voiced: Whether there is a pitch at all, shape `[frame]`.
        periodicity: Rows 1 to 3 of `evidence`, shape `[3, frame]`.
        low_hz: No frame is put below.
        high_hz: No frame is put above.
    """
    octave = pitch_hz.double().log2()
    against = costs(periodicity.double())
    for row, shift in enumerate(_SHIFTS):
        if shift:
            shifted = pitch_hz * 2.0**shift
            against[row] = against[row].masked_fill((shifted < low_hz) | (shifted > high_hz), torch.inf)
    result = pitch_hz.clone()
    for start, stop in stretches(voiced):
        steady = octave[start:stop].diff().abs().max() < 0.5 if stop - start > 1 else True
        if steady and against[1:, start:stop].min() > 0:
            continue  # nothing to gain from any shift
        path = _cheapest(octave[start:stop].tolist(), against[:, start:stop].T.tolist())
        result[start:stop] *= 2.0 ** torch.tensor([_SHIFTS[state] for state in path])
    return result


def stretches(flags: Tensor) -> list[tuple[int, int]]:
    """Start and stop of every run of true values.

    Example:

        >>> stretches(torch.tensor([True, True, False, True]))
        [(0, 2), (3, 4)]
    """
    edges = F.pad(flags.int(), (1, 1)).diff()
    starts, stops = (edges == 1).nonzero()[:, 0].tolist(), (edges == -1).nonzero()[:, 0].tolist()
    return list(zip(starts, stops, strict=True))


def _cheapest(octave: list[float], against: list[list[float]]) -> list[int]:
    """The path of least cost through the shifts: what the sound says, and `_LEAP` for every octave of movement."""
    best, came_from = against[0], []
    for before, now, local in zip(octave, octave[1:], against[1:], strict=False):
        moves = [
            min(
                (best[old] + _LEAP * abs(now + _SHIFTS[new] - before - _SHIFTS[old]), old)
                for old in range(len(_SHIFTS))
            )
            for new in range(len(_SHIFTS))
        ]
        best = [cost + local[new] for new, (cost, _) in enumerate(moves)]
        came_from.append([old for _, old in moves])
    state = min(range(len(_SHIFTS)), key=lambda new: best[new])
    path = [state]
    for back in reversed(came_from):
        state = back[state]
        path.append(state)
    return path[::-1]
