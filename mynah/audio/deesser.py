"""A de-esser: softens s and sh, and nothing else, in sound that is still coming in."""

from __future__ import annotations

import numpy as np
import torch
from scipy.signal import butter, lfilter, sosfilt
from torch import Tensor

_BAND_HZ = (5000.0, 10_000.0)  # where hiss is strongest
_SHELF_HZ = 3000.0
_RATIO_DB = -10.0  # a vowel has less in that band than this, against all it has; s and sh have more
_SMOOTH_SECONDS = 0.004


class DeEsser:
    """A treble control, driven by how much of the sound lies between 5 and 10 kHz.

    What decides is that share and not the level, so that soft songs are treated as loud ones. Each decibel by which
    the share exceeds -10 dB takes one decibel from the treble, up to `most_db`, by a shelf of first order from 3 kHz on
    (steeper filters turn phases, so that taking away would add). All channels are treated alike. Where
    nothing is taken away, what comes out is what came in, to rounding; so it is at rates below 12 kHz throughout.

    Pieces that come out, joined, equal the joined pieces that went in, treated as a whole, but for rounding.
    """

    def __init__(self, rate: int, most_db: float) -> None:
        self.most_db = most_db
        low, high = _BAND_HZ[0], min(_BAND_HZ[1], 0.45 * rate)
        self._idle = most_db <= 0 or high <= 1.1 * low
        if self._idle:
            return
        self._treble = butter(1, _SHELF_HZ, "highpass", fs=rate, output="sos")
        self._hiss = butter(2, (low, high), "bandpass", fs=rate, output="sos")
        self._pole = float(np.exp(-1 / (_SMOOTH_SECONDS * rate)))
        self._states: dict[str, np.ndarray] = {}

    def push(self, samples: Tensor) -> Tensor:
        """From `[channel, time]` to as much."""
        if self._idle or not samples.shape[-1]:
            return samples
        wave = samples.double().numpy()
        treble = self._filtered("treble", self._treble, wave)
        hiss = self._filtered("hiss", self._hiss, wave)
        powers = np.stack([np.square(hiss).mean(0), np.square(wave).mean(0)])
        inside, whole = self._smoothed("powers", powers) + 1e-12  # -120 dB: digital silence does not hiss
        over_db = np.clip(10 * np.log10(inside / whole) - _RATIO_DB, 0, self.most_db)
        gain = 10 ** (self._smoothed("gain", -over_db[None]) / 20)
        return torch.from_numpy(wave + (gain - 1) * treble).to(samples)

    def _filtered(self, name: str, sections: np.ndarray, wave: np.ndarray) -> np.ndarray:
        state = self._states.get(name, np.zeros((len(sections), len(wave), 2)))
        filtered, self._states[name] = sosfilt(sections, wave, zi=state)
        return np.asarray(filtered)

    def _smoothed(self, name: str, rows: np.ndarray) -> np.ndarray:
        state = self._states.get(name, np.zeros((len(rows), 1)))
        smooth, self._states[name] = lfilter([1 - self._pole], [1, -self._pole], rows, zi=state)
        return np.asarray(smooth)
