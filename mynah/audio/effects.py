"""Gain, fades and a high-pass: the few effects that the house itself needs."""

from __future__ import annotations

import torch
from torch import Tensor

from mynah.core.errors import BadOption
from mynah.core.types import Audio


def gain(audio: Audio, db: float) -> Audio:
    """Louder or softer by so many dB; minus infinity is silence.

    Example:

        >>> round(gain(Audio(torch.ones(1, 1), 8000), -6.0206).samples.item(), 4)
        0.5
    """
    return Audio(audio.samples * 10 ** (db / 20), audio.rate)


def fade(audio: Audio, *, in_seconds: float = 0.0, out_seconds: float = 0.0) -> Audio:
    """Raised-cosine fades at both ends; each is at most as long as the sound.

    Raises:
        BadOption: A length below zero.
    """
    if in_seconds < 0 or out_seconds < 0:
        raise BadOption(f"fades of {in_seconds:g} and {out_seconds:g} seconds: must not be below 0")
    time = audio.samples.shape[-1]
    curve = torch.ones(time, device=audio.samples.device)
    first, last = _rise(in_seconds, audio), _rise(out_seconds, audio)
    curve[: len(first)] *= first
    curve[time - len(last) :] *= last.flip(0)
    return Audio(audio.samples * curve, audio.rate)


def _rise(seconds: float, audio: Audio) -> Tensor:
    length = min(round(seconds * audio.rate), audio.samples.shape[-1])
    turn = (torch.arange(length, device=audio.samples.device) + 0.5) / max(length, 1)
    return torch.sin(turn * torch.pi / 2).square()


def high_pass(audio: Audio, hz: float) -> Audio:
    """Take away what lies below `hz` (hum, rumble, steps on the floor) and shift nothing in time.

    A Butterworth filter of order 4, run forth and back: 6 dB down at `hz`, 48 dB an octave below it.

    Raises:
        BadOption: `hz` is not between 0 and half the rate.
    """
    from scipy.signal import butter, sosfiltfilt

    if not 0 < hz < audio.rate / 2:
        raise BadOption(f"a high-pass at {hz:g} Hz: must lie between 0 and half the rate of {audio.rate} Hz")
    sections = butter(4, hz, "highpass", fs=audio.rate, output="sos")
    samples = audio.samples.detach().cpu().double().numpy()
    # Mirrored for about the filter's memory, or as far as the sound goes.
    edge = min(round(2 * audio.rate / hz), samples.shape[-1] - 1)
    filtered = sosfiltfilt(sections, samples, axis=-1, padlen=max(edge, 0))
    return Audio(torch.from_numpy(filtered.copy()).to(audio.samples), audio.rate)
