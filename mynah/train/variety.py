"""Changes that make one recording many: another key and speed, another place in the stereo image, another room."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor


def transposed(sound: Tensor, semitones: float, samples: int) -> Tensor:
    """Faster and higher, or slower and lower, like a tape: the first `samples` samples of `[channel, time]`.

    Linear interpolation of a signal that was read a little too fast: what it folds back is soft and does not matter to
    a net that hears many.
    """
    if not semitones:
        return sound[:, :samples]
    places = torch.arange(samples, dtype=torch.float64) * 2 ** (semitones / 12)
    first = places.long().clamp(max=sound.shape[-1] - 2)
    return torch.lerp(sound[:, first], sound[:, first + 1], (places - first).float())


def tinted(sound: Tensor, rate: int, dice: np.random.Generator, *, db: float = 4.0) -> Tensor:
    """Through another equaliser: a smooth curve over the octaves, by about `db` up or down in each of them."""
    spectrum = torch.fft.rfft(sound)
    octaves = torch.log2(1 + torch.linspace(0, rate / 2, spectrum.shape[-1]) / 60)
    curve = torch.from_numpy(dice.normal(0, db, int(octaves[-1]) + 2).astype(np.float32))
    first = octaves.long()
    gain_db = torch.lerp(curve[first], curve[first + 1], octaves - first)
    changed: Tensor = torch.fft.irfft(spectrum * 10 ** (gain_db / 20), sound.shape[-1])
    return changed


def placed(sound: Tensor, dice: np.random.Generator) -> Tensor:
    """Elsewhere in the stereo image: panned with constant power, or narrower. Mono is left as it is."""
    if sound.shape[0] != 2:
        return sound
    width = dice.uniform(0.3, 1.0) if dice.random() < 0.3 else 1.0
    middle, side = sound.mean(0), width * (sound[0] - sound[1]) / 2
    sound = torch.stack([middle + side, middle - side])
    angle = math.pi / 4 * (1 + np.clip(dice.normal(0, 0.2), -0.8, 0.8))
    return sound * (2**0.5 * torch.tensor([[math.cos(angle)], [math.sin(angle)]], dtype=sound.dtype))


def roomy(sound: Tensor, rate: int, dice: np.random.Generator) -> Tensor:
    """In another room: noise that dies away (0.2 to 2.5 s for 60 dB), more or less dark, and perhaps an echo."""
    channels, time = sound.shape
    decay = float(np.exp(dice.uniform(math.log(0.2), math.log(2.5))))
    length = min(int(decay * rate), time)
    tail = torch.from_numpy(dice.standard_normal((channels, length)).astype(np.float32))
    tail *= 10 ** (-3 * torch.arange(length) / (decay * rate))
    dark = int(dice.integers(1, 6))  # a running mean of so many samples: a simple low-pass
    tail = torch.nn.functional.avg_pool1d(tail[None], dark, 1, dark // 2)[0, :, :length]
    delay = int(dice.uniform(0.0, 0.05) * rate)
    tail = torch.nn.functional.pad(tail, (delay, 0))
    if dice.random() < 0.25:
        echo = int(dice.uniform(0.15, 0.5) * rate)
        tail = torch.nn.functional.pad(tail, (0, max(0, echo + 1 - tail.shape[-1])))
        tail[:, echo] += 0.3 * tail.norm() / channels**0.5
    tail = tail / tail.norm(dim=-1, keepdim=True).clamp_min(1e-6)
    size = 1 << (time + tail.shape[-1] - 1).bit_length()
    wet: Tensor = torch.fft.irfft(torch.fft.rfft(sound, size) * torch.fft.rfft(tail, size), size)[:, :time]
    return sound + float(10 ** (dice.uniform(-20, -3) / 20)) * wet
