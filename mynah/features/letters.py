"""Letters: what is said, spelt out by a small net on the content student. A judge of our own, for machines without one.

It knows what two readers and a hundred learners said, no more; whoever wants a transcript wants `mynah transcribe`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mynah.catalog.checkpoint import load_safetensors, load_strict
from mynah.catalog.weights import locate
from mynah.core.system import Weights
from mynah.core.types import Audio
from mynah.features import content
from mynah.nets.convnext import ConvNeXt

WEIGHTS = Weights(
    "shipped:letters.safetensors",
    sha256="4db8ce85b948f711691039e8734d8dd32b7f59021e04731b7ef2e01d1c77b069",
    bytes=1118794,
    license="Apache-2.0",
)
ALPHABET = " 'abcdefghijklmnopqrstuvwxyzäöüß"
"""Class 0 is none of them, class `i + 1` is `ALPHABET[i]`."""


@dataclass(frozen=True)
class LettersConfig:
    """Sizes."""

    content: int = 64
    channels: int = 144
    dilations: tuple[int, ...] = (1, 2, 4, 1)


class Letters(nn.Module):
    """Content to log probabilities of letters, trained by CTC (Graves et al., ICML 2006).

    Shape:
        `[batch, 64, frame]` to `[batch, frame, letter]`, 50 frames/s.
    """

    def __init__(self, config: LettersConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or LettersConfig()
        self.enter = nn.Conv1d(config.content, config.channels, 5, padding=2)
        self.blocks = nn.ModuleList(ConvNeXt(config.channels, dilation=dilation) for dilation in config.dilations)
        self.norm = nn.LayerNorm(config.channels)
        self.out = nn.Linear(config.channels, len(ALPHABET) + 1)

    def forward(self, frames: Tensor) -> Tensor:
        x = self.enter(frames)
        for block in self.blocks:
            x = block(x)
        letters: Tensor = self.out(self.norm(x.transpose(1, 2)))
        return letters.log_softmax(-1)

    @torch.inference_mode()
    def spelt(self, recording: Audio, student: content.ContentStudent) -> str:
        """What is heard in a recording, the likeliest letter of every frame."""
        return spelling(self(student.frames(recording).T[None])[0])


def load(weights: str = "default") -> Letters:
    """The shipped one, or another that `mynah train speak/mynah` exported."""
    net = Letters()
    load_strict(net, load_safetensors(locate(weights, {"default": WEIGHTS})), "the recogniser of letters")
    return net.eval().requires_grad_(False)


def spelling(scores: Tensor) -> str:
    """Letters of the likeliest classes `[frame, letter]`: repeated ones once, none left out.

    Example:

        >>> spelling(torch.eye(len(ALPHABET) + 1)[[0, 3, 3, 0, 3, 4]])
        'aab'
    """
    found = scores.argmax(-1).unique_consecutive().tolist()
    return " ".join("".join(ALPHABET[number - 1] for number in found if number).split())
