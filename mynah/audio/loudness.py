"""How loud a recording is to the ear, ITU-R BS.1770 loudness and true peak; and bringing it to another loudness."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from pyloudnorm import IIRfilter
from scipy.signal import lfilter

from mynah.audio.effects import gain
from mynah.audio.limiter import limited
from mynah.audio.resample import Resampler
from mynah.core.errors import BadAudio
from mynah.core.types import Audio
from mynah.core.verbs import Blocks

_ABSOLUTE_LUFS = -70.0  # softer blocks are silence
_RELATIVE_LU = -10.0  # and so are those this much below the rest
_OFFSET_LU = -0.691  # of the K-weighting's gain at 1 kHz
_STEPS = 4  # 100 ms each in a gating block of 400 ms, so that blocks overlap by three quarters
_SURROUND = 10**0.15  # 1.5 dB


class Meter:
    """Integrated loudness of sound that is still coming in, in flat memory.

    Source: ITU-R BS.1770-5, annex 1; the K-weighting for any rate from pyloudnorm (its "DeMan" filters, which at 48 kHz
    are those of the standard).
    """

    def __init__(self, rate: int, channels: int) -> None:
        self.rate, self.channels = rate, channels
        shelf = IIRfilter(3.99984385397, 0.7071752369554193, 1681.9744509555319, rate, "high_shelf_DeMan")
        rumble = IIRfilter(0.0, 0.5003270373253953, 38.13547087613982, rate, "high_pass_DeMan")
        self._filters = [(each.b, each.a) for each in (shelf, rumble)]
        self._states = [np.zeros((channels, 2)) for _ in self._filters]
        self._weights = _channel_weights(channels)
        self._step = max(1, round(rate / 10))
        self._rest = np.zeros(0)
        self._powers: list[np.ndarray] = []

    def push(self, block: Audio) -> None:
        """Listen to some more, of any length.

        Raises:
            BadAudio: Another rate or number of channels than announced.
        """
        if (block.rate, block.samples.shape[0]) != (self.rate, self.channels):
            raise BadAudio(f"a block of {block.rate} Hz came to a loudness meter of {self.rate} Hz, or other channels")
        samples = block.samples.detach().cpu().double().numpy()
        for index, (b, a) in enumerate(self._filters):
            samples, self._states[index] = lfilter(b, a, samples, axis=-1, zi=self._states[index])
        power = np.concatenate([self._rest, self._weights @ np.square(samples)])
        whole = len(power) - len(power) % self._step
        self._powers.append(power[:whole].reshape(-1, self._step).mean(1))
        self._rest = power[whole:]

    def lufs(self) -> float:
        """Loudness of all that was heard; minus infinity if that is silence.

        What is shorter than one block of 400 ms counts as one block of its own length: padded with silence it would
        seem softer than it is.
        """
        powers = np.concatenate(self._powers) if self._powers else np.zeros(0)
        if len(powers) >= _STEPS:
            blocks = np.convolve(powers, np.full(_STEPS, 1 / _STEPS), "valid")
        else:
            length = len(powers) * self._step + len(self._rest)
            blocks = np.array([(powers.sum() * self._step + self._rest.sum()) / max(length, 1)])
        loud = blocks[blocks >= _power(_ABSOLUTE_LUFS)]
        if not len(loud):
            return -math.inf
        loud = loud[loud > loud.mean() * 10 ** (_RELATIVE_LU / 10)]
        return float(_OFFSET_LU + 10 * np.log10(loud.mean()))


def loudness(audio: Audio) -> float:
    """Integrated loudness in LUFS; minus infinity for silence (below -70 LUFS throughout).

    Five and six channels are taken for 5.0 and 5.1 (the surrounds 1.5 dB up, the low frequencies left out); in all
    other counts every channel weighs the same.

    Example:

        >>> tone = torch.sin(2 * torch.pi * 997 * torch.arange(96_000) / 48_000).expand(2, -1)
        >>> round(loudness(Audio(tone * 10 ** (-23 / 20), 48_000)), 1)  # EBU Tech 3341, case 1
        -23.0
    """
    meter = Meter(audio.rate, audio.samples.shape[0])
    for samples in torch.split(audio.samples, 10 * audio.rate, -1):
        meter.push(Audio(samples, audio.rate))
    return meter.lufs()


def true_peak_db(audio: Audio) -> float:
    """The highest point of the wave between the samples too, in dB of full scale; minus infinity for digital silence.

    Source: ITU-R BS.1770-5, annex 2: four times oversampled below 96 kHz, twice below 192 kHz.
    """
    factor = 4 if audio.rate < 96_000 else 2 if audio.rate < 192_000 else 1
    resampler = Resampler(audio.rate, factor * audio.rate)
    highest = _peak(audio)
    for samples in torch.split(audio.samples, 10 * audio.rate, -1):
        highest = max(highest, _peak(resampler.push(Audio(samples, audio.rate))))
    highest = max(highest, _peak(resampler.flush()))
    return 20 * math.log10(highest) if highest else -math.inf


def normalise(audio: Audio, lufs: float = -16.0, *, peak_db: float | None = -1.0) -> Audio:
    """Bring a recording to a loudness, or as near to it as its true peak allows. Silence stays silence.

    Args:
        audio: Anything.
        lufs: Aim. Streaming services play at about -14 to -16, broadcast at -23.
        peak_db: The true peak is not raised above this; `None` for no limit.
    """
    has = loudness(audio)
    if has == -math.inf:
        return audio
    raise_db = lufs - has
    if peak_db is not None:
        raise_db = min(raise_db, peak_db - true_peak_db(audio))
    return gain(audio, raise_db)


def mastered(blocks: Blocks, lufs: float = -14.0, peak_db: float = -1.0) -> Iterator[Audio]:
    """A recording brought to a loudness, its peaks held under a ceiling: listened to once, then given block by block.

    The result is as loud as asked for, less what the limiter took away: nothing where no peak reaches the ceiling,
    some tenths of a unit where a few do. Silence stays silence.

    Args:
        blocks: Opens the recording, twice.
        lufs: Aim. Streaming services play at about -14 to -16, broadcast at -23.
        peak_db: The true peak stays at or below this; see `mynah.audio.limiter`.

    Raises:
        BadOption: A ceiling above full scale.
    """
    meter: Meter | None = None
    for block in blocks():
        meter = meter or Meter(block.rate, block.samples.shape[0])
        meter.push(block)
    if meter is None:
        return
    has, rate = meter.lufs(), meter.rate
    factor = 10 ** ((lufs - has) / 20) if has > -math.inf else 1.0
    for samples in limited((block.samples * factor for block in blocks()), rate, peak_db):
        yield Audio(samples, rate)


def _peak(audio: Audio) -> float:
    if not audio.samples.numel():
        return 0.0
    low, high = audio.samples.aminmax()
    return max(-low.item(), high.item())


def _power(lufs: float) -> float:
    return float(10 ** ((lufs - _OFFSET_LU) / 10))


def _channel_weights(channels: int) -> np.ndarray:
    if channels == 5:
        return np.array([1.0, 1.0, 1.0, _SURROUND, _SURROUND])
    if channels == 6:
        return np.array([1.0, 1.0, 1.0, 0.0, _SURROUND, _SURROUND])
    return np.ones(channels)
