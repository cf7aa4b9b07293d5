"""Models of ForwardTacotron as they are passed on: one file among others."""

from __future__ import annotations

from pathlib import Path

from mynah.core.types import Voice
from mynah.core.verbs import Files
from mynah.features.speaking import only
from mynah.speak.forward_tacotron.published import converted, is_model


def recognises(files: Files) -> bool:
    """Whether one of them is a model."""
    return any(map(is_model, files.values()))


def adopt(files: Files, into: Path) -> Voice:
    """As `mynah.core.verbs.Adopts.adopt`."""
    path = only(files, is_model, "ForwardTacotron")
    return Voice(path.stem, (0.0, 0.0), weights=converted(path, into / "weights.safetensors"))
