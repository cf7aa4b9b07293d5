"""The frozen nets that hear words and melody: what a song is heard with, and what judges what was made of it.

Both are the feature extractors themselves; gradients go through them to the sound, and nothing in them moves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mynah.features.content import ContentStudent
from mynah.features.crepe import WINDOW, Crepe


class Activations:
    """What inner layers of a frozen net answer.

    Args:
        net: Frozen here.
        layers: Their names in the net.
        call: How the net is asked; by default it is called.
    """

    def __init__(self, net: nn.Module, layers: Sequence[str], call: Callable[[Tensor], object] | None = None) -> None:
        self.net, self.layers, self.call = net.eval().requires_grad_(False), tuple(layers), call or net

    def __call__(self, x: Tensor) -> list[Tensor]:
        found: dict[str, Tensor] = {}
        with ExitStack() as hooks:
            for name in self.layers:

                def keep(module: nn.Module, given: object, answer: Tensor, name: str = name) -> None:
                    found[name] = answer

                handle = self.net.get_submodule(name).register_forward_hook(keep)
                hooks.callback(handle.remove)
            self.call(x)
        return [found[name].float() for name in self.layers]


@dataclass(frozen=True, eq=False)
class Ear:
    """An acoustic model: the content student, or whatever can take its place.

    Attributes:
        net: Of 16 kHz waveforms `[batch, time]`, `[batch, size, time // 320]`.
        size: Of a content frame.
        layers: Whose activations words are compared by.
        name: With what tells its weights apart; what was heard is kept under it.
        past: Content frames before a frame that it depends on, rounded up.
        ahead: The same after it.
    """

    net: nn.Module
    size: int
    layers: tuple[str, ...]
    name: str
    past: int
    ahead: int

    @property
    def activations(self) -> Activations:
        """Of its inner layers."""
        return Activations(self.net, self.layers)


def student_ear(student: ContentStudent, name: str = "student") -> Ear:
    """The house's own: every second block is compared."""
    layers = tuple(f"blocks.{number}" for number in range(len(student.blocks)) if number % 2 == 1)
    past, ahead = (int(50 * seconds) + 2 for seconds in (student.past_seconds, student.ahead_seconds))
    return Ear(student, student.config.size, layers or ("blocks.0",), name, past, ahead)


def melody_activations(crepe: Crepe, layers: Sequence[str] = ("conv3_BN", "conv5_BN")) -> Activations:
    """Of CREPE on windows `[row, 1024]`; the layers are ours to choose, as the paper names none."""
    return Activations(crepe, layers)


def windows(wave: Tensor, centres: Tensor) -> Tensor:
    """What CREPE looks at around samples, standardised: `[batch, time]` and `[batch, place]` to `[row, 1024]`."""
    padded = nn.functional.pad(wave, (WINDOW // 2, WINDOW // 2))
    place = centres[..., None] + torch.arange(WINDOW, device=wave.device)
    cut = padded.gather(1, place.flatten(1)).view(-1, WINDOW)
    cut = cut - cut.mean(1, keepdim=True)
    return cut / (cut.square().mean(1, keepdim=True) + 1e-8).sqrt()
