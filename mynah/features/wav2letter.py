"""wav2letter: letters 50 times a second, by convolutions over the waveform alone.

Paper: Collobert, Puhrsch, Synnaeve, "Wav2Letter: an End-to-End ConvNet-based Speech Recognition System",
arXiv 1609.03193. Layout of the parameters: `torchaudio.models.Wav2Letter` with `input_type="waveform"` (BSD). What
wav2letter++ and flashlight wrote is in a format of their own and is not read here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from mynah.catalog.checkpoint import load_foreign, load_strict
from mynah.core.errors import BadCheckpoint

RATE = 16_000
HOP = 320  # samples between frames
_STRIDES = (160, 2)  # of the first two layers; all others have 1


@dataclass(frozen=True)
class Wav2LetterConfig:
    """Sizes, as published by default.

    Attributes:
        channels: Of every layer but the last three.
        wide: Of the two before the last.
        letters: That are told apart, the blank among them.
        kernels: Of all layers, in order.
    """

    channels: int = 250
    wide: int = 2000
    letters: int = 40
    kernels: tuple[int, ...] = (250, 48, 7, 7, 7, 7, 7, 7, 7, 32, 1, 1)


class Wav2Letter(nn.Module):
    """Key by key torchaudio's net on waveforms.

    Shape:
        16 kHz waveforms `[batch, time]`, a whole number of frames, to log-probabilities of letters
        `[batch, letters, time // 320 + 1]`: the last frame looks beyond the end.
    """

    def __init__(self, config: Wav2LetterConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or Wav2LetterConfig()
        count = len(config.kernels)
        widths = [1, *[config.channels] * (count - 3), config.wide, config.wide, config.letters]
        strides = [*_STRIDES, *[1] * (count - 2)]
        layers: list[nn.Module] = []
        for number, (kernel, stride) in enumerate(zip(config.kernels, strides, strict=True)):
            padding = -(-(kernel - stride) // 2)
            layers += [nn.Conv1d(widths[number], widths[number + 1], kernel, stride, padding), nn.ReLU()]
        self.acoustic_model = nn.Sequential(nn.Sequential(*layers[:2]), nn.Sequential(*layers[2:]))

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the activations that have the narrow width and the rate of frames, from the first to the last."""
        return tuple(f"acoustic_model.1.{2 * number + 1}" for number in range(len(self.config.kernels) - 4))

    @property
    def around(self) -> int:
        """Frames to either side that one of `frames` depends on, rounded up."""
        first, second, *others = self.config.kernels[:-3]
        samples = first / 2 + second / 2 * _STRIDES[0] + sum(kernel // 2 for kernel in others) * HOP
        return int(samples // HOP) + 2

    def frames(self, wave: Tensor) -> Tensor:
        """What the last narrow layer answers, before letters are chosen: `[batch, channels, time // 320]`."""
        first, others = self.acoustic_model.children()
        x = first(wave[:, None])
        for layer in list(others.children())[:-6]:
            x = layer(x)
        return x

    def forward(self, wave: Tensor) -> Tensor:
        return F.log_softmax(self.acoustic_model(wave[:, None]), 1)


def load(path: Path | str) -> Wav2Letter:
    """A net from a file in torchaudio's layout, in inference mode.

    Raises:
        BadCheckpoint: Damaged, hostile, or another net.
    """
    return from_state(load_foreign(path), str(path))


def from_state(checkpoint: Mapping[str, object], what: str = "the checkpoint") -> Wav2Letter:
    """A net from the keys and shapes of a checkpoint, in inference mode.

    Raises:
        BadCheckpoint: It is not in torchaudio's layout for waveforms; `what` is named in the message.
    """
    nested = checkpoint.get("model", checkpoint)
    if not isinstance(nested, Mapping):
        raise BadCheckpoint(f"{what} holds no wav2letter")
    state = {name: value for name, value in nested.items() if isinstance(value, Tensor)}
    if "acoustic_model.0.weight" in state:
        raise BadCheckpoint(f"{what} holds a wav2letter that listens to spectra: bring one that listens to waveforms")
    numbers = [int(found[1]) for name in state if (found := re.fullmatch(r"acoustic_model\.1\.(\d+)\.weight", name))]
    names = ["acoustic_model.0.0.weight", *(f"acoustic_model.1.{number}.weight" for number in sorted(numbers))]
    if names[0] not in state or len(names) < 5 or any(state[name].ndim != 3 for name in names):
        raise BadCheckpoint(f"{what} holds no wav2letter in the layout of torchaudio")
    shapes = [state[name].shape for name in names]
    kernels = tuple(shape[2] for shape in shapes)
    if not all(0 < kernel <= 1024 for kernel in kernels) or kernels[0] < _STRIDES[0] or kernels[1] < _STRIDES[1]:
        raise BadCheckpoint(f"{what} holds no wav2letter: its kernels are {kernels}")
    net = Wav2Letter(Wav2LetterConfig(shapes[0][0], shapes[-2][0], shapes[-1][0], kernels))
    load_strict(net, state, what)
    return net.eval().requires_grad_(False)
