"""Models of ForwardTacotron as they are passed on: one file among others."""

from __future__ import annotations

from pathlib import Path

from mynah.core.errors import BadCheckpoint
from mynah.core.types import Voice
from mynah.core.verbs import Files
from mynah.speak.forward_tacotron import published


def recognises(files: Files) -> bool:
    """Whether one of them is a model."""
    return any(published.is_model(held) for held in files.values())


def adopt(files: Files, into: Path) -> Voice:
    """As `mynah.core.verbs.Adopts.adopt`."""
    models = [path for path, held in files.items() if published.is_model(held)]
    if len(models) > 1:
        names = ", ".join(path.name for path in models[:6])
        raise BadCheckpoint(
            f"{models[0]}: is one of {len(models)} models of ForwardTacotron ({names}): give the one meant"
        )
    given = published.read(models[0])
    weights = published.write(given.state, given.front, given.config, into / "weights.safetensors")
    return Voice(models[0].stem, (0.0, 0.0), weights=weights)
