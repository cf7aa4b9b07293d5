"""Acoustic models to choose among: the content student of the house, wav2letter as in the paper, Whisper, HuBERT.

Whichever it is, what it hears is brought to mean zero and variance one over a frame, as the student's is, and its
inner layers judge words in the perceptual loss. A model remembers its ear by kind and checksum.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from mynah.catalog.home import home
from mynah.catalog.weights import locate, sha256
from mynah.convert.ucd_svc.listeners import Ear, student_ear
from mynah.core.errors import BadCheckpoint, BadOption
from mynah.core.system import Weights
from mynah.features import content, hubert, wav2letter, whisper

_CONTEXT = 100  # content frames (2 s) to either side, for nets in which every frame hears every other


class Even(nn.Module):
    """Frames of a net `[batch, size, frame]`, each with mean zero and variance one.

    Args:
        net: The acoustic model.
        asked: What it is asked of 16 kHz waveforms `[batch, time]`: frames `[batch, frame, size]`.
    """

    def __init__(self, net: nn.Module, asked: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.net, self._asked = net, asked

    def forward(self, wave: Tensor) -> Tensor:
        frames = self._asked(wave)
        return F.layer_norm(frames, frames.shape[-1:]).transpose(1, 2)


def wav2letter_ear(net: wav2letter.Wav2Letter, name: str) -> Ear:
    """The last layer of the usual width; the two wide ones behind it would make a condition of 2000 channels."""
    even = Even(net, lambda wave: net.frames(wave).transpose(1, 2))
    layers = tuple(f"net.{layer}" for layer in net.layers[1::2])
    return Ear(even, net.config.channels, layers, name, net.around, net.around)


def whisper_ear(net: whisper.WhisperEncoder, name: str) -> Ear:
    """What comes out of the encoder; every second block is compared."""

    def asked(wave: Tensor) -> Tensor:
        frames: Tensor = net(net.log_mel(F.pad(wave[:, None], (200, 200), mode="reflect")[:, 0]))
        return frames

    return Ear(Even(net, asked), net.config.size, _every_second("net.blocks", net.blocks), name, _CONTEXT, _CONTEXT)


def hubert_ear(net: hubert.Hubert, name: str) -> Ear:
    """Soft units; every second layer is compared."""
    layers = _every_second("net.encoder.layers", net.encoder["layers"])
    return Ear(Even(net, net), net.config.units, layers, name, _CONTEXT, _CONTEXT)


def _every_second(prefix: str, layers: nn.Module) -> tuple[str, ...]:
    count = len(list(layers.children()))
    return tuple(f"{prefix}.{number}" for number in range(count) if number % 2 == 1) or (f"{prefix}.0",)


_MADE: dict[str, Callable[[Path, str], Ear]] = {
    "wav2letter": lambda path, name: wav2letter_ear(wav2letter.load(path), name),
    "whisper": lambda path, name: whisper_ear(whisper.load(path), name),
    "hubert": lambda path, name: hubert_ear(hubert.load(path), name),
}
_PUBLISHED: dict[str, dict[str, Weights]] = {
    "wav2letter": {},
    "whisper": whisper.PUBLISHED,
    "hubert": hubert.PUBLISHED,
}


def house_ear() -> Ear:
    """The content student."""
    return student_ear(content.load(), f"student-{content.WEIGHTS.sha256[:8]}")


def ear_by(told: Sequence[str]) -> Ear:
    """What was asked for: nothing or `house`, or `KIND=PLACE`, where the place is a file or a published name.

    Raises:
        BadOption: Not to be understood, or nothing is there.
        BadCheckpoint: What is there is another net.
    """
    if not told or list(told) == ["house"]:
        return house_ear()
    kind, equals, place = told[0].partition("=")
    if len(told) > 1 or not equals or not place or kind not in _MADE:
        raise BadOption(
            f"--ears {' '.join(told)!r} cannot be understood: convert/ucd_svc hears with one of house, "
            + ", ".join(f"{kind}=PLACE" for kind in _MADE)
        )
    path = locate(place, _PUBLISHED[kind])
    return _MADE[kind](path, f"{kind}-{sha256(path)[:8]}")


def ear_named(kind: str, name: str) -> Ear:
    """The ear that a model was trained with; its file lies in `ears` of Mynah's home, or is a published one.

    Args:
        kind: Of the model's configuration.
        name: With the checksum, as the model remembers it.

    Raises:
        BadCheckpoint: No such file is here.
    """
    if kind == "student":
        return house_ear()
    folder = home() / "ears"
    for path in sorted(folder.glob(f"{kind}*")):
        if path.is_file() and f"{kind}-{sha256(path)[:8]}" == name:
            return _MADE[kind](path, name)
    for published, weights in _PUBLISHED[kind].items():
        if f"{kind}-{weights.sha256[:8]}" == name:
            return _MADE[kind](locate(published, _PUBLISHED[kind]), name)
    raise BadCheckpoint(
        f"the model hears with {name}, a {kind} whose checksum begins like that, and none is in {folder}: "
        f"bring the file it was trained with, as {folder / kind}.pt"
    )
