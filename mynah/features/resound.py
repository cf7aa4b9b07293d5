"""A recording as a vocoder sounds it: to its mel spectrogram, and from that to sound again."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from mynah.audio.mixing import as_one
from mynah.audio.resample import resample
from mynah.core.errors import BadAudio
from mynah.core.types import Audio
from mynah.features.mel import MelFormat


@torch.inference_mode()
def resound(source: Audio, format: MelFormat, wave: Callable[[Tensor], Tensor], device: str = "cpu") -> Audio:
    """What a vocoder makes of the mel spectrogram of a recording: one channel, as long, at the vocoder's rate.

    Args:
        source: At any rate, of any channels.
        format: The vocoder's.
        wave: From mel spectrograms `[batch, band, frame]` to sound `[batch, frame * hop]`.
        device: That `wave` works on.

    Raises:
        BadAudio: The recording is empty.
    """
    if not source.samples.shape[-1]:
        raise BadAudio("the recording is empty: there is nothing to make a mel spectrogram of")
    sound = resample(as_one(source), format.rate).samples
    length = sound.shape[-1]
    # Whole hops, and at least as much as the edges need; what is added is silence, and is taken off again.
    wanted = max(-(-length // format.hop) * format.hop, format.n_fft)
    made = wave(format(F.pad(sound, (0, wanted - length))).to(device))
    return Audio(made[:, :length].float().cpu(), format.rate)
