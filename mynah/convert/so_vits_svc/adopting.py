"""Models of so-vits-svc as they are passed on: `G_*.pth` and `config.json`, among other files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mynah.convert.so_vits_svc import published
from mynah.core.errors import BadCheckpoint
from mynah.core.types import Voice
from mynah.core.verbs import Files


def recognises(files: Files) -> bool:
    """Whether one of them is a model of so-vits-svc."""
    return bool(_models(files))


def adopt(files: Files, into: Path) -> Voice:
    """As `mynah.core.verbs.Adopts.adopt`."""
    models = _models(files)
    path = models[0]
    if len(models) > 1:
        names = ", ".join(each.name for each in models[:6])
        raise BadCheckpoint(
            f"{path}: is one of {len(models)} models of so-vits-svc ({names}): give the one that is meant"
        )
    descriptions = [
        held for held in files.values() if isinstance(held, Mapping) and {"model", "data", "spk"} <= held.keys()
    ]
    if len(descriptions) > 1:
        raise BadCheckpoint(f"{path}: {len(descriptions)} descriptions lie beside it: give the one that belongs to it")
    weights = published.converted(
        path, into / "weights.safetensors", descriptions[0] if descriptions else None, training=False
    )
    speakers = list(published.read(weights).speakers)
    return Voice(speakers[0] if len(speakers) == 1 else path.stem, (0.0, 0.0), weights=weights)


def cast(weights: Path) -> list[str]:
    """As `mynah.core.verbs.Casts.cast`."""
    speakers = published.read(weights).speakers
    return sorted(speakers, key=lambda name: speakers[name])


def alone(weights: Path, speaker: str, into: Path) -> Voice:
    """As `mynah.core.verbs.Casts.alone`."""
    given = published.read(weights)
    about = {**given.about, "spk": {speaker: given.speakers[speaker]}}
    return Voice(speaker, (0.0, 0.0), weights=published.written(given.singer, about, into / weights.name))


def _models(files: Files) -> list[Path]:
    return [path for path, held in files.items() if published.state_in(held) is not None]
