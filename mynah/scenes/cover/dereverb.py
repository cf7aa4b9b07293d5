"""Reverb taken away from a vocal, so that a converter hears the voice and not the room."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mynah.audio.files import Writer, probe, stream
from mynah.audio.reverb import ReverbMatch
from mynah.audio.spectra import reshaped
from mynah.core.errors import BadOption
from mynah.core.types import Audio
from mynah.scenes.cover.vocal import reverb_of

_WINDOW_SECONDS = 0.046
_LATE_SECONDS = 0.035  # what comes sooner belongs to the voice
_FLOOR_DB = -20.0  # deeper cuts leave chirps behind
_SMOOTH = 0.25  # of a bin's power from frame to frame
_MORE = 2.5  # times as much is taken as is thought to be there, because powers fluctuate


def dried(vocals: Path, out: Path, strength: float, progress: Callable[[float], None] = lambda fraction: None) -> None:
    """Write `vocals` with its late reverb turned down to `out`, in float32 where `out` is a wav.

    The vocal is heard twice: first for how long and how loud its reverb is, then bin by bin and frame by frame for what
    of the sound is voice and what its trail. A vocal without audible reverb is written as it is.

    Args:
        vocals: One voice, of any rate and number of channels.
        out: Where to; the suffix chooses the format. As long as `vocals`.
        strength: 0 changes nothing, 1 turns down as far as can be done without chirps.
        progress: Told the fraction that is done.

    Raises:
        BadOption: A strength beyond 0 and 1.
        BadAudio: The vocal cannot be read.
        NoSpace: The disk is full.
    """
    if not 0 <= strength <= 1:
        raise BadOption(f"a strength of {strength:g}: from 0 (no change) to 1")
    info, done = probe(vocals), 0.0
    reverb = reverb_of(vocals) if strength else ReverbMatch(0.0, -math.inf)
    pieces: Iterator[Tensor] = (block.samples for block in stream(vocals))
    if reverb.audible:
        size = 4 * max(1, round(_WINDOW_SECONDS * info.rate / 4))
        pieces = reshaped(pieces, Dryer(reverb, info.rate, size, strength), size=size)
    bits = 32 if out.suffix.lower() == ".wav" else None
    with Writer(out, info.rate, info.channels, bits=bits, peak_db=None) as writer:
        for piece in pieces:
            writer.push(Audio(piece, info.rate))
            done += piece.shape[-1] / info.rate
            progress(min(1.0, done / info.seconds))


class Dryer:
    """Tells voice from its own trail in spectra that come frame by frame, and turns the trail down.

    The trail of a bin is what the voice in it was, decayed: what comes in is taken for trail as far as the voice so far
    explains it, and the rest for voice, which adds to the trail to come.

    Source: K. Lebart, J. M. Boucher and P. N. Denbigh, "A new method based on spectral subtraction for speech
    dereverberation", Acta Acustica 87, 2001 (a trail that decays exponentially is subtracted); E. A. P. Habets,
    S. Gannot and I. Cohen, "Late reverberant spectral variance estimation based on a statistical model", IEEE Signal
    Processing Letters 16, 2009 (the level of the trail against the direct sound).
    """

    def __init__(self, reverb: ReverbMatch, rate: int, size: int, strength: float) -> None:
        hop = size // 4 / rate
        self._decay = 10 ** (-6 * hop / reverb.decay_seconds)
        self._late = max(1, round(_LATE_SECONDS / hop))
        self._grows = 10 ** (reverb.wet_db / 10) * (1 - self._decay) * self._decay**self._late
        self._strength = strength
        self._trail = self._power = np.zeros(size // 2 + 1)
        self._voices = [np.zeros(size // 2 + 1)] * self._late

    def __call__(self, spectra: Tensor) -> Tensor:
        """From spectra `[channel, bin, frame]` to as many."""
        gains = torch.from_numpy(self._gains(spectra.abs().square().mean(0).double().numpy().T)).T.float()
        return spectra * (1 - self._strength * (1 - gains))

    def _gains(self, powers: np.ndarray) -> np.ndarray:
        gains = np.empty_like(powers)
        floor = 10 ** (_FLOOR_DB / 10)
        for frame, power in enumerate(powers):
            self._power = _SMOOTH * self._power + (1 - _SMOOTH) * power
            self._trail = self._decay * self._trail + self._grows * self._voices.pop(0)
            share = 1 - _MORE * self._trail / (self._power + 1e-20)
            gains[frame] = np.sqrt(np.maximum(share, floor))
            self._voices.append(np.maximum(power - self._trail, floor * power))
        return gains
